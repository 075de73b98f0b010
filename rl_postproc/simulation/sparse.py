"""Simulated clips of many classes of which few are active: track by track, never all of them at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch

from rl_postproc.data.events import Events
from rl_postproc.data.scores import ScoreSet
from rl_postproc.data.sparse_clips import SparseClips
from rl_postproc.simulation.config import SimulationConfig
from rl_postproc.simulation.detector import detect
from rl_postproc.simulation.parts import frames_of, profiles_of
from rl_postproc.simulation.scene import draw_scene
from rl_postproc.utils.memory import require_memory

BLOCK = 2000
"""Clips simulated together. Each block has its own random stream, so more clips leave the first ones as they are."""

_MISTAKEN = 0.5
"""Share of the active tracks without an event, in which the detector hears false alarms."""
_BURSTS = 3.0
"""False alarms of an active track in 10 s."""


def simulate_sparse(config: SimulationConfig) -> Iterator[SparseClips]:
    """Simulates clips, `BLOCK` of them at a time, in which each class is active in a share of the clips.

    Half of the active tracks have events, the others false alarms alone. Classes keep no company, are not confused, and all
    clips are as long.

    Args:
        config: settings, of which ``active`` is the share; ``short`` and the company of classes have no effect.
    """
    classes, profiles, flaws = config.class_names(), profiles_of(config), config.flaws()
    edges, grid = frames_of(config)
    for first in range(0, config.n_clips, BLOCK):
        n = min(BLOCK, config.n_clips - first)
        tracks: list[np.ndarray] = []
        scores: list[np.ndarray] = []
        events: list[np.ndarray] = []
        for label, (name, profile) in enumerate(zip(classes, profiles, strict=True)):
            key = (2, first // BLOCK, label)
            rng = np.random.default_rng(np.random.SeedSequence(config.seed, spawn_key=key))
            clip = np.flatnonzero(rng.random(BLOCK) < config.active)
            if not len(clip):
                continue
            # The clips in which this class is active are a set of clips of one class.
            noisy = replace(profile, bursts=_BURSTS)
            scene = draw_scene(rng, len(clip), [name], [noisy], clip_seconds=config.clip_seconds, short=0.0,
                               empty=_MISTAKEN, overlap=config.overlap)  # fmt: skip
            mistaken = ~scene.exists.any((1, 2))
            found = detect(rng, scene, [name], [profile], flaws, grid)[0][:, 0]
            found[mistaken] = detect(rng, scene, [name], [noisy], flaws, grid)[0][mistaken, 0]
            kept = clip < n
            tracks.append((clip * len(classes) + label)[kept])
            scores.append(found[kept])
            owner, _, slot = np.nonzero(scene.exists[kept])
            times = scene.onset[owner, 0, slot], scene.offset[owner, 0, slot]
            events.append(np.stack([clip[owner].astype(float), np.full(len(owner), float(label)), *times]))
        yield _block(config, first, n, edges, tracks, scores, events)


def simulate_sparse_whole(config: SimulationConfig) -> ScoreSet:
    """Returns the clips of `simulate_sparse` with all their tracks, those that are not active silent.

    Raises:
        UserError: they would take more than half the memory.
    """
    classes, width = config.class_names(), len(frames_of(config)[0]) - 1
    size = 4 * config.n_clips * len(classes) * width
    require_memory(2 * size, f"All tracks of {config.n_clips} simulated clips", "write sparse shards: `rl-postproc simulate "
                   "--floor 0.05`, or fewer clips")  # fmt: skip
    parts = [part.dense() for part in simulate_sparse(config)]
    clip_ids = tuple(name for part in parts for name in part.clip_ids)
    rows = [part.require_references() for part in parts]
    clip = torch.cat([own.clip + i * BLOCK for i, own in enumerate(rows)])
    columns = [torch.cat([getattr(own, name) for own in rows]) for name in ("label", "onset", "offset")]
    references = Events.from_tensors(clip_ids, classes, clip, *columns)
    whole, n_frames, durations = (torch.cat([getattr(part, name) for part in parts])
                                  for name in ("scores", "n_frames", "durations"))  # fmt: skip
    scores = ScoreSet(whole, n_frames, parts[0].edges, durations, clip_ids, classes, references)  # fmt: skip
    return scores.with_origin(format="simulated", hop="simulated")


def _block(
    config: SimulationConfig,
    first: int,
    n: int,
    edges: np.ndarray,
    tracks: list[np.ndarray],
    scores: list[np.ndarray],
    events: list[np.ndarray],
) -> SparseClips:
    """Puts the tracks of all classes together, in order."""
    classes, width = config.class_names(), len(edges) - 1
    names = tuple(f"sim_{i:06d}.wav" for i in range(first, first + n))
    track = np.concatenate(tracks) if tracks else np.zeros(0, dtype=np.int64)
    order = np.argsort(track)
    values = np.concatenate(scores)[order] if scores else np.zeros((0, width), dtype=np.float32)
    clip, label, onset, offset = torch.from_numpy(np.concatenate(events, 1) if events else np.zeros((4, 0)))
    references = Events.from_tensors(names, classes, clip.long(), label.long(), onset, offset)
    # The last frame may begin before the end of the clip and end after it; all clips are as long.
    return SparseClips(torch.from_numpy(track[order]), torch.from_numpy(values), torch.full((n,), width),
                       torch.from_numpy(edges)[None], torch.full((n,), config.clip_seconds, dtype=torch.float64), names,
                       classes, references)  # fmt: skip
