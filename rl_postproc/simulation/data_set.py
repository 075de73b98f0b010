"""The built-in data set: simulated clips, and a detector whose best post-processing differs from clip to clip."""

from __future__ import annotations

import numpy as np
import torch

from rl_postproc.data.events import Events
from rl_postproc.data.scores import ScoreSet
from rl_postproc.simulation.config import SimulationConfig
from rl_postproc.simulation.detector import detect
from rl_postproc.simulation.parts import frames_of, profiles_of
from rl_postproc.simulation.scene import Scene, draw_scene
from rl_postproc.simulation.sparse import simulate_sparse_whole
from rl_postproc.utils.errors import UserError

_BLOCK = 64
"""Clips simulated together. Each block has its own random stream, so more clips leave the first ones as they are."""


def simulate(config: SimulationConfig) -> ScoreSet:
    """Simulates clips, their reference events and a detector's scores, ``[clip, class, frame]``.

    Example:
        >>> from rl_postproc import SimulationConfig, simulate
        >>> simulate(SimulationConfig(n_clips=3, classes=["Dog", "Speech"])).scores.shape
        torch.Size([3, 2, 157])
    """
    return _simulate(config)[0] if config.active == 1 else simulate_sparse_whole(config)


def simulate_with_truth(config: SimulationConfig) -> tuple[ScoreSet, ScoreSet]:
    """Simulates clips twice: as `simulate` does, and as the detector would be without its drift between clips.

    The second set has the same events, noise and false alarms; the shift and gain of every clip and class are undone.
    Constants tuned on it are what an oracle reaches that knows the simulator's hidden parameters.

    Raises:
        UserError: only a share of the tracks is active, of which there is no second set.
    """
    if config.active < 1:
        raise UserError("Sparse clips are simulated with drift alone; leave out 'active'.")
    return _simulate(config)


def _simulate(config: SimulationConfig) -> tuple[ScoreSet, ScoreSet]:
    """Simulates clips with and without the drift between them."""
    classes = config.class_names()
    profiles = profiles_of(config)
    edges, grid = frames_of(config)
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
