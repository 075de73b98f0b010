"""Where nearly all tracks are silent, as in sparse clips, these alone are looked at, and nothing else changes."""

from __future__ import annotations

import pytest
import torch
from cases import small_simulation
from rl_postproc.agents.events import policy

from rl_postproc.candidates.events import decode_candidates
from rl_postproc.candidates.pool import PoolBounds
from rl_postproc.data.scores import ScoreSet
from rl_postproc.pipeline.stack import Stack

STACKS = {
    "decisions": [{"stage": "median", "kernel": [0, 0.3]}, {"stage": "threshold", "threshold": [0.3, 0.5, 0.7]}],
    "events": [{"stage": "boxes"}, {"stage": "confidence", "threshold": [0.2, 0.4]}],
}


def mostly_silent() -> ScoreSet:
    """Returns clips of different lengths of which a quarter of the tracks have scores."""
    scores = small_simulation(12, 4, short=0.5)
    loud = torch.rand(12, 4, 1, generator=torch.Generator().manual_seed(0)) < 0.25
    return ScoreSet.build(torch.where(loud, scores.scores, 0.0), scores.edges, scores.clip_ids, scores.classes,
                          scores.n_frames, scores.durations, scores.references)  # fmt: skip


@pytest.mark.parametrize("stack", STACKS.values(), ids=STACKS)
def test_events_are_those_of_the_loud_tracks_alone(stack: list) -> None:
    scores, built = mostly_silent(), Stack.from_config(stack)
    values = built.space.values[torch.arange(48).reshape(12, 4) % built.space.n_candidates]
    expected = []
    for k, name in enumerate(scores.classes):
        loud = (scores.scores[:, k].amax(1) > 0).nonzero()[:, 0]
        own = scores.select(loud).of_classes([name])
        expected += built.events(own, values[loud][:, k : k + 1]).to_rows()
    assert len(expected) > 5
    assert sorted(built.events(scores, values).to_rows()) == sorted(expected)
    silent = scores.select([0]).of_classes(scores.classes[:1])
    silent.scores.zero_()
    assert built.events(silent, values[0, 0]).to_rows() == []


def test_candidates_of_event_values_are_those_of_every_track_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    scores, stack = mostly_silent(), Stack.from_config(STACKS["decisions"])
    events = decode_candidates(scores, stack, PoolBounds(least_votes=1, most_per_minute=20))
    assert events.left_out is not None
    values = torch.randn(len(events), generator=torch.Generator().manual_seed(0))
    expected, looked = policy._best_of_each(events, values), []
    monkeypatch.setattr(
        policy, "_best_of_each", lambda few, own: (looked.append(few.n_tracks), expected_of(few, own))[1]
    )
    found = policy.best_candidates(events, values)
    assert torch.equal(found, expected)
    assert looked[0] < 24


expected_of = policy._best_of_each
