"""Agents on several numbers of clips: rows, table, plot, and what no label can be asked of."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from event_agents import VALUE
from program import Run, assert_one_sentence
from rl_postproc.agents.benchmark.config import BenchmarkConfig, named_agents

from rl_postproc.results.plots import plot_learning_curve
from rl_postproc.utils.checked import build
from rl_postproc.utils.errors import UserError

SMALL = {
    "data": {"simulated": {"n_clips": 24, "n_classes": 3, "seed": 2}},
    "folds": 2,
    "agents": ["default", "grid_search"],
    "learning_curve": {"clips": [0, 2, 8], "agents": [
        {"agent": "grid_search", "selection": "smoothed", "name": "smoothed"},
        {"agent": "universal", "own_values_from": 8, "inner_folds": 2}]},
}  # fmt: skip


def test_every_agent_gets_a_row_for_each_number_that_it_can_learn_from() -> None:
    agents = named_agents(build(BenchmarkConfig, SMALL, "test").rows())
    assert list(agents) == ["default", "grid_search", "smoothed 2", "smoothed 8", "universal 0", "universal 2",
                            "universal 8"]  # fmt: skip
    assert agents["smoothed 8"].model_dump()["clips"] == 8
    assert agents["smoothed 8"].model_dump()["of"]["selection"] == "smoothed"
    assert agents["universal 0"].model_dump()["labelled_clips"] == 0


@pytest.mark.parametrize(
    ("curve", "message"),
    [
        ({"clips": [5, 2], "agents": ["grid_search"]}, "rising order"),
        ({"clips": [-1], "agents": ["grid_search"]}, "greater than or equal to 0"),
        ({"clips": [0], "agents": ["grid_search"]}, "does without labels"),
        ({"clips": [3], "agents": ["grid_serch"]}, "did you mean 'grid_search'"),
        ({"clips": [3], "agents": ["default", "default"]}, "Two agents are called 'default 3'"),
        ({"clips": [3], "agents": []}, "at least 1 item"),
    ],
)
def test_curves_that_mean_nothing_are_refused(curve: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        build(BenchmarkConfig, {**SMALL, "learning_curve": curve}, "test")


def test_the_program_prints_and_draws_it(run: Run, tmp_path: Path) -> None:
    (tmp_path / "few.yaml").write_text(json.dumps(SMALL))
    code, out, _ = run("benchmark", "few.yaml", "--out", "out")
    assert code == 0
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert {name: [point["clips"] for point in points] for name, points in results["learning_curve"].items()} == {
        "smoothed": [2, 8], "universal": [0, 2, 8]}  # fmt: skip
    lines = [line.split() for line in out.splitlines()]
    shown = next(line for line in lines if line and line[0] == "8")
    for name, column in (("smoothed", 1), ("universal", 2)):
        point = results["learning_curve"][name][-1]
        row = next(row for row in results["agents"] if row["agent"] == f"{name} 8")
        assert (point["value"], point["low"], point["high"]) == (row["value"], row["low"], row["high"])
        assert shown[column] == f"{100 * point['value']:.1f}"
    assert (tmp_path / "out" / "learning_curve.png").stat().st_size > 5000
    assert (tmp_path / "out" / "calibration.png").stat().st_size > 5000
    # Chosen rows are agents like others, without a curve.
    code, _, _ = run("benchmark", "few.yaml", "--out", "one", "--agents", "default,universal 2")
    rows = json.loads((tmp_path / "one" / "results.json").read_text())
    assert code == 0 and "learning_curve" not in rows and [row["agent"] for row in rows["rows"]][1] == "universal 2"


def test_points_are_drawn_at_equal_distances_with_their_intervals() -> None:
    points = [{"clips": n, "value": v, "low": v - 0.1, "high": v + 0.1} for n, v in ((0, 0.4), (30, 0.5))]
    axes = plot_learning_curve({"a": points, "b": points[1:]}, "title").axes[0]
    assert [line.get_ydata().tolist() for line in axes.lines] == [[40.0, 50.0], [50.0]]  # pyright: ignore
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "30"]


def test_a_suite_runs_its_benchmarks_and_names_those_that_it_cannot(run: Run, tmp_path: Path) -> None:
    one = {**SMALL, "agents": ["default", VALUE], "learning_curve": None, "baseline": "default"}
    (tmp_path / "one.yaml").write_text(json.dumps({**one, "title": "first"}))
    gone = {"scores": "nowhere", "references": "nowhere.tsv"}
    (tmp_path / "gone.yaml").write_text(json.dumps({**one, "data": gone}))
    (tmp_path / "both.yaml").write_text("benchmarks: [gone, one]")
    code, out, err = run("benchmark", "both.yaml", "--out", "out", "--agents", "default")
    assert code == 1 and "'gone' is skipped: " in out + err and "nowhere" in out + err
    assert json.loads((tmp_path / "out" / "one" / "results.json").read_text())["title"] == "first"
    assert_one_sentence(run("benchmark", "both.yaml", "--out", "out", "--strict"), r"There is no .*nowhere")
    assert_one_sentence(
        run("benchmark", "both.yaml", "--out", "out", "--scores", "x"), r"gone, one\); give one of them"
    )
    (tmp_path / "both.yaml").write_text("benchmarks: [one, no_such]")
    assert_one_sentence(run("benchmark", "both.yaml", "--out", "out"), r"no_such")
    (tmp_path / "both.yaml").write_text("benchmarks: [one]\nagents: [default]")
    assert_one_sentence(run("benchmark", "both.yaml", "--out", "out"), r"both\.yaml.*agents")
