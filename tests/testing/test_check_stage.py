"""The conformance check of stages passes on what is here and on stages of every kind, and fails on broken promises."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import pytest
import torch
from plugin_cases import Boxes, Delay, Dilation, Echo, Erosion, Hysteresis, Padding, Shortest, Sure

from rl_postproc.data.frames import Frames
from rl_postproc.data.track_events import TrackEvents
from rl_postproc.stages import Stage
from rl_postproc.stages.gaussian import GaussianFilter
from rl_postproc.stages.hysteresis import Hysteresis as HysteresisStage
from rl_postproc.stages.hysteresis import _SureRuns
from rl_postproc.stages.median import MedianFilter
from rl_postproc.stages.normalise import Normalise
from rl_postproc.stages.threshold import Threshold
from rl_postproc.testing import NonConformant, check_stage

OURS = {name: kind for name, kind in Stage.types().items() if kind.__module__.startswith("rl_postproc.stages")}
OTHERS = (Boxes, Delay, Dilation, Echo, Erosion, Hysteresis, Padding, Shortest, Sure)


@pytest.mark.parametrize("name", OURS)
def test_stages_of_this_package_conform(name: str) -> None:
    check_stage(OURS[name]())


@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize("seed", [0, 1])
def test_stages_of_every_kind_conform(kind: type[Stage], seed: int) -> None:
    check_stage(kind(), seed)


def broken(base: type[Stage], change: Callable | None = None, **declared: Any) -> Stage:
    """Returns a stage like another with a name of its own, which does or declares something else."""
    name = f"test_broken_{base.__name__.lower()}_{change.__name__ if change else '_'.join(declared)}"
    own = {} if change is None else {"__call__": change}
    body = {"__annotations__": {"stage": Literal[name]}, "stage": name, "__module__": __name__, **own, **declared}
    return type(base)(name, (base,), body)()


def events_of(x: TrackEvents, **changes: torch.Tensor | int) -> TrackEvents:
    """Returns events with other columns."""
    return TrackEvents(**{name: changes.get(name, getattr(x, name)) for name in x.__dataclass_fields__})


# --- stages that give scores


def writes(self: Stage, x: torch.Tensor, frames: Frames, **values: torch.Tensor) -> torch.Tensor:
    x *= 0.5
    return x


def leaks(self: Stage, x: torch.Tensor, frames: Frames, **values: torch.Tensor) -> torch.Tensor:
    return torch.full_like(x, 0.3)


def mixes(self: Stage, x: torch.Tensor, frames: Frames, **values: torch.Tensor) -> torch.Tensor:
    return torch.where(torch.arange(len(x))[:, None] < frames.n_frames, x.mean(1, keepdim=True).expand_as(x), 0.0)


def bends(self: Stage, x: torch.Tensor, frames: Frames, **values: torch.Tensor) -> torch.Tensor:
    return (x * 0.9).clamp(max=0.8)


def exceeds(self: Stage, x: torch.Tensor, frames: Frames, **values: torch.Tensor) -> torch.Tensor:
    return x * 1.5


def wavers(self: Stage, x: torch.Tensor, frames: Frames, **values: torch.Tensor) -> torch.Tensor:
    return x * torch.rand(1)


def counts_the_padding(self: Stage, x: torch.Tensor, frames: Frames, **values: torch.Tensor) -> torch.Tensor:
    return x / len(x)


# --- stages that give decisions


def speaks_up(self: Stage, x: torch.Tensor, frames: Frames, **values: torch.Tensor) -> torch.Tensor:
    return ~x & (torch.arange(len(x))[:, None] < frames.n_frames)


def gives_scores(self: Stage, x: torch.Tensor, frames: Frames, **values: torch.Tensor) -> torch.Tensor:
    return x.float()


# --- stages that give events


def overlaps(self: Stage, x: TrackEvents, frames: Frames, **values: torch.Tensor) -> TrackEvents:
    return events_of(x, offset=torch.minimum(x.offset + 2.0, frames.durations[x.track]))


def begins_before_the_clip(self: Stage, x: TrackEvents, frames: Frames, **values: torch.Tensor) -> TrackEvents:
    return events_of(x, onset=torch.where(x.onset == 0, -0.05, x.onset))


def outlives_the_clip(self: Stage, x: TrackEvents, frames: Frames, **values: torch.Tensor) -> TrackEvents:
    return events_of(x, offset=torch.where(x.offset == frames.durations[x.track], x.offset + 0.01, x.offset))


def leaves_no_length(self: Stage, x: TrackEvents, frames: Frames, **values: torch.Tensor) -> TrackEvents:
    return events_of(x, offset=x.onset)


def turns_around(self: Stage, x: TrackEvents, frames: Frames, **values: torch.Tensor) -> TrackEvents:
    return events_of(x, **{name: getattr(x, name).flip(0) for name in ("track", "onset", "offset", "confidence")})


def exaggerates(self: Stage, x: TrackEvents, frames: Frames, **values: torch.Tensor) -> TrackEvents:
    return events_of(x, confidence=x.confidence * 2)


def invents(self: Stage, x: TrackEvents, frames: Frames, **values: torch.Tensor) -> TrackEvents:
    if len(x):
        return x
    track = torch.arange(x.n_tracks)
    return TrackEvents(track, track * 0.0, track * 0.0 + 0.01, torch.ones(x.n_tracks), x.n_tracks)


def adds_a_track(self: Stage, x: TrackEvents, frames: Frames, **values: torch.Tensor) -> TrackEvents:
    return events_of(x, n_tracks=x.n_tracks + 1)


def compares_tracks(self: Stage, x: TrackEvents, frames: Frames, **values: torch.Tensor) -> TrackEvents:
    return events_of(x, confidence=x.confidence / max(1, len(x)))


def gives_decisions(self: Stage, x: TrackEvents, frames: Frames, **values: torch.Tensor) -> torch.Tensor:
    return torch.zeros(frames.edges.shape[1] - 1, x.n_tracks, dtype=torch.bool)


# --- stages that decide


def reaches(self: Stage, x: torch.Tensor, frames: Frames, **values: torch.Tensor) -> torch.Tensor:
    return (x >= values["threshold"]) & (x > 0)


def holds_on(self: Stage, x: torch.Tensor, frames: Frames, **values: torch.Tensor) -> torch.Tensor:
    active = x > values["threshold"]
    return active & torch.nn.functional.pad(active, (0, 0, 1, 0))[: len(x)]


@pytest.mark.parametrize(
    ("base", "change", "message"),
    [
        (Delay, writes, "writes into its input"),
        (Delay, leaks, "beyond a clip's last frame"),
        (Delay, mixes, "by itself than among others"),
        (Delay, bends, "monotone"),
        (Delay, exceeds, r"scores outside \[0, 1\]"),
        (Delay, wavers, "something else the second time"),
        (Delay, counts_the_padding, "how far its input is padded"),
        (Erosion, speaks_up, "out of silence"),
        (Erosion, gives_scores, "gives torch.float32"),
        (Padding, overlaps, "overlap"),
        (Padding, begins_before_the_clip, "outside their clip"),
        (Padding, outlives_the_clip, "outside their clip"),
        (Padding, leaves_no_length, "of no length"),
        (Padding, turns_around, "not sorted by track and onset"),
        (Padding, exaggerates, r"confidences outside \[0, 1\]"),
        (Padding, invents, "out of silence"),
        (Padding, adds_a_track, "gives 19 tracks, not 18"),
        (Padding, compares_tracks, "by itself than among others"),
        (Padding, gives_decisions, "gives Tensor, not TrackEvents"),
        (Threshold, reaches, "says decides_at"),
        (Threshold, holds_on, "says decides_at"),
    ],
)
def test_a_stage_that_breaks_a_promise_is_refused(base: type[Stage], change: Callable, message: str) -> None:
    with pytest.raises(NonConformant, match=message):
        check_stage(broken(base, change))


@pytest.mark.parametrize(
    ("base", "declared", "message"),
    [
        (Hysteresis, {"decides_at": "low"}, "says decides_at"),
        (Boxes, {"decides_at": "level"}, "says decides_at"),
        (Erosion, {"decides_at": "length"}, "says decides_at"),
        (Threshold, {"decides_at": "treshold"}, "says decides_at"),
        (HysteresisStage, {"compares": ("onset",)}, "says compares"),
        (HysteresisStage, {"compares": ("offset", "onsets")}, "says compares"),
        (Erosion, {"compares": ("length",)}, "says compares"),
        (Echo, {"monotone": True}, "says monotone"),
        (Hysteresis, {"monotone": True}, "says monotone"),
        (Boxes, {"gives": "decisions"}, "gives TrackEvents"),
        (Erosion, {"gives": "events"}, "gives Tensor"),
    ],
)
def test_a_stage_that_declares_what_it_does_not_do_is_refused(
    base: type[Stage], declared: dict[str, Any], message: str
) -> None:
    with pytest.raises(NonConformant, match=message):
        check_stage(broken(base, **declared))


def test_a_sweep_that_differs_from_the_calls_is_refused() -> None:
    def sweep(self: Stage, x: torch.Tensor, frames: Frames) -> torch.Tensor:
        return Stage.sweep(self, x, frames).flip(0)

    with pytest.raises(NonConformant, match="sweep differs from the call"):
        check_stage(broken(Delay, sweep=sweep))
    with pytest.raises(NonConformant, match="not found by its name"):
        check_stage(type("Nameless", (Delay,), {"__module__": __name__})())


def far(self: Stage, hop: float, **values: torch.Tensor) -> int:
    return 0


@pytest.mark.parametrize(
    ("base", "declared"),
    [
        (MedianFilter, {"reach": far}),
        (GaussianFilter, {"reach": far}),
        (Delay, {"reach": far}),
        (Normalise, {"__call__": lambda self, x, frames, **values: x.square()}),
        (HysteresisStage, {"in_pieces": lambda self, hop, **values: _SureRuns(values["onset"], values["onset"])}),
    ],
)
def test_a_stage_that_reaches_farther_than_it_says_is_refused(base: type[Stage], declared: dict[str, Any]) -> None:
    with pytest.raises(NonConformant, match="in pieces"):
        for seed in range(3):
            check_stage(broken(base, **declared), seed)
