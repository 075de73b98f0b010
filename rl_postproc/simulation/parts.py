"""What follows from the settings before any clip is drawn: properties of the classes, and the frames."""

from __future__ import annotations

import numpy as np

from rl_postproc.simulation.config import SimulationConfig
from rl_postproc.simulation.detector import Grid
from rl_postproc.simulation.profiles import PROFILES, ClassProfile, draw_profile


def profiles_of(config: SimulationConfig) -> list[ClassProfile]:
    """Returns the properties of each class; those of unknown names are drawn from the seed."""
    classes = config.class_names()
    streams = [
        np.random.default_rng(np.random.SeedSequence(config.seed, spawn_key=(0, i))) for i in range(len(classes))
    ]
    return [
        PROFILES[name] if name in PROFILES else draw_profile(rng, name, classes)
        for name, rng in zip(classes, streams, strict=True)
    ]


def frames_of(config: SimulationConfig) -> tuple[np.ndarray, Grid]:
    """Returns the frame edges in seconds, float64 ``[frame + 1]``, and the frames of the longest clip."""
    width = int(np.ceil(config.clip_seconds / config.hop - 1e-9))
    edges = np.arange(width + 1) * config.hop
    return edges, Grid(0.5 * (edges[1:] + edges[:-1]), config.hop, config.clip_seconds)
