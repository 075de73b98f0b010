"""Random cases for the event-based metric, and its comparison with sed_eval."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from cases import count_hits, decode_events, make_set, runs, sed_eval_totals
from hypothesis import strategies as st

from rl_postproc.data.scores import ScoreSet
from rl_postproc.metrics import EventBased

HOPS = (0.1, 0.064, 0.02, 0.05, 0.2, 0.25, 1 / 3)

COLLARS = ((0.2, 0.2), (0.2, 0.5), (0.1, 0.0), (0.01, 0.2), (0.3, 1.0), (0.064, 0.2))

GRIDS = ("tenths", "hop", "fine", "raw", "ties", "runs")

DENSITIES = (0.0, 0.1, 0.5, 0.8, 1.0)

cases = st.fixed_dictionaries({
    "seed": st.integers(0, 2**32 - 1),
    "n_clips": st.integers(1, 3),
    "n_classes": st.sampled_from((1, 1, 2, 3, 6)),
    "width": st.integers(1, 24),
    "hop": st.sampled_from(HOPS),
    "grid": st.sampled_from(GRIDS),
    "most": st.integers(0, 5),
    "density": st.sampled_from(DENSITIES),
    "own_edges": st.booleans(),
    "lengths": st.sampled_from(("equal", "random")),
    "ends": st.sampled_from(("edge", "inside", "barely", "beyond")),
})  # fmt: skip

collars = st.sampled_from(COLLARS).map(lambda pair: EventBased(t_collar=pair[0], percentage_of_length=pair[1]))


def random_case(case: dict[str, Any]) -> tuple[ScoreSet, torch.Tensor]:
    """Draws a score set with references, and decisions bool ``[clip, class, frame]`` on it."""
    rng = np.random.default_rng(case["seed"])
    n_clips, n_classes, width, hop = (case[name] for name in ("n_clips", "n_classes", "width", "hop"))
    edges = np.arange(width + 1) * hop
    if case["own_edges"]:
        edges = edges[None] + np.cumsum(rng.choice([0.0, 0.013, 0.1], (n_clips, width + 1)), axis=1)
    all_edges = np.broadcast_to(edges, (n_clips, width + 1))
    n_frames = np.full(n_clips, width) if case["lengths"] == "equal" else rng.integers(1, width + 1, n_clips)
    first, last = (all_edges[np.arange(n_clips), n_frames - back] for back in (1, 0))
    share = {"edge": 1.0, "inside": 0.37, "barely": 1e-7, "beyond": 2.5}[case["ends"]]
    decisions = draw_decisions(rng, (n_clips, n_classes, width), case["density"])
    rows = [
        (f"c{clip}", onset, offset, f"k{label}")
        for clip in range(n_clips)
        for label in range(n_classes)
        for onset, offset in draw_references(
            rng, all_edges[clip], decisions[clip, label, : n_frames[clip]], case["grid"], hop, case["most"]
        )
    ]
    scores = make_set(
        rng.random(decisions.shape), rows, edges=torch.from_numpy(np.array(edges)), n_frames=n_frames.tolist(),
        durations=(first + share * (last - first)).tolist(),
    )  # fmt: skip
    return scores, torch.from_numpy(decisions)


def draw_decisions(rng: np.random.Generator, shape: tuple[int, int, int], density: float) -> np.ndarray:
    """Draws active frames that hold on for a while, at a rate of each track's own around the density."""
    fresh = rng.random(shape) < (density if density in (0.0, 1.0) else rng.beta(1, 1, (*shape[:2], 1)))
    change = rng.random(shape) < rng.choice([0.3, 0.7, 1.0])
    change[..., 0] = True
    latest = np.maximum.accumulate(np.where(change, np.arange(shape[2]), 0), axis=2)
    return np.take_along_axis(fresh, latest, 2)


def draw_references(
    rng: np.random.Generator, edges: np.ndarray, active: np.ndarray, grid: str, hop: float, most: int
) -> list[tuple[float, float]]:
    """Draws up to ``most`` references of one track, many of them near its runs, overlapping at will."""
    found = []
    spans = runs(active.tolist())
    for _ in range(rng.integers(0, most + 1)):
        if spans and (grid == "runs" or rng.random() < 0.7):
            start, end = spans[rng.integers(len(spans))]
            pair = edges[start], edges[end + 1]
        else:
            a, b = np.sort(rng.integers(0, len(edges), 2))
            pair = edges[a], edges[b]
        step = {"tenths": 0.1, "hop": hop, "fine": hop / 7, "raw": 0.0, "ties": 0.2, "runs": 0.05}[grid]
        moved = [t + step * rng.integers(-3, 4) + (rng.normal() * 0.1 if grid == "raw" else 0.0) for t in pair]
        if grid in ("tenths", "ties"):
            moved = [round(t * 10) / 10 for t in moved]  # 0.7 against 0.9 and 0.1 against 0.3 occur here
        elif grid != "raw" and rng.random() < 0.5:
            moved = [round(t, 6) for t in moved]
        onset, offset = sorted(max(0.0, float(t)) for t in moved)
        found.append((onset, offset))
    return found


def assert_equal_counts(scores: ScoreSet, decisions: torch.Tensor, metric: EventBased) -> None:
    """Holds the counts of the fast path and those of the events against sed_eval's."""
    references, estimates = scores.require_references(), decode_events(scores, decisions)
    tp, estimated = count_hits(scores, metric, decisions)
    expected = sed_eval_totals(references, estimates, metric)
    assert [tp.sum(0).tolist(), estimated.sum(0).tolist(), references.counts().sum(0).tolist()] == expected
    counts = metric.count(references, estimates)
    assert torch.equal(counts["true_positives"], tp)
    assert torch.equal(counts["estimated"], estimated)
    assert torch.equal(counts["reference"], references.counts())
