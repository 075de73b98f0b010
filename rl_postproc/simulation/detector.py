"""A simulated detector: what its scores make of the events of a clip, mistakes included."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter
from scipy.special import expit

from rl_postproc.simulation.flaws import Flaws
from rl_postproc.simulation.profiles import ClassProfile
from rl_postproc.simulation.scene import Scene

_BURSTS = 4
"""Largest number of bursts of one class in 10 s."""

_DROPOUTS = 6
"""Largest number of dropouts of one class in 10 s."""

_TAILS = 2.5
"""Degrees of freedom of the jitter: most boundaries are close, a few are far off, as with real detectors."""


@dataclass(frozen=True)
class Grid:
    """The frames of a clip.

    Attributes:
        times: frame centres in seconds, float64 ``[frame]``.
        hop: frame length in seconds.
        seconds: length of the longest clip.
    """

    times: np.ndarray
    hop: float
    seconds: float

    def slots(self, in_ten_seconds: int) -> int:
        """Returns how many things fit a clip of which a given number fit 10 s."""
        return int(np.ceil(in_ten_seconds * self.seconds / 10.0))

    def recursive(self, memory: float) -> tuple[list[float], list[float]]:
        """Returns the coefficients of the exponential average over ``memory`` seconds."""
        keep = float(np.exp(-self.hop / memory))
        return [1.0 - keep], [1.0, -keep]


def detect(
    rng: np.random.Generator,
    scene: Scene,
    classes: Sequence[str],
    profiles: Sequence[ClassProfile],
    flaws: Flaws,
    grid: Grid,
) -> tuple[np.ndarray, np.ndarray]:
    """Simulates a detector on a block of clips.

    Every random number is drawn whatever the flaws are, so two detectors that differ in one flaw differ in nothing
    else.

    Args:
        rng: source of randomness.
        scene: the events.
        classes: class names.
        profiles: one per class.
        flaws: strength of each flaw.
        grid: frames of the longest clip.

    Returns:
        Scores with and without the drift between clips, float32 ``[clip, class, frame]`` each.
    """
    shape = len(scene.durations), len(classes)
    # Clips differ in how restless they are: false alarms, noise and background grow together, which is what lets a
    # tuner recognise such a clip.
    restless = rng.standard_normal(shape[0])
    unrest = np.exp(0.7 * restless)
    active = []
    for label, profile in enumerate(profiles):
        events = _event_response(rng, scene, label, profile, flaws, grid)
        active.append(np.maximum(events, _false_bursts(rng, unrest, profile, flaws, grid)))
    logits = np.empty((*shape, len(grid.times)))
    for label, profile in enumerate(profiles):
        response = active[label]
        # Confusable classes fire together: the softened response of one is heard by the other in a few clips.
        for other, chance in profile.confused.items():
            if other in classes:
                source = classes.index(other)
                fooled = rng.random(shape[0]) < chance * flaws.false_alarms * unrest
                share = fooled * rng.beta(5.0, 2.0, shape[0]) * profile.strength / profiles[source].strength
                response = np.maximum(response, share[:, None] * lfilter(*grid.recursive(0.2), active[source], axis=1))
        response = response * _dropout_gain(rng, shape[0], profile, flaws, grid)
        ceiling = 1.3 * profile.strength
        # Not all of the background's level comes from drift, or the drift could simply be read off it.
        level = 0.7 * rng.standard_normal(shape[0]) + 0.3 * restless
        noise = profile.noise * np.exp(0.25 * restless)[:, None] * _coloured_noise(rng, shape[0], grid)
        logits[:, label] = (
            profile.floor + ceiling * np.tanh(response / ceiling) + flaws.noise * (level[:, None] + noise)
        )
    return expit(_drifted(rng, logits, flaws)).astype(np.float32), expit(logits).astype(np.float32)


def _drifted(rng: np.random.Generator, logits: np.ndarray, flaws: Flaws) -> np.ndarray:
    """Shifts and stretches logits ``[clip, class, frame]``, half by the clip and half by the clip and class."""
    shape = logits.shape[:2]
    shift = 0.95 * rng.standard_normal((shape[0], 1)) + 0.95 * rng.standard_normal(shape)
    gain = 0.1 * rng.standard_normal((shape[0], 1)) + 0.15 * rng.standard_normal(shape)
    return np.exp(flaws.drift * gain)[..., None] * logits + flaws.drift * shift[..., None]


def _raise_to(
    out: np.ndarray,
    times: np.ndarray,
    exists: np.ndarray,
    onset: np.ndarray,
    offset: np.ndarray,
    height: np.ndarray,
    rise: float,
    fall: float,
) -> None:
    """Raises ``out`` to the response of events: steps of a given height with two soft edges.

    Args:
        out: logits ``[clip, frame]``, changed in place.
        times: frame centres in seconds ``[frame]``.
        exists: which slots hold an event ``[clip, slot]``.
        onset: seconds ``[clip, slot]``.
        offset: seconds ``[clip, slot]``.
        height: logits ``[clip, slot]``.
        rise: time constant of the onset in seconds.
        fall: time constant of the offset in seconds.
    """
    for slot in np.flatnonzero(exists.any(axis=0)):
        rows = np.flatnonzero(exists[:, slot])
        before, after = onset[rows, slot, None], offset[rows, slot, None]
        step = height[rows, slot, None] * expit((times - before) / rise) * expit((after - times) / fall)
        out[rows] = np.maximum(out[rows], step)


def _event_response(
    rng: np.random.Generator, scene: Scene, label: int, profile: ClassProfile, flaws: Flaws, grid: Grid
) -> np.ndarray:
    """Returns the response to the reference events of one class, logits above the floor ``[clip, frame]``."""
    shape = scene.onset.shape[0], scene.onset.shape[2]
    early, late = (profile.late[i] + profile.jitter[i] * rng.standard_t(_TAILS, shape) for i in range(2))
    # What a clip's events share (a distant microphone) and what differs between them.
    loudness = 0.15 * rng.standard_normal((shape[0], 1)) + 0.15 * rng.standard_normal(shape)
    # Weakness comes half from the event, half from the clip, whose every event of the class is then weak.
    chance = 0.5 * profile.weak * flaws.misses
    weak = (rng.random(shape) < chance) | (rng.random((shape[0], 1)) < chance)
    height = profile.strength * np.exp(flaws.misses * loudness) * np.where(weak, rng.uniform(0.1, 0.6, shape), 1.0)
    onset = scene.onset[:, label] + flaws.smear * early
    offset = scene.offset[:, label] + flaws.smear * late
    smear = max(flaws.smear, 0.05)  # A step needs some width, for its slope to be finite.
    out = np.zeros((shape[0], len(grid.times)))
    exists = scene.exists[:, label]
    _raise_to(out, grid.times, exists, onset, offset, height, profile.rise * smear, profile.fall * smear)
    return out


def _false_bursts(
    rng: np.random.Generator, unrest: np.ndarray, profile: ClassProfile, flaws: Flaws, grid: Grid
) -> np.ndarray:
    """Returns the response to nothing: bursts with softer edges and less height than events, ``[clip, frame]``."""
    shape = len(unrest), grid.slots(_BURSTS)
    exists = rng.random(shape) < profile.bursts * flaws.false_alarms * unrest[:, None] / _BURSTS
    centre = rng.uniform(0.0, grid.seconds, shape)
    half = 0.5 * profile.burst_length * np.exp(0.6 * rng.standard_normal(shape))
    height = profile.strength * rng.beta(5.0, 2.0, shape)
    soft = 1.5 * max(flaws.smear, 0.05)
    out = np.zeros((shape[0], len(grid.times)))
    _raise_to(out, grid.times, exists, centre - half, centre + half, height, soft * profile.rise, soft * profile.fall)
    return out


def _dropout_gain(
    rng: np.random.Generator, n_clips: int, profile: ClassProfile, flaws: Flaws, grid: Grid
) -> np.ndarray:
    """Returns the factor by which short interruptions weaken the response, in [0, 1] ``[clip, frame]``."""
    shape = n_clips, grid.slots(_DROPOUTS)
    happens = rng.random(shape) < profile.dropouts * flaws.dropouts / _DROPOUTS
    centre = rng.uniform(0.0, grid.seconds, shape)
    width = 0.15 * np.exp(0.5 * rng.standard_normal(shape))
    depth = rng.uniform(0.3, 1.0, shape)
    gain = np.ones((n_clips, len(grid.times)))
    for slot in np.flatnonzero(happens.any(axis=0)):
        rows = np.flatnonzero(happens[:, slot])
        away = (grid.times - centre[rows, slot, None]) / width[rows, slot, None]
        gain[rows] *= 1.0 - depth[rows, slot, None] * np.exp(-0.5 * away**2)
    return gain


def _coloured_noise(rng: np.random.Generator, n_clips: int, grid: Grid) -> np.ndarray:
    """Returns noise of variance 1 whose memory fades within a quarter of a second, ``[clip, frame]``."""
    (mix,), pole = grid.recursive(0.25)
    scale = np.sqrt(1.0 - pole[1] ** 2)
    white = rng.standard_normal((n_clips, len(grid.times)))
    white[:, 0] /= scale  # The first frame has the variance of the others.
    return lfilter([mix], pole, white, axis=1) * (scale / mix)
