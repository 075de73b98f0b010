"""The agent that ranks events for PSDS."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from cases import small_simulation
from rl_postproc.agents import make_agent
from rl_postproc.agents.events.agreement import Proposed, agreed
from rl_postproc.agents.events.clip_model import clip_features, n_columns
from rl_postproc.agents.events.rank_scale import RankScale
from rl_postproc.agents.events.ranking_policy import EventRankingPolicy, proposers, ranking

from rl_postproc import Events, ScoreSet, read_events, write_events
from rl_postproc.metrics.intersection.frame_scores import stretches_of_scores
from rl_postproc.metrics.intersection.psds import SCENARIOS, psds
from rl_postproc.metrics.intersection.ranked_counts import Stretches, count_ranked
from rl_postproc.pipeline.postprocessor import PostProcessor
from rl_postproc.pipeline.stack import Stack
from rl_postproc.task import TuningTask
from rl_postproc.utils.errors import UserError

QUICK = {"agent": "event_ranking", "rounds": 20, "leaves": 8, "inner_folds": 3}
STACK = [{"stage": "one_of", "stacks": {
    "runs": [{"stage": "median", "kernel": [0, 0.3, 0.9]}, {"stage": "threshold", "threshold": [0.1, 0.3, 0.5, 0.7, 0.9]}],
    "absolute": [{"stage": "boxes", "window": [0.3, 0.6], "absolute": 0.2, "relative": 1001}, {"stage": "confidence"}],
    "relative": [{"stage": "boxes", "window": [0.3, 0.6], "absolute": 1.0, "relative": 2.0}, {"stage": "confidence"}],
}}]  # fmt: skip


def fitted(scores: ScoreSet, stack: Any = None, **settings: Any) -> PostProcessor:
    task = TuningTask.build(scores, Stack.from_config(STACK if stack is None else stack))
    return make_agent({**QUICK, **settings}).fit(task, 0).post_processor


def score(scores: ScoreSet, stretches: Stretches, scenario: int) -> float:
    own = SCENARIOS[scenario]
    return psds(count_ranked(scores.require_references(), stretches, scores.durations, own.criteria), own)


@pytest.fixture(scope="module", params=[1, 2])
def ranked(request: pytest.FixtureRequest) -> tuple[int, PostProcessor]:
    return request.param, fitted(small_simulation(80, 3, 0, short=0.4), scenario=request.param)


def test_held_out_psds_is_above_that_of_raw_scores(ranked: tuple[int, PostProcessor]) -> None:
    scenario, processor = ranked
    held = small_simulation(80, 3, 1, short=0.4)
    events = processor.apply(replace(held, references=None))
    found, raw = score(held, Stretches.of_events(events), scenario), score(held, stretches_of_scores(held), scenario)
    assert found > raw + 0.02


def test_events_do_not_overlap_and_say_how_sure_they_are(ranked: tuple[int, PostProcessor]) -> None:
    events = ranked[1].apply(small_simulation(20, 3, 2, short=0.4))
    assert ranked[1].policy.gives_confidence(ranked[1].stack)
    assert bool(((events.confidence >= 0) & (events.confidence <= 1)).all())
    assert len(events.confidence.unique()) > 20
    same = (events.clip[1:] == events.clip[:-1]) & (events.label[1:] == events.label[:-1])
    assert bool((events.onset[1:] >= events.offset[:-1])[same].all())
    assert bool((events.offset > events.onset).all())


def test_a_file_with_confidences_has_the_psds_of_the_events(ranked: tuple[int, PostProcessor], tmp_path: Path) -> None:
    scenario, processor = ranked
    held = small_simulation(20, 3, 2, short=0.4)
    events = processor.apply(held)
    write_events(events, tmp_path / "events.tsv", confidence=True)
    rows = [row for row in read_events(tmp_path / "events.tsv") if row.label]
    columns = {name: torch.tensor([getattr(row, name) for row in rows], dtype=torch.float64)
               for name in ("onset", "offset", "confidence")}  # fmt: skip
    clip = torch.tensor([held.clip_ids.index(row.filename) for row in rows])
    label = torch.tensor([held.classes.index(str(row.label)) for row in rows])
    again = Events.from_tensors(held.clip_ids, held.classes, clip, label, *columns.values())
    assert len(again) == len(events) > 0
    assert score(held, Stretches.of_events(again), scenario) == score(held, Stretches.of_events(events), scenario)


def test_confidences_are_the_same_after_loading_and_whatever_clips_come_together(
    ranked: tuple[int, PostProcessor], tmp_path: Path
) -> None:
    held = small_simulation(20, 3, 2, short=0.4)
    events = ranked[1].apply(held)
    ranked[1].save(tmp_path)
    again = PostProcessor.load(tmp_path).apply(held)
    assert again.to_rows() == events.to_rows()
    assert torch.equal(again.confidence, events.confidence)
    for clip in (0, 7):
        alone = ranked[1].apply(held.select(torch.tensor([clip])))
        own = events.select(torch.tensor([clip]))
        assert alone.to_rows() == own.to_rows()
        assert torch.allclose(alone.confidence, own.confidence, atol=1e-6)


def test_branches_of_the_same_stages_propose_together() -> None:
    parts = proposers(Stack.from_config(STACK))
    assert [len(part.branches) for part in parts] == [1, 2]
    assert sum(part.space.n_candidates for part in parts) == Stack.from_config(STACK).space.n_candidates
    assert [part.to_config() for part in proposers(Stack.default())] == [Stack.default().to_config()]


def test_a_class_without_references_gets_no_events() -> None:
    scores = small_simulation(24, 3, 0, short=0.4)
    references = scores.require_references()
    kept = references.label != 1
    columns = (getattr(references, name)[kept] for name in ("clip", "label", "onset", "offset"))
    without = replace(scores, references=Events.from_tensors(scores.clip_ids, scores.classes, *columns))
    events = fitted(without).apply(scores)
    assert set(events.label.tolist()) == {0, 2}


def test_without_any_reference_there_are_no_events_at_all(tmp_path: Path) -> None:
    scores = small_simulation(8, 2, 0)
    none = torch.zeros(0, dtype=torch.int64)
    empty = Events.from_tensors(scores.clip_ids, scores.classes, none, none, none.double(), none.double())
    processor = fitted(replace(scores, references=empty))
    assert len(processor.apply(scores)) == 0
    processor.save(tmp_path)
    assert len(PostProcessor.load(tmp_path).apply(scores)) == 0


@pytest.mark.parametrize("scenario", [1, 2])
def test_where_nothing_is_decoded_whole_clips_are_ranked(scenario: int, tmp_path: Path) -> None:
    scores = small_simulation(24, 2, 0)
    stack = [{"stage": "threshold", "threshold": [1.0]}]
    processor = fitted(scores, stack, scenario=scenario)
    assert isinstance(processor.policy, EventRankingPolicy)
    assert processor.policy.whole.tolist() == [True, True]
    events = processor.apply(scores)
    assert len(events) == scores.n_clips * 2
    assert torch.equal(events.offset, scores.durations[events.clip].round(decimals=6))
    present = scores.require_references().counts()[events.clip, events.label] > 0
    assert float(events.confidence[present].mean()) > float(events.confidence[~present].mean())
    processor.save(tmp_path)
    assert PostProcessor.load(tmp_path).apply(scores).to_rows() == events.to_rows()


def test_one_clip_is_refused_for_fitting_and_taken_for_applying(ranked: tuple[int, PostProcessor]) -> None:
    one = small_simulation(1, 3, 4)
    with pytest.raises(UserError, match="needs at least two clips"):
        fitted(one)
    assert set(ranked[1].apply(one).clip_ids) == set(one.clip_ids)


@pytest.mark.parametrize("n_classes", [3, 70])
def test_features_of_clips_do_not_look_beyond_their_end(n_classes: int) -> None:
    scores = small_simulation(6, n_classes, 0, short=0.7)
    assert len(scores.n_frames.unique()) > 1
    whole = clip_features(scores).unflatten(0, (6, n_classes))
    assert whole.shape[2] == n_columns(n_classes)
    for clip in range(6):
        own = replace(scores.select(torch.tensor([clip])))
        n = int(own.n_frames[0])
        cut = ScoreSet.build(
            own.scores[:, :, :n], own.edges[:, : n + 1], own.clip_ids, own.classes, None, own.durations
        )
        assert torch.equal(clip_features(cut), whole[clip])


def test_events_rank_by_probability_cost_and_clip() -> None:
    place = torch.arange(3)
    right, wrong = torch.tensor([0.5, 0.4, 0.4]), torch.tensor([0.9, 0.0, 0.0])
    found = Proposed(place, torch.zeros_like(place), place.double(), place + 1.0, right, wrong)
    assert ranking(found, torch.tensor([[1.0], [1.0], [0.01]])).tolist() == pytest.approx([0.05, 0.4, 0.04])


def test_the_scale_counts_what_ranks_above_and_keeps_the_order() -> None:
    generator = torch.Generator().manual_seed(0)
    label, ranking = torch.arange(3000) % 2, torch.rand(3000, generator=generator) ** 4
    scale = RankScale.of(label, ranking, 3, 10.0)
    scale.check()
    found = scale.confidence(label, ranking)
    for k in range(2):
        own, sure = ranking[label == k], found[label == k]
        order = own.argsort(descending=True)
        above = (torch.arange(1500) + 0.5) / 10
        assert torch.allclose(1 / sure[order] - 1, above, rtol=0.05, atol=0.06)
        assert bool((sure[order].diff() <= 0).all())
        assert bool((sure[order][:1000].diff() < 0).all())
    edges = scale.confidence(torch.tensor([0, 0, 1, 2, 2, 2]), torch.tensor([0.0, 1.0, 1.0, 0.0, 0.5, 1.0]))
    assert edges.tolist() == pytest.approx([1 / (1 + 150.1), 1, 1, 1 / 1.1, 1 / 1.05, 1])


def test_a_scale_that_falls_is_refused() -> None:
    scale = RankScale.of(torch.zeros(5, dtype=torch.int64), torch.arange(5) / 5, 1, 1.0)
    with pytest.raises(ValueError, match="does not rise"):
        RankScale(scale.ranking, scale.above.flip(1)).check()
    with pytest.raises(ValueError, match="does not rise"):
        RankScale(scale.ranking.flip(1), scale.above).check()


def plainly_agreed(found: list[Proposed]) -> list[tuple[float, ...]]:
    """Rows of clip, label, onset, offset, P(right) and P(wrong), the best first."""
    rows = []
    for own in found:
        for clip, label, onset, offset, right, wrong in zip(*(x.tolist() for x in own.columns()), strict=True):
            best = 0.0
            for other in found:
                for j in range(len(other.clip)) if other is not own else ():
                    if (clip, label) == (int(other.clip[j]), int(other.label[j])):
                        both = min(offset, float(other.offset[j])) - max(onset, float(other.onset[j]))
                        either = max(offset, float(other.offset[j])) - min(onset, float(other.onset[j]))
                        best = max(best, max(both, 0) / either * float(other.right[j]))
            rows.append((clip, label, onset, offset, 0.75 * right + 0.25 * best, wrong))
    kept: list[tuple[float, ...]] = []
    for row in sorted(rows, key=lambda row: -row[4]):
        if all(row[:2] != one[:2] or row[2] >= one[3] or row[3] <= one[2] for one in kept):
            kept.append(row)
    return kept


@pytest.mark.parametrize("seed", range(5))
def test_proposers_agree_as_the_plain_loop_says(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    found = []
    for _ in range(3):
        cuts = torch.rand(4, 2, 8, generator=generator, dtype=torch.float64).sort(2).values * 10
        clip, label, k = torch.ones(4, 2, 4).nonzero().unbind(1)
        onset, offset = cuts[clip, label, 2 * k], cuts[clip, label, 2 * k + 1]
        right, wrong = torch.rand(2, len(clip), generator=generator)
        mixed = torch.randperm(len(clip), generator=generator)
        found.append(Proposed(*(x[mixed] for x in (clip, label, onset, offset, right, wrong))))
    rows = sorted(zip(*(x.tolist() for x in agreed(found, 2).columns()), strict=True))
    expected = sorted(plainly_agreed(found))
    assert len(rows) == len(expected) < 3 * 32
    for row, plain in zip(rows, expected, strict=True):
        assert row == pytest.approx(plain, abs=1e-6)
    assert agreed(found[:1], 2) is found[0]
