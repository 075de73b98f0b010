"""Two runs compared: differences with their intervals and a paired test, what changed of classes, clips and settings."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from program import SIMULATED, config_file, process, sources
from rl_postproc.agents.report.compare import compare_runs
from rl_postproc.agents.report.runs import open_run

from rl_postproc.report.contents import Report, Table
from rl_postproc.task import TuningTask


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("two")
    calls = [("simulate", "--out", "data", *SIMULATED)]
    for name, agents, stack in (
        ("first", ["default", "grid_search"], [{"stage": "median", "kernel": [0, 0.3]}, {"stage": "threshold"}]),
        ("second", ["grid_search", "sgl_thresh"], [{"stage": "threshold"}]),
    ):
        (folder / name).mkdir()
        config = config_file(folder / name, data=None, agents=agents, stack=stack)
        config = config.rename(folder / f"{name}.yaml")
        (folder / name).rmdir()
        calls.append(("benchmark", config, *sources(Path("data")), "--out", name))
    for call in calls:
        done = process(*call, cwd=folder)
        assert done.returncode == 0, done.stderr
    return folder


def tables(report: Report) -> dict[str, Table]:
    return {part.caption: part for section in report.sections for part in section.parts if isinstance(part, Table)}


def macro(folder: Path, agent: str) -> float:
    rows = json.loads((folder / "results.json").read_text())["rows"]
    return next(row["macro_f1"] for row in rows if row["agent"] == agent)


def test_agents_of_both_runs_are_compared_and_the_others_named(runs: Path) -> None:
    report = compare_runs(open_run(runs / "first", {}), open_run(runs / "second", {}))
    found = tables(report)
    (row,) = found["Macro F1 in both runs, in percent"].rows
    before, after = macro(runs / "first", "grid_search"), macro(runs / "second", "grid_search")
    assert row[:3] == ["grid_search", pytest.approx(before), pytest.approx(after)]
    assert row[3][0] == pytest.approx(after - before)  # pyright: ignore[reportIndexIssue, reportOptionalSubscript]
    assert 0 < row[5] <= 1  # pyright: ignore[reportOperatorIssue, reportOptionalOperand]
    assert sum(row[6:9]) == 12  # pyright: ignore[reportArgumentType, reportCallIssue]
    listed = found["Clips gained and lost"].rows
    gains = [own[2][0] for own in listed]  # pyright: ignore[reportIndexIssue, reportOptionalSubscript]
    assert len(listed) == row[6] + row[7]  # pyright: ignore[reportOperatorIssue, reportOptionalOperand]
    assert [abs(gain) for gain in gains] == sorted((abs(gain) for gain in gains), reverse=True)
    assert sum(gain > 0 for gain in gains) == row[6]
    changed = {own[0]: own[1:] for own in found["Settings that differ"].rows}
    assert changed["stack.0.stage"] == ("median", "threshold")
    texts = [part.text for section in report.sections for part in section.parts if hasattr(part, "text")]  # pyright: ignore
    assert any(text.endswith("alone: default.") for text in texts)
    assert any(text.endswith("alone: sgl_thresh.") for text in texts)
    assert report.browser is not None
    assert list(report.browser.systems) == ["grid_search in first", "grid_search in second"]


def test_a_run_and_itself_differ_by_nothing(runs: Path) -> None:
    run = open_run(runs / "first", {})
    found = tables(compare_runs(run, run))
    for row in found["Macro F1 in both runs, in percent"].rows:
        assert row[3] == (0.0, "+0.00 (+0.0 to +0.0)")
        assert list(row[5:]) == [1.0, 0, 0, 12]
    assert not found["Clips gained and lost"].rows
    assert "Settings that differ" not in found


def test_another_detector_of_the_same_clips_is_told(runs: Path, tmp_path: Path) -> None:
    run = open_run(runs / "first", {})
    assert run.task is not None
    scores = replace(run.task.scores, scores=run.task.scores.scores**2)
    report = compare_runs(run, replace(run, task=TuningTask(scores, run.task.stack, run.task.metric)))
    assert [note for note in report.notes if "different scores of the same clips" in note]
    flipped = run.task.scores.select(torch.arange(run.task.scores.n_clips).flip(0))
    events = {
        name: events.select(torch.arange(run.task.scores.n_clips).flip(0)) for name, events in run.systems.items()
    }
    report = compare_runs(run, replace(run, task=TuningTask(flipped, run.task.stack, run.task.metric), systems=events))
    assert not report.notes
    assert all(
        row[3] == (0.0, "+0.00 (+0.0 to +0.0)") for row in tables(report)["Macro F1 in both runs, in percent"].rows
    )
