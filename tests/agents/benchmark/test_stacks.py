"""Agents on several stacks, and what each part of a stack earns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cases import small_simulation
from rl_postproc.agents.benchmark.config import BenchmarkConfig, choose_agents
from rl_postproc.agents.benchmark.run import run_benchmark

from rl_postproc.results import tables
from rl_postproc.utils.checked import build
from rl_postproc.utils.errors import UserError

PLAIN = [{"stage": "threshold", "threshold": [0.3, 0.5, 0.7]}]
CHAIN = [*PLAIN, {"stage": "gap_fill", "gap": 0.4}, {"stage": "duration", "shortest": 0.6}]
BOXES = [{"stage": "boxes", "window": 0.48}, {"stage": "confidence", "threshold": [0.1, 0.3, 0.5]}]
CHOICE = [{"stage": "one_of", "stacks": {"runs": CHAIN, "boxes": BOXES}}]
SEARCH = {"agent": "grid_search", "selection": "maximum"}
CONFIG: dict[str, Any] = {
    "data": {"simulated": {}},
    "stacks": {"plain": PLAIN, "chain": CHAIN, "choice": CHOICE},
    "agents": ["default", SEARCH, {"agent": "random_search", "trials": 3, "stacks": ["plain"]}],
    "drop_one_out": {"stack": "chain", "agent": SEARCH},
    "baseline": "plain grid_search",
    "folds": 2,
}


def run(config: dict[str, Any], out: Path) -> dict[str, Any]:
    return run_benchmark(build(BenchmarkConfig, config, "test"), small_simulation(12, 2), out, lambda *_: None)


def test_every_agent_runs_on_every_stack_and_parts_are_left_out(tmp_path: Path) -> None:
    results = run(CONFIG, tmp_path)
    assert [entry["agent"] for entry in results["agents"]] == [
        "plain default", "plain grid_search", "plain random_search", "chain default", "chain grid_search", "choice default",
        "choice grid_search", "chain without gap_fill grid_search", "chain without duration grid_search",
    ]  # fmt: skip
    assert results["stacks"]["chain without duration grid_search"] == ("chain without duration", "grid_search")
    value = {entry["agent"]: entry["value"] for entry in results["agents"]}
    parts = results["drop_one_out"]["parts"]
    assert set(parts) == {"gap_fill", "duration"}
    assert any(gain["value"] != 0 for gain in parts.values())
    for part, gain in parts.items():
        assert gain["value"] == pytest.approx(value["chain grid_search"] - value[f"chain without {part} grid_search"])
        assert gain["low"] <= gain["value"] <= gain["high"]
    assert "What each part of 'chain grid_search' earns" in tables.parts_note(results)
    # The row of a stack is what a benchmark of that stack alone gives.
    alone = run({"data": {"simulated": {}}, "stack": CHAIN, "agents": [SEARCH], "folds": 2}, tmp_path / "alone")
    assert alone["agents"][0]["value"] == pytest.approx(value["chain grid_search"])
    # Again, the finished folds are taken up.
    again = run(CONFIG, tmp_path)
    assert [row["macro_f1"] for row in again["rows"]] == [row["macro_f1"] for row in results["rows"]]


def test_alternatives_are_left_out_one_at_a_time(tmp_path: Path) -> None:
    config = {**CONFIG, "stacks": {"choice": CHOICE}, "agents": [SEARCH], "baseline": "choice grid_search",
              "drop_one_out": {"stack": "choice", "agent": SEARCH}}  # fmt: skip
    assert set(run(config, tmp_path)["drop_one_out"]["parts"]) == {"runs", "boxes"}


def test_rows_are_chosen_by_name(tmp_path: Path) -> None:
    config = choose_agents(build(BenchmarkConfig, CONFIG, "test"), ["choice grid_search", "plain grid_search"])
    found = run_benchmark(config, small_simulation(12, 2), tmp_path, lambda *_: None)
    assert [entry["agent"] for entry in found["agents"]] == ["choice grid_search", "plain grid_search"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stacks": ["csebb"]}, "did you mean 'csebbs'"),
        ({"stacks": {"a": [{"stage": "median"}]}, "drop_one_out": None, "agents": [SEARCH], "baseline": "a grid_search"},
         "ends with scores"),
        ({"drop_one_out": {"stack": "none"}}, "'none', which is not among 'stacks'"),
        ({"drop_one_out": {"stack": "plain"}}, "No part of the stack can be left out"),
        ({"agents": [{"agent": "default", "stacks": ["other"]}]}, "The stack 'other' of 'default' is not among"),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_is_refused(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        run({**CONFIG, **change}, tmp_path)
