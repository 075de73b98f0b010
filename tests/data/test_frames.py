"""Where frames lie in time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from cases import make_set

from rl_postproc.data.frames import Frames


def own_edges() -> torch.Tensor:
    """Edges of three clips that are not on one grid."""
    return torch.from_numpy(np.cumsum(np.random.default_rng(0).random((3, 6)) + 0.01, axis=1))


@pytest.mark.parametrize("edges", [torch.arange(6, dtype=torch.float64) * 0.064, own_edges()], ids=["shared", "own"])
def test_an_event_lies_between_the_edges_of_its_frames_and_ends_with_its_clip(edges: torch.Tensor) -> None:
    table = edges.expand(3, -1)
    durations = [float(table[0, 5]), float(table[1, 4] + table[1, 5]) / 2, float(table[2, 2])]
    scores = make_set(torch.zeros(3, 2, 5), edges=edges, durations=durations)
    frames = scores.frames
    assert len(frames) == 6
    for track in range(6):
        clip = track // 2
        for frame in range(int(frames.n_frames[track])):
            where = torch.tensor(track), torch.tensor(frame)
            assert float(frames.onset_times(*where)) == round(float(table[clip, frame]), 6)
            expected = min(float(table[clip, frame + 1]), durations[clip])
            assert float(frames.offset_times(*where)) == round(expected, 6)
    assert frames.n_frames.tolist() == [5, 5, 5, 5, 2, 2]


@pytest.mark.parametrize("edges", [torch.arange(6, dtype=torch.float64) * 0.064, own_edges()], ids=["shared", "own"])
def test_selected_tracks_keep_their_own_frames_even_several_times(edges: torch.Tensor) -> None:
    scores = make_set(torch.zeros(3, 2, 5), edges=edges, n_frames=[5, 3, 1])
    frames, tracks = scores.frames, torch.tensor([4, 0, 3, 3])
    part = frames.select(tracks)
    assert part.n_frames.tolist() == [1, 5, 3, 3]
    assert torch.equal(part.durations, scores.durations[[2, 0, 1, 1]])
    assert part.hop == frames.hop == scores.hop
    place, first = torch.arange(4), torch.zeros(4, dtype=torch.int64)
    assert torch.equal(part.onset_times(place, first), frames.onset_times(tracks, first))
    assert torch.equal(part.offset_times(place, first), frames.offset_times(tracks, first))
    assert len(part.edges) == len(scores.edges) if len(scores.edges) == 1 else len(part.edges) == 4


def test_the_frames_of_some_clips_are_those_of_all_in_between() -> None:
    scores = make_set(torch.zeros(3, 2, 5), edges=own_edges(), n_frames=[5, 3, 1])
    found, expected = scores.frames_of(slice(1, 3)), scores.frames.select(torch.arange(2, 6))
    for name in ("n_frames", "edges", "durations"):
        assert torch.equal(getattr(found, name), getattr(expected, name)), name
    assert torch.equal(scores.clip_frames.select(torch.tensor([1])).edges, scores.edges[1:2])


def test_times_broadcast_over_tracks_and_frames() -> None:
    frames = Frames(torch.tensor([4, 2]), 0.5, torch.arange(5, dtype=torch.float64)[None] / 2, torch.tensor([2.0, 0.8]))
    times = frames.offset_times(torch.arange(2)[:, None], torch.arange(2))
    assert times.flatten().tolist() == pytest.approx([0.5, 1.0, 0.5, 0.8])
    assert frames.onset_times(torch.arange(2)[:, None], torch.arange(2)).tolist() == [[0.0, 0.5], [0.0, 0.5]]
