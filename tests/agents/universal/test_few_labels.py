"""The agent `universal`: what it starts from has not seen what it is judged on, and more labels change more."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from event_agents import StopError, files_of
from rl_postproc.agents.base import make_agent
from rl_postproc.agents.testing import check_agent
from rl_postproc.agents.universal.make import Recipe, SimulatedSources
from rl_postproc.agents.universal.start import class_groups, made_anew

from rl_postproc import PostProcessor, evaluate
from rl_postproc.data.events import Events
from rl_postproc.data.folds import drawn_clips
from rl_postproc.simulation.config import SimulationConfig
from rl_postproc.simulation.data_set import simulate
from rl_postproc.task import TuningTask
from rl_postproc.utils.errors import DataWarning, UserError

SMALL = Recipe(simulated=SimulatedSources(detectors=6, clips=25), rounds=30, leaves=15).model_dump(mode="json")


@pytest.fixture(scope="module")
def task() -> TuningTask:
    return TuningTask.build(simulate(SimulationConfig(n_clips=60, n_classes=5, seed=123_456)))


def macro(task: TuningTask, processor: PostProcessor) -> float:
    return evaluate(task.scores.require_references(), processor.apply(task.scores)).score.macro


def test_it_conforms_to_what_agents_are(task: TuningTask) -> None:
    few = task.select(torch.arange(24))
    check_agent({"agent": "universal", "labelled_clips": 20, "own_values_from": 10, "inner_folds": 2}, few)


def test_without_labels_no_reference_is_looked_at(task: TuningTask, tmp_path: Path) -> None:
    own = task.scores.require_references()
    none = Events.from_rows([], own.clip_ids, own.classes)
    with pytest.warns(DataWarning, match="no reference event at all"):
        blind = TuningTask.build(replace(task.scores, references=none))
    fits = [make_agent({"agent": "universal", "labelled_clips": 0}).fit(on, 0) for on in (task, blind)]
    first, again = (files_of(fit.post_processor, tmp_path / str(i)) for i, fit in enumerate(fits))
    assert first == again


def test_more_labels_change_more_and_help(task: TuningTask) -> None:
    train, held = task.select(torch.arange(40)), task.select(torch.arange(40, 60))
    found = {n: make_agent({"agent": "universal", "start": {**SMALL, "rounds": 5}, "labelled_clips": n}).fit(train, 0)
             for n in (0, 3, 40)}  # fmt: skip
    changed = [abs(found[n].curve[0]["gain"] - 1) + found[n].curve[0]["share_of_own_values"] for n in (0, 3, 40)]
    assert changed[0] == 0 < changed[1] < changed[2]
    assert macro(held, found[40].post_processor) > macro(held, found[0].post_processor)


def test_a_start_made_anew_has_not_seen_the_classes_that_it_judges(
    task: TuningTask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    real = made_anew

    def watched(recipe: Any, own: TuningTask, without: tuple[str, ...], report: Any) -> Any:
        asked.append(without)
        return real(recipe, own, without, report)

    monkeypatch.setattr("rl_postproc.agents.universal.universal.made_anew", watched)
    settings = {"agent": "universal", "start": {**SMALL, "class_groups": 2, "own_clips": True}, "labelled_clips": 0}
    fit = make_agent(settings).fit(task, 0)
    assert asked == [("class_00", "class_02", "class_04"), ("class_01", "class_03")]
    # References of a class change nothing of what judges it.
    own = task.scores.require_references()
    rows = [row for row in own.to_rows() if row[3] not in asked[0]]
    other = TuningTask.build(replace(task.scores, references=Events.from_rows(rows, own.clip_ids, own.classes)))
    again = make_agent(settings).fit(other, 0)
    judged = [
        {row for row in one.post_processor.apply(task.scores).to_rows() if row[3] in asked[0]} for one in (fit, again)
    ]
    assert judged[0] == judged[1] and judged[0]
    fit.post_processor.save(tmp_path)
    assert PostProcessor.load(tmp_path).apply(task.scores).to_rows() == fit.post_processor.apply(task.scores).to_rows()


def test_a_fit_goes_on_where_it_was_stopped(task: TuningTask, tmp_path: Path) -> None:
    settings = {"agent": "universal", "start": {**SMALL, "class_groups": 2}, "inner_folds": 3}
    learner = make_agent(settings)
    whole = files_of(learner.fit(task, 1).post_processor, tmp_path / "whole")
    told: list[float] = []

    def stop(fraction: float, figures: dict[str, float]) -> None:
        told.append(fraction)
        if fraction > 0.6:
            raise StopError

    with pytest.raises(StopError):
        learner.fit_in(task, 1, stop, tmp_path / "run")
    kept = {path.name for path in (tmp_path / "run" / "parts").iterdir()}
    assert {"group_0.start.safetensors", "group_0.fold_0.safetensors"} <= kept
    resumed = learner.fit_in(task, 1, lambda *_: None, tmp_path / "run", True)
    assert files_of(resumed.post_processor, tmp_path / "resumed") == whole


def test_what_cannot_be_adapted_is_refused(task: TuningTask, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="leave out 'stack'"):
        make_agent("universal").check(TuningTask.build(task.scores, stack=[{"stage": "threshold"}]))
    make_agent("default").fit(task, 0).post_processor.save(tmp_path)
    with pytest.raises(UserError, match="no post-processor for any detector"):
        make_agent({"agent": "universal", "start": str(tmp_path)}).check(task)
    with pytest.raises(UserError, match=r"61 clips of 60"):
        make_agent({"agent": "universal", "labelled_clips": 61}).check(task)
    with pytest.raises(UserError, match="'start' is empty"):
        make_agent({"agent": "universal", "start": ""})


def test_clips_are_drawn_by_name_and_fewer_are_among_more() -> None:
    names = [f"clip_{i:02}" for i in range(30)]
    drawn = [{names[i] for i in drawn_clips(names, n, 3).tolist()} for n in (0, 1, 5, 29, 30)]
    assert [len(own) for own in drawn] == [0, 1, 5, 29, 30]
    assert all(few < more for few, more in itertools.pairwise(drawn))
    turned = names[::-1]
    assert {turned[i] for i in drawn_clips(turned, 5, 3).tolist()} == drawn[2]
    assert {names[i] for i in drawn_clips(names, 5, 4).tolist()} != drawn[2]


def test_class_groups_hold_each_class_once() -> None:
    classes = tuple("abcdefg")
    for n in (1, 2, 3, 7, 9):
        groups = class_groups(classes, n)
        assert len(groups) == min(n, 7) and sorted(name for group in groups for name in group) == sorted(classes)
