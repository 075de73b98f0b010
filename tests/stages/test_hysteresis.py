"""Hysteresis against its definition, a state that each frame keeps or changes."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rl_postproc.data.frames import Frames
from rl_postproc.stages.hysteresis import Hysteresis
from rl_postproc.stages.threshold import Threshold
from rl_postproc.utils.errors import UserError

LEVELS = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
scores = st.lists(st.sampled_from([0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]), min_size=1, max_size=30)


def frames_of(n: int, n_tracks: int = 1) -> Frames:
    edges = torch.arange(n + 1, dtype=torch.float64)[None]
    return Frames(torch.full((n_tracks,), n), 1.0, edges, torch.full((n_tracks,), float(n)))


def plain(track: list[float], onset: float, offset: float) -> list[bool]:
    active, found = False, []
    for score in torch.tensor(track).tolist():
        active = score > offset if active else score > onset
        found.append(active)
    return found


@settings(max_examples=300)
@given(track=scores, pair=st.tuples(st.sampled_from(LEVELS), st.sampled_from(LEVELS)))
def test_it_is_the_state_machine(track: list[float], pair: tuple[float, float]) -> None:
    onset, offset = (float(torch.tensor(level)) for level in (max(pair), min(pair)))
    forward = Hysteresis.model_validate({"extent": "forward"})
    found = forward(torch.tensor(track)[:, None], frames_of(len(track)), onset=torch.tensor([onset]),
                    offset=torch.tensor([offset]))  # fmt: skip
    assert found[:, 0].tolist() == plain(track, onset, offset)


@settings(max_examples=200)
@given(track=scores, pair=st.tuples(st.sampled_from(LEVELS), st.sampled_from(LEVELS)))
def test_whole_runs_are_those_that_scipy_labels(track: list[float], pair: tuple[float, float]) -> None:
    x, onset, offset = torch.tensor(track), max(pair), min(pair)
    above = (x > torch.tensor(offset)).numpy()
    runs, n = scipy.ndimage.label(above)  # pyright: ignore[reportGeneralTypeIssues]
    sure = [k for k in range(1, n + 1) if bool((x[torch.from_numpy(runs == k)] > torch.tensor(onset)).any())]
    found = Hysteresis()(x[:, None], frames_of(len(track)), onset=torch.tensor([onset]), offset=torch.tensor([offset]))
    assert found[:, 0].tolist() == np.isin(runs, sure).tolist()


@given(track=scores, level=st.sampled_from(LEVELS), more=st.sampled_from([0.0, 0.1, 0.5]))
def test_alike_or_turned_round_its_two_are_a_threshold(track: list[float], level: float, more: float) -> None:
    x, one = torch.tensor(track)[:, None], torch.tensor([level])
    higher = (one + more).clamp(max=1)
    # Whole runs are those above the offset; going forward, the onset must be passed in any case.
    for extent, decides in (("run", higher), ("forward", one)):
        stage = Hysteresis.model_validate({"extent": extent})
        found = stage(x, frames_of(len(track)), onset=one, offset=higher)
        assert torch.equal(found, Threshold()(x, frames_of(len(track)), threshold=decides))


@pytest.mark.parametrize("values", [{"onset": 0.3, "offset": 0.5}, {"onset": [0.1, 0.2], "offset": [0.3, 0.4]}])
def test_an_offset_that_is_never_below_the_onset_is_refused(values: dict) -> None:
    with pytest.raises(UserError, match=r"cannot begin above 0\.[23] and end below 0\.[35]; give offset values"):
        Hysteresis.make({"stage": "hysteresis", **{k: v if isinstance(v, list) else {"candidates": [v], "default": v}
                                                   for k, v in values.items()}})  # fmt: skip
