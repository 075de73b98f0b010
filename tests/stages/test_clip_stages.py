"""Stages that look at a clip as a whole."""

from __future__ import annotations

import torch
from cases import small_simulation

from rl_postproc.stages.clip_gate import ClipGate
from rl_postproc.stages.normalise import Normalise


def test_the_gate_silences_tracks_whose_highest_score_does_not_exceed_it() -> None:
    scores = small_simulation(10, 3, short=0.5)
    x = scores.scores.flatten(0, 1).T.contiguous()
    level = x.amax(0).median().expand(x.shape[1])
    found = ClipGate()(x, scores.frames, level=level)
    for i in range(x.shape[1]):
        assert torch.equal(found[:, i], x[:, i] if float(x[:, i].max()) > float(level[i]) else torch.zeros(len(x)))
    assert 0 < int((found.amax(0) > 0).sum()) < x.shape[1]


def test_normalised_tracks_reach_one_by_degrees() -> None:
    scores = small_simulation(10, 3, short=0.5)
    x = scores.scores.flatten(0, 1).T.contiguous()
    most = x.amax(0)
    for strength in (0.0, 0.5, 1.0):
        found = Normalise()(x, scores.frames, strength=torch.full_like(most, strength))
        torch.testing.assert_close(found.amax(0), most ** (1 - strength), atol=1e-6, rtol=0)
        torch.testing.assert_close(found * most**strength, x, atol=1e-6, rtol=0)
    assert torch.equal(Normalise()(0 * x, scores.frames, strength=torch.ones_like(most)), 0 * x)
