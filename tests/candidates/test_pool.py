"""The bound on decoded events: what is kept, what is known of the rest, and that usual sets lose nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from cases import make_set, small_simulation
from rl_postproc.agents.events.batches import EventLayout

from rl_postproc.candidates.events import DecodedEvents, decode_candidates
from rl_postproc.candidates.pool import LEFT_OUT_VALUE, PoolBounds
from rl_postproc.counts import grid
from rl_postproc.data.scores import ScoreSet
from rl_postproc.formats import read_scores
from rl_postproc.metrics import EventBased
from rl_postproc.metrics.event_based import prepared as prepared_module
from rl_postproc.pipeline.stack import Stack
from rl_postproc.simulation.config import SimulationConfig
from rl_postproc.simulation.data_set import simulate
from rl_postproc.task import TuningTask
from rl_postproc.utils.errors import DataWarning
from rl_postproc.utils.tensors import ragged_ranges

STACK = Stack.from_config([
    {"stage": "median", "kernel": [0, 0.3, 0.5]},
    {"stage": "threshold", "threshold": [k / 10 for k in range(1, 10)]},
])  # fmt: skip


def dense(n_clips: int = 4, n_frames: int = 300) -> ScoreSet:
    """White noise at 10 frames a second, one class of which is silent."""
    x = torch.rand(n_clips, 3, n_frames, generator=torch.Generator().manual_seed(0))
    x[:, 1] = 0
    return make_set(x, [("c0", 1.0, 2.0, "k0")])


def votes(events: DecodedEvents) -> torch.Tensor:
    return torch.zeros(len(events), dtype=torch.int64).index_add(0, events.event, events.high - events.low)


def keys(events: DecodedEvents) -> list[tuple[int, ...]]:
    return [tuple(row) for row in torch.stack([events.track, events.first, events.last], 1).tolist()]


def test_each_track_keeps_the_events_of_most_candidates() -> None:
    scores = dense()
    whole, bounded = (decode_candidates(scores, STACK, b) for b in (None, PoolBounds(most_per_minute=100)))
    most = 50  # of half a minute
    number = dict(zip(keys(whole), votes(whole).tolist(), strict=True))
    assert set(keys(bounded)) < set(number)
    assert keys(bounded) == sorted(keys(bounded))
    for track in range(12):
        own = {key for key in number if key[0] == track}
        kept = {key for key in keys(bounded) if key[0] == track}
        assert len(kept) == min(len(own), most)
        if own:
            assert min(number[key] for key in kept) >= max(number[key] for key in own - kept)
    assert torch.equal(votes(bounded), torch.tensor([number[key] for key in keys(bounded)]))


def test_equals_are_kept_from_all_over_the_clip() -> None:
    found = decode_candidates(dense(1, 3000), STACK, PoolBounds(most_per_minute=100))
    thirds = torch.bincount(found.first[found.track == 0] // 1000, minlength=3)
    assert int(thirds.min()) > 0.7 * int(thirds.max())


def test_what_is_left_out_counts_by_candidate() -> None:
    scores = dense()
    whole, bounded = (decode_candidates(scores, STACK, b) for b in (None, PoolBounds(most_per_minute=100)))
    lost = bounded.left_out
    assert lost is not None
    assert int(lost.events.sum()) == len(whole) - len(bounded)
    assert lost.n_clips(scores.n_classes) == 4
    lost_by_candidate = torch.zeros(12, STACK.space.n_candidates).index_add(0, lost.track, lost.by_candidate)
    everything, kept = (events.sum_over_candidates(torch.ones(len(events))) for events in (whole, bounded))
    assert torch.equal(kept, everything + (LEFT_OUT_VALUE - 1) * lost_by_candidate)
    tracks = torch.tensor([5, 0, 1, 0])
    batch = EventLayout(bounded).gather(tracks)
    assert torch.equal(batch.sums(torch.ones(len(batch.rows))), kept[tracks])


def test_rare_events_are_dropped_where_votes_are_asked_for() -> None:
    scores = dense()
    whole, bounded = (decode_candidates(scores, STACK, b) for b in (None, PoolBounds(least_votes=3)))
    expected = [key for key, n in zip(keys(whole), votes(whole).tolist(), strict=True) if n >= 3]
    assert keys(bounded) == expected
    assert 0 < len(expected) < len(whole)


def test_a_pool_does_not_depend_on_which_clips_come_together(monkeypatch: pytest.MonkeyPatch) -> None:
    scores, bounds = dense(), PoolBounds(most_per_minute=100)
    whole = decode_candidates(scores, STACK, bounds)
    for clip in range(scores.n_clips):
        alone = decode_candidates(scores.select([clip]), STACK, bounds)
        assert keys(alone) == [(track - 3 * clip, *rest) for track, *rest in keys(whole) if track // 3 == clip]
    monkeypatch.setitem(grid.CHUNK_BYTES, "cpu", 1)
    one_by_one = decode_candidates(scores, STACK, bounds)
    for name in ("track", "first", "last", "event", "filter", "low", "high"):
        assert torch.equal(getattr(one_by_one, name), getattr(whole, name))
    assert whole.left_out is not None and one_by_one.left_out is not None
    for name in ("track", "events", "by_candidate"):
        assert torch.equal(getattr(one_by_one.left_out, name), getattr(whole.left_out, name))


def test_a_task_says_how_many_events_it_leaves_out() -> None:
    task = TuningTask(dense(), STACK, EventBased()).bounded(PoolBounds(most_per_minute=100, least_votes=2))
    with pytest.warns(DataWarning) as said:
        found = task.select(torch.arange(3)).decoded
    whole = len(decode_candidates(task.scores.select(range(3)), STACK))
    (sentence,) = [str(one.message) for one in said]
    assert sentence.startswith(
        f"Of {whole} events that the candidates decode, {whole - len(found)} in 3 of 3 clips are not"
    )
    assert "beyond 100 a minute and class or of fewer than 2 candidates" in sentence


@pytest.mark.parametrize("values", [(0, 10.0), (1.5, 10.0), (1, 0.0), (1, float("nan"))])
def test_bounds_that_are_none_are_refused(values: tuple) -> None:
    with pytest.raises(ValueError, match="cannot be bounded"):
        PoolBounds(*values)


def test_simulated_clips_lose_nothing() -> None:
    scores = simulate(SimulationConfig(n_clips=60))
    found = decode_candidates(scores, Stack.default(), PoolBounds())
    assert found.left_out is None
    per_minute = torch.bincount(found.track, minlength=600) / (
        scores.durations.repeat_interleave(scores.n_classes) / 60
    )
    assert 800 < float(per_minute.max()) < PoolBounds.most_per_minute / 1.5


def test_desed_loses_nothing() -> None:
    data = Path(os.environ.get("RL_POSTPROC_DATA", Path(__file__).resolve().parents[2] / ".." / "shared" / "data"))
    folder = data / "desed_validation"
    if not folder.is_dir():
        pytest.skip("the DESED validation set is absent")
    scores = read_scores(
        folder / "baseline2021_student" / "operating_points",
        references=folder / "ground_truth.tsv", durations=folder / "durations.tsv",
    )  # fmt: skip
    assert decode_candidates(scores, Stack.default(), PoolBounds()).left_out is None


def test_events_are_compared_with_references_around_their_onsets_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    monkeypatch.setattr(
        prepared_module,
        "ragged_ranges",
        lambda first, size: sizes.append(int(size.sum())) or ragged_ranges(first, size),
    )
    x = torch.rand(1, 1, 20_000, generator=torch.Generator().manual_seed(0))
    rows = [("c0", float(t), t + 0.5, "k0") for t in range(0, 2000, 2)]
    scores = make_set(x, rows)
    events = decode_candidates(scores, STACK)
    prepared = EventBased().prepare(scores)
    sizes.clear()
    found = prepared.matches(events.track, events.first, events.last)
    assert bool(found.any())
    assert sizes[0] < len(events)  # and not a thousand times as many


def test_a_small_set_is_the_same_with_usual_bounds_and_with_none() -> None:
    scores = small_simulation(8, 3, short=0.5)
    assert keys(decode_candidates(scores, STACK, PoolBounds())) == keys(decode_candidates(scores, STACK))
