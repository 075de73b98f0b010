"""Scores of other detectors look familiar, and what no detector gives does not: it gets the defaults, and a note."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from rl_postproc.agents.universal.augment import resampled
from rl_postproc.agents.universal.familiarity import Description, Familiarity

from rl_postproc import PostProcessor, ScoreSet, evaluate
from rl_postproc.data.events import Events
from rl_postproc.formats import read_scores
from rl_postproc.simulation.config import SimulationConfig
from rl_postproc.simulation.data_set import simulate
from rl_postproc.utils.errors import DataWarning

Change = Callable[[torch.Tensor], torch.Tensor]


@pytest.fixture(scope="module")
def scores() -> ScoreSet:
    """Clips of a simulated detector that is in no recipe, of classes that no one knows."""
    return simulate(SimulationConfig(n_clips=60, n_classes=5, seed=123_456))


def changed(scores: ScoreSet, values: torch.Tensor) -> ScoreSet:
    return ScoreSet.build(values, scores.edges, scores.clip_ids, scores.classes, scores.n_frames, scores.durations,
                          scores.references)  # fmt: skip


def applied(scores: ScoreSet) -> tuple[Events, list[str]]:
    """Returns the events and what was said of the scores' looks."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", DataWarning)
        events = PostProcessor.load("universal").apply(scores)
    return events, [str(warning.message) for warning in told if "look unlike" in str(warning.message)]


def at_half(scores: ScoreSet) -> Events:
    shipped = PostProcessor.load("universal")
    return shipped.stack.events(scores, shipped.stack.space.defaults)


FAMILIAR: dict[str, Change] = {
    "as it is": lambda x: x,
    "square root": lambda x: x.sqrt(),
    "square": lambda x: x.square(),
    "half": lambda x: x / 2,
    "to 1": lambda x: x / x.amax((0, 2), keepdim=True),
}
STRANGE: dict[str, Change] = {
    "white noise": lambda x: torch.rand(x.shape, generator=torch.Generator().manual_seed(0)),
    "frames in disorder": lambda x: x[..., torch.randperm(x.shape[2], generator=torch.Generator().manual_seed(0))],
    "decisions": lambda x: (x > 0.5).float(),
}


@pytest.mark.parametrize("what", FAMILIAR)
def test_other_calibrations_are_familiar_and_better_served_than_by_threshold_one_half(
    what: str, scores: ScoreSet
) -> None:
    own = changed(scores, FAMILIAR[what](scores.scores))
    events, told = applied(own)
    assert told == []
    references = own.require_references()
    f1, half = (evaluate(references, found).score.macro for found in (events, at_half(own)))
    assert f1 > half + 0.05


@pytest.mark.parametrize("hop", [0.01, 0.04, 0.16, 0.32])
def test_other_frame_lengths_are_familiar(hop: float, scores: ScoreSet) -> None:
    own = resampled(scores, hop)
    events, told = applied(own)
    assert told == []
    references = own.require_references()
    assert evaluate(references, events).score.macro > evaluate(references, at_half(own)).score.macro + 0.05


@pytest.mark.parametrize("what", STRANGE)
def test_what_no_detector_gives_gets_the_defaults_and_is_told(what: str, scores: ScoreSet) -> None:
    own = changed(scores, STRANGE[what](scores.scores))
    events, told = applied(own)
    assert len(told) == 1 and "threshold 0.5" in told[0]
    assert events.to_rows() == at_half(own).to_rows()


def test_a_set_is_strange_far_along_the_usual_directions_and_off_them() -> None:
    one, none = torch.ones(4, dtype=torch.float64), torch.zeros(4, dtype=torch.float64)
    first = torch.tensor([[1.0, 0.0, 0.0, 0.0]], dtype=torch.float64)
    known = Familiarity(mean=none, scale=one, within=none, directions=first, spread=one[:1], rest=one[:1])

    def distance(*place: float) -> float:
        found = Description(2)
        found.add(torch.tensor([place] * 50), torch.arange(50))
        return known.distance(found)

    assert distance(0.0, 0.0) == 0
    assert distance(4.0, 0.0) == pytest.approx(1) and distance(-8.0, 0.0) == pytest.approx(2)  # along it
    assert distance(0.0, 6.0) == pytest.approx(1) and distance(2.0, -12.0) == pytest.approx(2)  # off it


def test_few_clips_tell_nothing_of_a_detector_and_are_judged_all_the_same(scores: ScoreSet) -> None:
    own = changed(scores, STRANGE["decisions"](scores.scores)).select(torch.arange(3))
    events, told = applied(own)
    assert told == [] and len(events)


def test_real_detectors_look_familiar(data_root: Path) -> None:
    desed, dcase2023 = data_root / "desed_validation", data_root / "dcase2023_task4a_baseline2"
    for own in (
        read_scores(desed / "baseline2021_student" / "operating_points", references=desed / "ground_truth.tsv"),
        read_scores(dcase2023 / "scores", references=dcase2023 / "ground_truth.tsv", subset=True),
    ):
        events, told = applied(own)
        assert told == []
        references = own.require_references()
        assert evaluate(references, events).score.macro > evaluate(references, at_half(own)).score.macro
        assert applied(changed(own, STRANGE["white noise"](own.scores)))[1]
