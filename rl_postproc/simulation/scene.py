"""Simulated clips: which sound classes occur in a clip, and when their events begin and end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rl_postproc.simulation.profiles import ClassProfile

SHORTEST_EVENT = 0.25
"""Shortest reference event in seconds, as in DESED."""

_STRANGER = 0.01
"""Probability that a class joins a clip led by a class it has nothing to do with."""


@dataclass(frozen=True)
class Scene:
    """Events of a block of clips.

    Attributes:
        durations: clip lengths in seconds, float64 ``[clip]``.
        onset: seconds, float64 ``[clip, class, slot]``, in the order of time within a clip and class.
        offset: seconds, float64 ``[clip, class, slot]``.
        exists: whether the slot holds an event, bool ``[clip, class, slot]``.
    """

    durations: np.ndarray
    onset: np.ndarray
    offset: np.ndarray
    exists: np.ndarray


def draw_presence(
    rng: np.random.Generator, n_clips: int, classes: Sequence[str], profiles: Sequence[ClassProfile], empty: float
) -> np.ndarray:
    """Draws which classes occur in a clip: one leads, others join it with their probability of keeping it company.

    Args:
        rng: source of randomness.
        n_clips: number of clips.
        classes: class names.
        profiles: one per class.
        empty: share of clips without any event.

    Returns:
        bool ``[clip, class]``.
    """
    weights = np.cumsum([profile.lead for profile in profiles])
    lead = np.searchsorted(weights / weights[-1], rng.random(n_clips), side="right").clip(max=len(classes) - 1)
    joins = np.array([[profile.companions.get(name, _STRANGER) for name in classes] for profile in profiles])
    np.fill_diagonal(joins, 1.0)
    present = rng.random((n_clips, len(classes))) < joins[lead]
    return present & (rng.random(n_clips) >= empty)[:, None]


def draw_scene(
    rng: np.random.Generator,
    n_clips: int,
    classes: Sequence[str],
    profiles: Sequence[ClassProfile],
    *,
    clip_seconds: float,
    short: float,
    empty: float,
    overlap: float,
) -> Scene:
    """Draws the events of a block of clips.

    The events of a class form a train of lengths and pauses that is laid across the clip and cut off at its ends.

    Args:
        rng: source of randomness.
        n_clips: number of clips.
        classes: class names.
        profiles: one per class.
        clip_seconds: length of most clips.
        short: share of clips that are shorter.
        empty: share of clips without any event.
        overlap: probability that an event begins before the one before it, of the same class, has ended.
    """
    scale = clip_seconds / 10.0
    slots = int(np.ceil(12 * max(scale, 1.0)))
    shape = n_clips, len(classes), slots

    def column(name: str) -> np.ndarray:
        return np.array([getattr(profile, name) for profile in profiles])[:, None]

    shortfall = 0.02 + 0.75 * rng.beta(1.0, 6.0, n_clips)
    durations = np.where(rng.random(n_clips) < short, clip_seconds * (1.0 - shortfall), clip_seconds).round(3)
    present = draw_presence(rng, n_clips, classes, profiles, empty)
    # Poisson with a mean that varies between clips: a few clips hold many more events than the average one.
    more = rng.poisson(column("more")[:, 0] * scale * rng.gamma(2.0, 0.5, shape[:2]))
    exists = present[..., None] & (np.arange(slots) <= more[..., None])
    length = np.exp(np.log(column("length")) + column("spread") * rng.standard_normal(shape)).clip(min=SHORTEST_EVENT)
    gap = np.exp(np.log(column("gap")) + 0.9 * rng.standard_normal(shape)).clip(min=0.15)
    nested = -rng.random(shape) * np.minimum(length, np.roll(length, 1, axis=2))
    gap = np.where(rng.random(shape) < overlap, nested, gap)
    gap[..., 0] = 0.0
    end = np.cumsum(gap + length, axis=2)
    total = np.where(exists, end, 0.0).max(axis=2)
    cut = column("cut")[:, 0]
    first, last = -cut * total, durations[:, None] - (1.0 - cut) * total
    start = (first + rng.random(shape[:2]) * (last - first))[..., None]
    onset = (start + end - length).clip(0.0, durations[:, None, None]).round(3)
    offset = (start + end).clip(0.0, durations[:, None, None]).round(3)
    # Two milliseconds less, for rounding: an event of the shortest length must not vanish.
    visible = offset - onset >= np.minimum(SHORTEST_EVENT, durations / 4.0)[:, None, None] - 0.002
    return Scene(durations, onset, offset, exists & visible)
