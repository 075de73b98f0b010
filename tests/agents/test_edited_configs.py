"""Whatever single value of a config is changed: one good sentence, or a config that runs."""

from __future__ import annotations

import random
import resource
import time
import warnings
from pathlib import Path
from typing import Any

import pytest
import yaml
from artefact_cases import edits
from rl_postproc.agents.benchmark.config import BenchmarkConfig, named_agents
from rl_postproc.agents.benchmark.run import run_benchmark
from rl_postproc.agents.benchmark.suite import find_suite

from rl_postproc.config import build_config, load_config
from rl_postproc.utils.errors import UserError

DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # the same text, ten times as fast
CONFIGS = [path for path in sorted((Path(__file__).resolve().parents[2] / "configs").glob("*.yaml"))
           if find_suite(path) is None]  # fmt: skip

SMALL = {
    "title": "small",
    "data": {"simulated": {"n_clips": 4, "n_classes": 2, "clip_seconds": 3.0, "seed": 1}},
    "stack": [
        {"stage": "median", "kernel": {"candidates": [0.0, 0.3], "default": 0.0}, "edge": "reflect"},
        {"stage": "threshold", "threshold": {"low": 0.1, "high": 0.9, "count": 5}},
    ],
    "metric": {"metric": "event_based", "t_collar": 0.2, "percentage_of_length": 0.2, "comparison": "exact"},
    "objective": {"objective": "macro"},
    "agents": ["default", {"agent": "grid_search", "name": "grid"}],
    "folds": 2,
    "seeds": [0],
    "baseline": "grid",
}


def assert_sentence(error: UserError) -> None:
    text = str(error)
    assert text.endswith("."), text
    assert "\n" not in text, text
    assert len(text) < 900, text


def load(values: Any, folder: Path) -> BenchmarkConfig | None:
    """Returns the config of a YAML file with these values, None where it is refused."""
    path = folder / "config.yaml"
    path.write_text(yaml.dump(values, Dumper=DUMPER))
    try:
        config = load_config(BenchmarkConfig, path)
        assert config.build_stack().space.n_candidates > 0
        assert named_agents(config.agents)
    except UserError as error:
        assert_sentence(error)
        return None
    # What is written beside results stands for the same.
    plain = config.model_dump(mode="json")
    assert build_config(BenchmarkConfig, plain, "again", folder).model_dump(mode="json") == plain
    return config


def memory() -> int:
    """Returns the most memory that this process has had, in KB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
@pytest.mark.parametrize("share", [0.05, pytest.param(1.0, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])])
def test_an_edited_config_is_refused_in_one_sentence_or_means_something(
    path: Path, share: float, tmp_path: Path
) -> None:
    chosen, before, refused = random.Random(2), memory(), 0
    for what, values in edits(yaml.safe_load(path.read_text()), every=share > 0.1):
        if chosen.random() > share:
            continue
        begin = time.process_time()
        refused += load(values, tmp_path) is None
        assert time.process_time() - begin < 3, what
    assert refused
    assert memory() - before < 300_000


@pytest.mark.parametrize("share", [0.12, pytest.param(1.0, marks=pytest.mark.slow)])
def test_an_edited_config_is_refused_in_one_sentence_or_runs(share: float, tmp_path: Path) -> None:
    chosen, before, refused, ran = random.Random(3), memory(), 0, 0
    for number, (what, values) in enumerate(edits(SMALL)):
        if chosen.random() > share:
            continue
        config = load(values, tmp_path)
        if config is None:
            refused += 1
            continue
        simulated = config.data and config.data.simulated
        if simulated and simulated.n_clips * simulated.clip_seconds / simulated.hop > 1e4:
            continue
        begin = time.process_time()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                results = run_benchmark(config, config.load_data(), tmp_path / str(number), lambda *_: None)
            assert results["rows"], what
            ran += 1
        except UserError as error:
            assert_sentence(error)
        assert time.process_time() - begin < 20, what
    assert refused > 10
    assert ran > 3
    assert memory() - before < 500_000
