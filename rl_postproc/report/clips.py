"""The clips of a report: score tracks as bytes, events with their kinds of errors, and which clips are kept of many."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from rl_postproc.data.events import Events
from rl_postproc.data.scores import ScoreSet
from rl_postproc.diary.kinds import KINDS, Errors, find_errors
from rl_postproc.metrics.base import Metric
from rl_postproc.metrics.event_based.collars import CollarMetric
from rl_postproc.metrics.f1 import DETECTION
from rl_postproc.report.browser import Browser, BrowserEvents

FLOOR = 0.05
"""Tracks that stay below it, and hold no event, are left out."""
MOST_FRAMES = 1500
"""Frames of a track beyond which neighbours are shown by their highest score."""
SCORE_BYTES = 1_850_000
"""Compressed bytes that score tracks may take."""
MADE_BYTES = 1 << 26
"""Bytes of tracks that are compressed to see how many clips can be kept."""
_CHUNK = 1 << 22
"""Scores that are turned into bytes at a time."""
MOST_EVENTS = 36_000
"""Events of all systems and references that are kept."""


def make_browser(
    scores: ScoreSet,
    systems: Mapping[str, Events],
    metric: Metric,
    chosen: Mapping[str, Sequence[float | None]] | None = None,
    score_bytes: int = SCORE_BYTES,
    most_events: int = MOST_EVENTS,
) -> tuple[Browser, list[str]]:
    """Puts together what the clip browser shows.

    Of more clips than the report may hold those are kept on which the systems differ most: the range of their true
    positives, and of their false alarms. Without references, the range of their numbers of events.

    Args:
        scores: the clips, with references or without.
        systems: events of at least one system over these clips and classes, by name.
        metric: what tells true positives, and kinds of errors where it matches events by onset and offset.
        chosen: thresholds by system and class, None where a class has none.
        score_bytes: compressed bytes that score tracks may take.
        most_events: events of all systems and references that are kept.

    Returns:
        The clips, and sentences on what was left out.
    """
    scores = scores.to("cpu")
    systems = {name: events.to("cpu") for name, events in systems.items()}
    notes, errors = list[str](), dict[str, Errors]()
    counts = _counts(scores, systems, metric)
    if scores.references is not None and isinstance(metric, CollarMetric):
        errors = {name: find_errors(scores.references, events, metric) for name, events in systems.items()}
    order = _order(scores, systems, counts, most_events)
    tracks = _Tracks.of(
        scores, [*systems.values(), *([scores.references] if scores.references is not None else [])], order
    )
    own = tracks.within(score_bytes)
    kept = own.clips
    if len(kept) < scores.n_clips:
        notes.append(f"The clip browser holds {len(kept)} of {scores.n_clips} clips, those on which the systems differ most; "
                     "tables and charts are of all.")  # fmt: skip
    if tracks.is_uneven:
        notes.append("Frames of uneven length are drawn as if all of a clip were equally long; events are exact.")
    if tracks.step > 1:
        notes.append(f"Of score tracks longer than {MOST_FRAMES} frames the browser shows the highest of each "
                     f"{tracks.step} neighbours; events are exact.")  # fmt: skip
    browser = Browser(
        clip_ids=[scores.clip_ids[i] for i in kept.tolist()],
        durations=scores.durations[kept].double().numpy(),
        classes=scores.classes,
        tracks=own.label.astype(np.int32),
        n_tracks=np.bincount(own.clip, minlength=len(kept)).astype(np.int32),
        n_frames=own.n_frames.astype(np.int32),
        steps=own.steps,
        scores=own.levels,
        floor=FLOOR,
        systems={name: _shown(events, kept, errors[name].estimates if name in errors else None, metric)
                 for name, events in systems.items()},
        counts={name: column[kept.numpy()] for name, column in counts.items()},
        references=None if scores.references is None else _shown(
            scores.references, kept, torch.stack([own.references for own in errors.values()]) if errors else None, None),
        kinds=KINDS if errors else {},
        chosen=chosen or {},
        n_clips=scores.n_clips,
    )  # fmt: skip
    return browser, notes


def _counts(scores: ScoreSet, systems: Mapping[str, Events], metric: Metric) -> dict[str, np.ndarray]:
    """Returns true positives, events and references of each clip by system; nothing where they are not counted."""
    if scores.references is None or not set(DETECTION) <= set(metric.columns):
        return {}
    found = {}
    for name, events in systems.items():
        counted = metric.count(scores.references, events)
        columns = [counted[column].sum(1).cpu() for column in ("true_positives", "estimated", "reference")]
        found[name] = torch.stack(columns, 1).numpy().astype(np.int32)
    return found


def _order(
    scores: ScoreSet, systems: Mapping[str, Events], counts: Mapping[str, np.ndarray], most_events: int
) -> torch.Tensor:
    """Returns the clips that may be kept, int64 ``[clip]``: those first on which the systems differ most."""
    n_events = torch.stack([_per_clip(events) for events in systems.values()])
    if counts:
        differing = torch.from_numpy(how_far_apart(counts)).long()
    else:
        differing = n_events.amax(0) - n_events.amin(0)
    n_events = n_events.sum(0)
    if scores.references is not None:
        n_events = n_events + _per_clip(scores.references)
    # Of equal clips the busier ones, then in the order of the set.
    order = torch.argsort(differing * (int(n_events.max()) + 1) + n_events, descending=True, stable=True)
    return order[: max(1, int((n_events[order].cumsum(0) <= most_events).sum()))]


def how_far_apart(counts: Mapping[str, np.ndarray]) -> np.ndarray:
    """Returns how far systems differ in each clip: the range of their true positives, and that of their false alarms.

    Args:
        counts: true positives, events and references of each clip by system, at least one, ``[clip, 3]``.
    """
    hits, found, _ = np.stack(list(counts.values())).transpose(2, 0, 1)
    return np.ptp(hits, 0) + np.ptp(found - hits, 0)


def _per_clip(events: Events) -> torch.Tensor:
    return torch.bincount(events.clip, minlength=len(events.clip_ids))


def _shown(events: Events, kept: torch.Tensor, kind: torch.Tensor | None, metric: Metric | None) -> BrowserEvents:
    """Returns the events of some clips; confidences where not all are alike."""
    place = torch.full((len(events.clip_ids),), -1)
    place[kept] = torch.arange(len(kept))
    own = place[events.clip] >= 0
    sure = events.confidence[own]
    return BrowserEvents(
        clip=place[events.clip][own].numpy().astype(np.int32),
        label=events.label[own].numpy().astype(np.int32),
        onset=events.onset[own].numpy(),
        offset=events.offset[own].numpy(),
        kind=None if kind is None else kind[..., own].numpy().astype(np.int8),
        confidence=sure.double().numpy() if metric is not None and bool((sure != 1).any()) else None,
    )


@dataclass(frozen=True)
class _Tracks:
    """The tracks that are shown, as bytes.

    Attributes:
        clips: the clips in the order of their set, int64 ``[clip]``.
        rank: place of each by how much the systems differ, int64 ``[clip]``.
        clip: clip of each track as its place among these, int64 ``[track]``, ascending.
        label: class of each track, int64 ``[track]``.
        n_frames: frames of each clip, int64 ``[clip]``.
        steps: seconds from frame to frame of each clip, float64 ``[clip]``.
        levels: all frames of all tracks, uint8.
        step: number of neighbours that one frame stands for.
        is_uneven: whether frames of a clip are not all equally long.
    """

    clips: torch.Tensor
    rank: np.ndarray
    clip: np.ndarray
    label: np.ndarray
    n_frames: np.ndarray
    steps: np.ndarray
    levels: np.ndarray
    step: int
    is_uneven: bool

    @classmethod
    def of(cls, scores: ScoreSet, events: Sequence[Events], order: torch.Tensor) -> _Tracks:
        """Makes the tracks that reach the floor or hold an event, of the first clips, as many as memory is given for.

        Time is that of finding each track's highest score, memory that of the tracks that are made and a chunk of them.
        """
        kept = scores.scores.amax(2) >= FLOOR
        for own in events:
            kept[own.clip, own.label] = True
        step = -(-scores.width // MOST_FRAMES)
        n_frames = -(-scores.n_frames // step)
        size = (kept.sum(1) * n_frames)[order].cumsum(0)
        order = order[: max(1, int((size <= MADE_BYTES).sum()))]
        clips, rank = order.sort()
        clip, label = kept[clips].nonzero(as_tuple=True)
        tracks = torch.arange(len(clip)).split(max(1, _CHUNK // scores.width))
        levels = [
            _levels(scores.scores[clips[clip[own]], label[own]], n_frames[clips[clip[own]]], step) for own in tracks
        ]
        edges, lengths = scores.edges if len(scores.edges) == 1 else scores.edges[clips], scores.n_frames[clips]
        hop = edges.expand(len(clips), -1).gather(1, lengths[:, None])[:, 0] / lengths
        # Frames that all clips share are looked at once, in the longest.
        longest = lengths.argmax()[None] if len(edges) == 1 else torch.arange(len(clips))
        place = torch.arange(edges.shape[1])
        away = (edges - place * hop[longest, None]).abs().where(place <= lengths[longest, None], 0)
        return cls(clips, rank.numpy(), clip.numpy(), label.numpy(), n_frames[clips].numpy(), (hop * step).numpy(),
                   np.concatenate(levels), step, bool((away.amax(1) > hop[longest] / 2).any()))  # fmt: skip

    def within(self, most_bytes: int) -> _Tracks:
        """Returns the tracks of as many of the first clips as stay within so many bytes, once they are compressed."""
        found = self
        while (size := len(zlib.compress(found.levels.tobytes(), 6))) > most_bytes and len(found.clips) > 1:
            # By the mean; busier clips, which come first, take more.
            found = found._first(min(len(found.clips) - 1, int(len(found.clips) * most_bytes / size)))
        return found

    def _first(self, n: int) -> _Tracks:
        """Returns the tracks of the clips on which the systems differ most."""
        kept = self.rank < max(1, n)
        own = kept[self.clip]
        frames = np.repeat(own, self.n_frames[self.clip])
        clip = (np.cumsum(kept) - 1)[self.clip[own]]
        return replace(self, clips=self.clips[torch.from_numpy(kept)], rank=self.rank[kept], clip=clip, label=self.label[own],
                       n_frames=self.n_frames[kept], steps=self.steps[kept], levels=self.levels[frames])  # fmt: skip


def _levels(tracks: torch.Tensor, n_frames: torch.Tensor, step: int) -> np.ndarray:
    """Returns tracks ``[track, frame]`` as bytes, the highest of so many neighbours, one after another without their ends."""
    levels = (tracks * 255).round().to(torch.uint8)
    if step > 1:
        levels = torch.nn.functional.pad(levels, (0, -levels.shape[1] % step)).unflatten(1, (-1, step)).amax(2)
    return levels[torch.arange(levels.shape[1]) < n_frames[:, None]].numpy()
