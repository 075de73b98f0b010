"""Stages of every kind, a metric with counts of its own and an objective, as third parties would write them."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field

from rl_postproc.data.events import Events
from rl_postproc.data.frames import Frames
from rl_postproc.data.track_events import TrackEvents
from rl_postproc.metrics import Counts, Metric, Objective
from rl_postproc.stages import Kind, Parameter, Probability, Seconds, Stage


class Echo(Stage):
    """A score takes over a share of the one before it, which no map of the scores commutes with."""

    stage: Literal["test_echo"] = "test_echo"
    share: Probability = Parameter(candidates=(0.0, 0.3, 0.7), default=0.0)
    takes: ClassVar[Kind] = "scores"
    gives: ClassVar[Kind] = "scores"

    def __call__(self, x: torch.Tensor, frames: Frames, **values: torch.Tensor) -> torch.Tensor:
        share = values["share"].to(x.dtype)
        out = (1 - share) * x + share * torch.nn.functional.pad(x, (0, 0, 1, 0))[: len(x)]
        return out.masked_fill(torch.arange(len(x))[:, None] >= frames.n_frames, 0)


class Delay(Stage):
    """Scores come later, by a whole number of frames."""

    stage: Literal["test_delay"] = "test_delay"
    by: Seconds = Parameter(candidates=(0.0, 0.1, 0.3), default=0.0)
    takes: ClassVar[Kind] = "scores"
    gives: ClassVar[Kind] = "scores"
    monotone: ClassVar[bool] = True

    def __call__(self, x: torch.Tensor, frames: Frames, **values: torch.Tensor) -> torch.Tensor:
        n = (values["by"] / frames.hop).round().long()
        out = torch.zeros_like(x)
        for later in range(int(n.max()) + 1):
            out = torch.where(n == later, torch.nn.functional.pad(x, (0, 0, later, 0))[: len(x)], out)
        return out.masked_fill(torch.arange(len(x))[:, None] >= frames.n_frames, 0)


class Erosion(Stage):
    """A frame stays active if those before it, as many as fit the length, are active too."""

    stage: Literal["test_erosion"] = "test_erosion"
    length: Seconds = Parameter(candidates=(0.0, 0.1, 0.3), default=0.0)
    takes: ClassVar[Kind] = "decisions"
    gives: ClassVar[Kind] = "decisions"

    def __call__(self, x: torch.Tensor, frames: Frames, **values: torch.Tensor) -> torch.Tensor:
        n = (values["length"] / frames.hop).round().long()
        out = x.clone()
        for back in range(1, int(n.max()) + 1):
            before = torch.nn.functional.pad(x, (0, 0, back, 0))[: len(x)]
            out &= before | (back > n)
        return out


class Dilation(Stage):
    """Active frames stay active for a while."""

    stage: Literal["test_dilation"] = "test_dilation"
    length: Seconds = Parameter(candidates=(0.0, 0.1, 0.3), default=0.0)
    takes: ClassVar[Kind] = "decisions"
    gives: ClassVar[Kind] = "decisions"

    def __call__(self, x: torch.Tensor, frames: Frames, **values: torch.Tensor) -> torch.Tensor:
        n = (values["length"] / frames.hop).round().long()
        out = x.clone()
        for back in range(1, int(n.max()) + 1):
            out |= torch.nn.functional.pad(x, (0, 0, back, 0))[: len(x)] & (back <= n)
        return out & (torch.arange(len(x))[:, None] < frames.n_frames)


class Hysteresis(Stage):
    """A run of frames above the low threshold is active if one of them is above the high one too."""

    stage: Literal["test_hysteresis"] = "test_hysteresis"
    low: Probability = Parameter(candidates=(0.2, 0.5), default=0.2)
    high: Probability = Parameter(candidates=(0.3, 0.6, 0.9), default=0.6)
    takes: ClassVar[Kind] = "scores"
    gives: ClassVar[Kind] = "decisions"

    def __call__(self, x: torch.Tensor, frames: Frames, **values: torch.Tensor) -> torch.Tensor:
        above = x > values["low"]
        run = (above & ~torch.nn.functional.pad(above, (0, 0, 1, 0))[: len(x)]).cumsum(0)
        sure = (above & (x > values["high"])).long()
        found = torch.zeros(len(x) + 1, x.shape[1], dtype=torch.int64).scatter_reduce(0, run, sure, "amax")
        return above & found.gather(0, run).bool()


class Boxes(Stage):
    """Scores become events straight away, each as sure as its highest score."""

    stage: Literal["test_boxes"] = "test_boxes"
    level: Probability = Parameter(candidates=(0.2, 0.5, 0.8), default=0.5)
    takes: ClassVar[Kind] = "scores"
    gives: ClassVar[Kind] = "events"

    def __call__(self, x: torch.Tensor, frames: Frames, **values: torch.Tensor) -> TrackEvents:
        active = (x > values["level"]).T
        run = (active & ~torch.nn.functional.pad(active, (1, 0))[:, :-1]).flatten().cumsum(0) - 1
        found = TrackEvents.from_decisions(active.T, frames)
        inside = active.flatten()
        most = torch.zeros(len(found)).scatter_reduce(0, run[inside], x.T.flatten()[inside], "amax")
        return TrackEvents(found.track, found.onset, found.offset, most, found.n_tracks)


class Shortest(Stage):
    """Drops events that are shorter than a length."""

    stage: Literal["test_shortest"] = "test_shortest"
    length: Seconds = Parameter(candidates=(0.0, 0.15, 0.35), default=0.0)
    takes: ClassVar[Kind] = "events"
    gives: ClassVar[Kind] = "events"

    def __call__(self, x: TrackEvents, frames: Frames, **values: torch.Tensor) -> TrackEvents:
        kept = x.offset - x.onset >= values["length"].double()[x.track]
        return TrackEvents(x.track[kept], x.onset[kept], x.offset[kept], x.confidence[kept], x.n_tracks)


class Sure(Stage):
    """Drops events of which the stage before is not sure enough."""

    stage: Literal["test_sure"] = "test_sure"
    least: Probability = Parameter(candidates=(0.0, 0.7), default=0.0)
    takes: ClassVar[Kind] = "events"
    gives: ClassVar[Kind] = "events"

    def __call__(self, x: TrackEvents, frames: Frames, **values: torch.Tensor) -> TrackEvents:
        kept = x.confidence >= values["least"][x.track]
        return TrackEvents(x.track[kept], x.onset[kept], x.offset[kept], x.confidence[kept], x.n_tracks)


class Padding(Stage):
    """Makes events longer on both sides, off the frame grid, up to the clip's ends and to the next event."""

    stage: Literal["test_padding"] = "test_padding"
    by: Seconds = Parameter(candidates=(0.0, 0.037, 0.213), default=0.0)
    takes: ClassVar[Kind] = "events"
    gives: ClassVar[Kind] = "events"

    def __call__(self, x: TrackEvents, frames: Frames, **values: torch.Tensor) -> TrackEvents:
        by = values["by"].double()[x.track]
        neighbours = x.track[1:] == x.track[:-1]
        middle = (x.offset[:-1] + x.onset[1:]) / 2
        left = torch.where(neighbours, middle, 0.0)
        right = torch.where(neighbours, middle, frames.durations[x.track[:-1]])
        onset = torch.maximum(x.onset - by, torch.cat([torch.zeros_like(x.onset[:1]), left]))
        offset = torch.minimum(x.offset + by, torch.cat([right, frames.durations[x.track[-1:]]]))
        return TrackEvents(x.track, onset, offset, x.confidence, x.n_tracks)


