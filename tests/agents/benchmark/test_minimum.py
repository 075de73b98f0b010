"""A benchmark under a minimum precision: what it costs, what is reached held out, and what missed it in training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from cases import small_simulation
from program import Run, config_file
from rl_postproc.agents.benchmark.config import BenchmarkConfig, agent_names, choose_agents
from rl_postproc.agents.benchmark.run import run_benchmark

from rl_postproc.data.events import Events
from rl_postproc.data.scores import ScoreSet
from rl_postproc.formats import read_events
from rl_postproc.metrics import EventBased, total_counts

STACK = [{"stage": "threshold", "threshold": [0.1, 0.3, 0.5, 0.8]}]
OBJECTIVE = {"objective": "f1_at_precision", "precision": {"class_00": 0.5, "class_01": 0.97}}


@pytest.fixture(scope="module")
def scores() -> ScoreSet:
    return small_simulation(n_clips=40)


@pytest.fixture(scope="module")
def finished(scores: ScoreSet, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("minimum") / "out"
    config = BenchmarkConfig.model_validate(
        {"stack": STACK, "objective": OBJECTIVE, "agents": ["grid_search", "default"], "folds": 2}
    )
    return folder, run_benchmark(config, scores, folder, lambda *_: None)


def held_out_precision(folder: Path, name: str, scores: ScoreSet) -> list[float]:
    rows = [row[:4] for k in range(2) for row in read_events(folder / "folds" / f"{name}_seed0_fold{k}" / "events.tsv")
            if row.label]  # fmt: skip
    found = Events.from_rows(rows, scores.clip_ids, scores.classes)
    counts = total_counts(EventBased().count(scores.require_references(), found))
    return (counts["true_positives"] / counts["estimated"].clamp(min=1)).tolist()


def test_each_agent_runs_without_the_minimum_too_and_the_difference_is_its_cost(
    finished: tuple[Path, dict[str, Any]], scores: ScoreSet
) -> None:
    folder, results = finished
    rows = {row["agent"]: row for row in results["rows"]}
    assert set(rows) == {"grid_search", "default", "grid_search without minimum", "default without minimum"}
    assert json.loads((folder / "results.json").read_text()) == json.loads(json.dumps(results))
    told = results["objective"]
    assert told["name"] == "macro_f1_at_precision"
    cost = told["minimum"]["grid_search"]["cost"]
    expected = rows["grid_search without minimum"]["macro_f1"] - rows["grid_search"]["macro_f1"]
    assert cost["value"] == pytest.approx(expected, abs=1e-9)
    assert cost["low"] <= cost["value"] <= cost["high"]
    # The defaults do not hear of it.
    assert told["minimum"]["default"]["cost"]["value"] == 0
    precision = held_out_precision(folder, "grid_search", scores)
    reached = told["minimum"]["grid_search"]["reached"]
    assert set(reached) == {"class_00", "class_01"}
    for name, minimum in OBJECTIVE["precision"].items():
        own = reached[name]
        assert own["value"] == pytest.approx(precision[scores.classes.index(name)])
        assert own["minimum"] == minimum and own["of"] == 1
        assert own["met"] == (own["value"] >= minimum)
    missed = told["minimum"]["grid_search"]["missed_in_training"]
    assert missed["class_01"]["folds"] == 2 and missed["class_01"]["most"] < 0.97


def test_the_twins_can_be_left_out_and_chosen(finished: tuple[Path, dict[str, Any]]) -> None:
    base = {"stack": STACK, "objective": OBJECTIVE, "agents": ["grid_search"], "folds": 2}
    alone = BenchmarkConfig.model_validate({**base, "without_minimum": False})
    assert agent_names(alone.rows()) == ["grid_search"]
    whole = BenchmarkConfig.model_validate(base)
    assert agent_names(choose_agents(whole, ["grid_search"]).rows()) == ["grid_search", "grid_search without minimum"]
    only = choose_agents(whole, ["grid_search without minimum"])
    assert agent_names(only.rows()) == ["grid_search without minimum"]
    assert only.row_objectives()["grid_search without minimum"].name == "macro"
    # Agents of a benchmark may have objectives of their own.
    rows = ["grid_search", {"agent": "grid_search", "name": "micro", "objective": "micro"}]
    mixed = BenchmarkConfig.model_validate({**base, "objective": "macro", "agents": rows})
    assert [own.name for own in mixed.row_objectives().values()] == ["macro", "micro"]


def test_the_tables_of_a_minimum_are_shown(run: Run, tmp_path: Path) -> None:
    config = config_file(tmp_path, objective={"objective": "f1_at_precision", "precision": 0.9}, folds=2)
    code, out, err = run("benchmark", config, "--out", tmp_path / "out")
    assert code == 0, err
    assert "macro f1 at precision" in out and "without the minimum" in out
    assert "Reached held out" in out
    assert "'grid_search' misses the minimum on its training clips" in out
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert len(results["rows"]) == 4 and torch.tensor([row["macro_f1"] for row in results["rows"]]).isfinite().all()
