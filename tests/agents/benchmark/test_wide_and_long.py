"""Few clips of many classes, and of an hour, are compared within a bound of time and memory.

python -m pytest -m slow tests/agents/benchmark/test_wide_and_long.py    # the full sets, about a minute
"""

from __future__ import annotations

import importlib.util
import json
import struct
import sys
from pathlib import Path
from types import ModuleType

import pytest

from rl_postproc.formats.scores.shards import write_shards

FOLDER = Path(__file__).resolve().parents[3] / "benchmarks"
AGENTS = ["default", "grid_search", "event_value"]


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    """The script that makes and measures the sets."""
    sys.path.insert(0, str(FOLDER))
    try:
        spec = importlib.util.spec_from_file_location("wide_and_long", FOLDER / "wide_and_long.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(FOLDER))
    return module


@pytest.mark.parametrize("scores", ["simulated", "busy", "noise", "equal"])
def test_the_sets_have_the_size_and_the_references_that_are_asked_for(benchmark: ModuleType, scores: str) -> None:
    found = benchmark.make_set(2, 3, 1000, scores)
    assert found.scores.shape == (2, 3, 1000)
    assert found.durations.tolist() == pytest.approx([20.0, 20.0])
    references = found.require_references()
    assert len(references) > 0
    assert float(references.offset.max()) <= 20.0
    assert (float(found.scores.std()) == 0) == (scores == "equal")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["wide", "long"])
def test_a_comparison_takes_less_than_four_gigabytes_and_two_minutes(
    benchmark: ModuleType, name: str, tmp_path: Path
) -> None:
    write_shards(benchmark.make_set(*benchmark.SETS[name]), tmp_path)
    cost = benchmark.measure(tmp_path, ",".join(AGENTS))
    log = (tmp_path / "log.txt").read_text()
    assert cost["code"] == 0, log
    assert cost["mib"] < 4096
    assert cost["cpu"] < 120
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert [row["agent"] for row in results["rows"]] == AGENTS
    assert all(row["certified_by"].startswith("sed_eval") for row in results["rows"])
    for plot in ("agents.png", "classes.png", "clip.png"):
        size = struct.unpack(">2I", (tmp_path / "run" / plot).read_bytes()[16:24])
        assert max(size) < 2500
