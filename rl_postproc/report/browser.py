"""What the clip browser of a report holds: score tracks, references and the events of several systems, as plain arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

HIT = -1
"""In place of a kind of error where there is none."""


@dataclass(frozen=True)
class BrowserEvents:
    """Events over the clips of a browser, sorted by clip.

    Attributes:
        clip: index of the clip, int32 ``[event]``.
        label: index of the class, int32 ``[event]``.
        onset: seconds, float64 ``[event]``.
        offset: seconds, float64 ``[event]``.
        kind: index of the kind of error, or `HIT`, int8 ``[event]``; of references one for each system, ``[system, event]``.
            None where kinds are not told.
        confidence: float64 ``[event]``, or None.
    """

    clip: np.ndarray
    label: np.ndarray
    onset: np.ndarray
    offset: np.ndarray
    kind: np.ndarray | None = None
    confidence: np.ndarray | None = None


@dataclass(frozen=True)
class Sound:
    """What is heard of a clip.

    Attributes:
        mime: type of the file, such as ``audio/mpeg``.
        data: the file.
        spectrogram: levels from 0 (silent) to 255, uint8 ``[band, column]``, low bands first; columns share the clip evenly.
        top: upper end of the highest band, Hz.
        scale: ``mel`` or ``linear``.
    """

    mime: str
    data: bytes
    spectrogram: np.ndarray
    top: float
    scale: str = "mel"


@dataclass(frozen=True)
class Browser:
    """Clips that can be looked at.

    Attributes:
        clip_ids: their names.
        durations: seconds, float64 ``[clip]``.
        classes: names.
        tracks: class of every track that is kept, of each clip in turn, int32 ``[track]``.
        n_tracks: number of tracks of each clip, int32 ``[clip]``; tracks that stay below `floor` are left out.
        n_frames: frames of a track of each clip, int32 ``[clip]``.
        steps: seconds from frame to frame of each clip, float64 ``[clip]``; the first frame begins at 0.
        scores: scores times 255, uint8, all frames of all tracks one after another ``[sum of n_tracks · n_frames]``.
        floor: scores below it are not shown where a track is left out.
        systems: events by the name of what made them, such as an agent.
        counts: true positives, events and references of each clip by system, int32 ``[clip, 3]``; empty without references.
        references: None without any.
        kinds: kinds of errors and what they are, in the order of the events' indices.
        chosen: thresholds by system and class, to be drawn in the tracks; only of systems with constants.
        sounds: of some clips, by index.
        n_clips: how many clips there were before sampling.
    """

    clip_ids: Sequence[str]
    durations: np.ndarray
    classes: Sequence[str]
    tracks: np.ndarray
    n_tracks: np.ndarray
    n_frames: np.ndarray
    steps: np.ndarray
    scores: np.ndarray
    floor: float
    systems: Mapping[str, BrowserEvents]
    counts: Mapping[str, np.ndarray]
    references: BrowserEvents | None
    kinds: Mapping[str, str]
    chosen: Mapping[str, Sequence[float | None]] = field(default_factory=dict)
    sounds: Mapping[int, Sound] = field(default_factory=dict)
    n_clips: int = 0
