"""Random stacks of all stages, and scores that make them work."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from cases import make_set
from hypothesis import strategies as st

from rl_postproc.data.scores import ScoreSet

SCORES: list[dict[str, Any]] = [
    {"stage": stage, name: [0, 0.1, 0.3, 0.75, 5.0], "edge": edge}
    for stage, name, edges in (
        ("median", "kernel", ("reflect", "zeros", "lowest")),
        ("mean", "kernel", ("reflect", "zeros")),
        ("gaussian", "deviation", ("reflect", "zeros")),
    )
    for edge in edges
] + [{"stage": "clip_gate", "level": [0, 0.6, 0.95]}, {"stage": "normalise", "strength": [0, 0.7]}]
DECIDE: list[dict[str, Any]] = [
    {"stage": "threshold", "threshold": [0.2, 0.5, 1.0]},
    {"stage": "hysteresis", "onset": [0.4, 0.7], "offset": {"candidates": [0.2, 0.5], "default": 0.2}},
    {"stage": "hysteresis", "onset": [0.4, 0.7], "offset": [0.2, 0.4], "extent": "forward"},
    {"stage": "boxes", "window": [0.05, 0.2, 0.5, 3.0], "absolute": [0.1, 0.3, 1.0], "relative": [2, 1001]},
]
EVENTS: list[dict[str, Any]] = [
    {"stage": "gap_fill", "gap": [0, 0.25]},
    {"stage": "duration", "shortest": [0, 0.3], "longest": [0.5, 3, 600]},
    {"stage": "padding", "before": [0, 0.1], "after": [0, 0.07]},
    {"stage": "shift", "onset": [-0.3, 0.1], "offset": [-0.2, 0, 0.2]},
    {"stage": "confidence", "threshold": [0.2, 0.45, 1.0]},
]


def some(kinds: list[dict[str, Any]], least: int, most: int) -> st.SearchStrategy[list[dict[str, Any]]]:
    return st.lists(st.sampled_from(kinds), min_size=least, max_size=most)


stacks = st.tuples(some(SCORES, 0, 3), some(DECIDE, 1, 1), some(EVENTS, 0, 2)).map(
    lambda parts: [*parts[0], *parts[1], *parts[2]]
)


def scores_of(n_frames: int, seed: int, n_classes: int = 3) -> ScoreSet:
    """Returns one clip of scores that linger and jump, at times level or 0, on even or uneven frames."""
    rng = np.random.default_rng(seed)
    steps = rng.normal(0, 0.25, (n_classes, n_frames)) * (rng.random((n_classes, n_frames)) < 0.6)
    scores = np.clip(np.abs((steps.cumsum(1) + 0.5 + 1) % 2 - 1), 0, 1)
    scores[:, rng.random(n_frames) < 0.05] = rng.choice([0.0, 0.5, 1.0])
    if seed % 5 == 0:
        scores[0] = 0
    lengths = np.full(n_frames, 0.1) if seed % 2 else rng.uniform(0.05, 0.15, n_frames)
    edges = torch.from_numpy(np.append(0.0, lengths.cumsum()).round(6))
    duration = None if seed % 3 else [float(edges[-1]) - 0.03]
    return make_set(scores[None], hop=0.1, edges=edges, durations=duration)