class Onsets(Metric):
    """Hits, misses and false alarms of onsets within a quarter of a second, counted in plain loops."""

    metric: Literal["test_onsets"] = "test_onsets"
    sure: float = Field(default=0.0, description="events below this confidence do not count")
    columns: ClassVar[tuple[str, ...]] = ("hits", "misses", "false_alarms")
    score_name: ClassVar[str] = "onset_f1"

    def count(self, references: Events, estimates: Events) -> Counts:
        shape = len(references.clip_ids), len(references.classes)
        table = torch.zeros(3, *shape, dtype=torch.int64)
        wanted, found = onsets(references, 0.0), onsets(estimates, self.sure)
        for cell in {*wanted, *found}:
            free, hits = list(found.get(cell, ())), 0
            for onset in wanted.get(cell, ()):
                suited = [other for other in free if abs(other - onset) <= 0.25]
                if suited:
                    free.remove(suited[0])
                    hits += 1
            table[:, cell[0], cell[1]] = torch.tensor([hits, len(wanted.get(cell, ())) - hits, len(free)])
        return dict(zip(self.columns, table, strict=True))

    def score(self, counts: Counts) -> torch.Tensor:
        hits, wanted = counts["hits"], counts["hits"] + counts["misses"]
        score = 2 * hits / (hits + wanted + counts["false_alarms"]).clamp(min=1)
        return torch.where(wanted > 0, score, torch.nan)

    def output(self, counts: Counts) -> torch.Tensor:
        return counts["hits"] + counts["false_alarms"]


class Pooled(Objective):
    """The score of all classes together."""

    objective: Literal["test_pooled"] = "test_pooled"

    def value(self, metric: Metric, counts: Counts) -> torch.Tensor:
        pooled = metric.score({name: column.sum(-1, keepdim=True) for name, column in counts.items()})
        return pooled[..., 0].nan_to_num(0.0)


def onsets(events: Events, sure: float) -> dict[tuple[int, int], list[float]]:
    """Returns the onsets of each clip and class, in order."""
    found: dict[tuple[int, int], list[float]] = {}
    columns = (events.clip, events.label, events.onset, events.confidence)
    for clip, label, onset, confidence in zip(*(column.tolist() for column in columns), strict=True):
        if confidence >= sure:
            found.setdefault((clip, label), []).append(onset)
    return found
