"""The built-in data set: simulated clips, and a detector whose best post-processing differs from clip to clip."""

from __future__ import annotations

import numpy as np
import torch

from rl_postproc.data.events import Events
from rl_postproc.data.scores import ScoreSet
from rl_postproc.simulation.config import SimulationConfig
from rl_postproc.simulation.detector import Grid, detect
from rl_postproc.simulation.profiles import PROFILES, draw_profile
from rl_postproc.simulation.scene import Scene, draw_scene

_BLOCK = 64
"""Clips simulated together. Each block has its own random stream, so more clips leave the first ones as they are."""


def simulate(config: SimulationConfig) -> ScoreSet:
    """Simulates clips, their reference events and a detector's scores, ``[clip, class, frame]``.

    Example:
        >>> from rl_postproc import SimulationConfig, simulate
        >>> simulate(SimulationConfig(n_clips=3, classes=["Dog", "Speech"])).scores.shape
        torch.Size([3, 2, 157])
    """
    return simulate_with_truth(config)[0]


def simulate_with_truth(config: SimulationConfig) -> tuple[ScoreSet, ScoreSet]:
    """Simulates clips twice: as :func:`simulate` does, and as the detector would be without its drift between clips.

    The second set has the same events, noise and false alarms; the shift and gain of every clip and class are undone.
    Constants tuned on it are what an oracle reaches that knows the simulator's hidden parameters.
    """
    classes = config.class_names()
    streams = [
        np.random.default_rng(np.random.SeedSequence(config.seed, spawn_key=(0, i))) for i in range(len(classes))
    ]
    profiles = [
        PROFILES[name] if name in PROFILES else draw_profile(rng, name, classes)
        for name, rng in zip(classes, streams, strict=True)
    ]
    width = int(np.ceil(config.clip_seconds / config.hop - 1e-9))
    edges = np.arange(width + 1) * config.hop
    grid = Grid(0.5 * (edges[1:] + edges[:-1]), config.hop, config.clip_seconds)
    scenes: list[Scene] = []
    scores: tuple[list[np.ndarray], list[np.ndarray]] = [], []
    for block in range(-(-config.n_clips // _BLOCK)):
        rng = np.random.default_rng(np.random.SeedSequence(config.seed, spawn_key=(1, block)))
        scene = draw_scene(
            rng, _BLOCK, classes, profiles,
            clip_seconds=config.clip_seconds, short=config.short, empty=config.empty, overlap=config.overlap,
        )  # fmt: skip
        scenes.append(scene)
        both = detect(rng, scene, classes, profiles, config.flaws(), grid)
        for part, block_scores in zip(scores, both, strict=True):
            part.append(block_scores)
    n = config.n_clips
    clip_ids = tuple(f"sim_{i:05d}.wav" for i in range(n))
    references = _references(scenes, clip_ids, classes)
    durations = torch.from_numpy(np.concatenate([scene.durations for scene in scenes])[:n])
    n_frames = (torch.from_numpy(edges[:-1]) < durations[:, None]).sum(1)
    first, second = (
        ScoreSet.build(torch.from_numpy(np.concatenate(part)[:n]), torch.from_numpy(edges), clip_ids, classes, n_frames,
                       durations, references).with_origin(format="simulated", hop="simulated")
        for part in scores
    )  # fmt: skip
    return first, second


def _references(scenes: list[Scene], clip_ids: tuple[str, ...], classes: tuple[str, ...]) -> Events:
    exists = np.concatenate([scene.exists for scene in scenes])[: len(clip_ids)]
    clip, label, _ = np.nonzero(exists)
    onset, offset = (
        np.concatenate([getattr(scene, name) for scene in scenes])[: len(clip_ids)][exists]
        for name in ("onset", "offset")
    )
    columns = (torch.from_numpy(column) for column in (clip, label, onset, offset))
    return Events.from_tensors(clip_ids, classes, *columns)
