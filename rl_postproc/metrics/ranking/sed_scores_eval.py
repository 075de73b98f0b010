"""The oracle of segment rankings: sed_scores_eval's area under the ROC curve of the same scores or events."""

from __future__ import annotations

import warnings
from importlib.metadata import version
from typing import Any

import numpy as np
import torch

from rl_postproc.data.events import Events
from rl_postproc.data.frames import DECIMALS
from rl_postproc.data.scores import ScoreSet
from rl_postproc.metrics.base import CertificationError
from rl_postproc.metrics.ranking.base import RankedScore

Truth = dict[str, list[tuple[float, float, str]]]


def certify(
    own: RankedScore,
    references: Events,
    estimates: Events | ScoreSet,
    durations: torch.Tensor,
    segment_length: float,
    max_fpr: float,
) -> str:
    """Insists that sed_scores_eval finds the same areas.

    Args:
        own: what this package found.
        references: reference events.
        estimates: frame scores, or events with confidences.
        durations: length of each clip in seconds, float64 ``[clip]``.
        segment_length: in seconds.
        max_fpr: up to which the area is taken.

    Returns:
        Name and version of sed_scores_eval; or that it is not installed, or has nothing to tell.

    Raises:
        CertificationError: it finds something else.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from sed_scores_eval.base_modules.scores import create_score_dataframe
            from sed_scores_eval.segment_based import auroc
    except ImportError:
        return 'none: sed_scores_eval is not installed (pip install "rl-postproc[bench]")'
    known = (~own.by_class.isnan()).nonzero()[:, 0]
    if not len(known):
        return "none: no class has segments with and without references"
    # It takes classes with references alone; names of its own, because it refuses some characters.
    names = [f"class_{k}" for k in known.tolist()]
    tables = {
        clip: create_score_dataframe(scores[:, known.numpy()], times, names)
        for clip, (times, scores) in enumerate(frames_of(estimates, durations))
    }
    found: Any = auroc(
        {f"clip_{clip}": table for clip, table in tables.items()},
        truth_of(references, known),
        {f"clip_{clip}": float(seconds) for clip, seconds in enumerate(durations)},
        segment_length=segment_length, max_fpr=max_fpr,
    )[0]  # fmt: skip
    theirs = torch.tensor([*(float(found[name]) for name in names), float(found["mean"])], dtype=torch.float64)
    ours = torch.cat([own.by_class[known], torch.tensor([own.overall], dtype=torch.float64)])
    if not torch.allclose(ours, theirs, rtol=0, atol=1e-9):
        raise CertificationError(f"sed_scores_eval found {theirs.tolist()}, this package {ours.tolist()}.")
    return f"sed_scores_eval {version('sed_scores_eval')}"


def frames_of(estimates: Events | ScoreSet, durations: torch.Tensor) -> list[tuple[np.ndarray, np.ndarray]]:
    """Returns times ``[frame + 1]`` and scores ``[frame, class]`` of each clip; those of events change where one does."""
    if isinstance(estimates, ScoreSet):
        edges = estimates.edges.expand(estimates.n_clips, -1).numpy()
        scores = estimates.scores.transpose(1, 2).numpy()
        return [(edges[clip, : n + 1], scores[clip, :n]) for clip, n in enumerate(estimates.n_frames.tolist())]
    rows: list[list[tuple[int, float, float, float]]] = [[] for _ in estimates.clip_ids]
    times = (getattr(estimates, name).round(decimals=DECIMALS).tolist() for name in ("onset", "offset"))
    columns = estimates.clip.tolist(), estimates.label.tolist(), *times, estimates.confidence.tolist()
    for clip, *row in zip(*columns, strict=True):
        rows[clip].append(tuple(row))  # pyright: ignore[reportArgumentType]
    found = []
    for own, seconds in zip(rows, durations.tolist(), strict=True):
        borders = np.unique([0.0, seconds, *(time for row in own for time in row[1:3])])
        scores = np.zeros((len(borders) - 1, len(estimates.classes)), dtype=np.float32)
        for label, onset, offset, confidence in own:
            inside = slice(*np.searchsorted(borders, [onset, offset]))
            scores[inside, label] = np.maximum(scores[inside, label], confidence)
        found.append((borders, scores))
    return found


def truth_of(references: Events, known: torch.Tensor) -> Truth:
    """Returns the references of some classes as sed_scores_eval takes them: those that touch or overlap are one event."""
    truth: Truth = {f"clip_{clip}": [] for clip in range(len(references.clip_ids))}
    open_events: dict[tuple[int, int], tuple[float, float]] = {}
    wanted: set[Any] = set(known.tolist())
    columns = (getattr(references, name).tolist() for name in ("clip", "label", "onset", "offset"))
    for clip, label, onset, offset in zip(*columns, strict=True):
        if label in wanted:
            before = open_events.get((clip, label))
            if before is not None and onset <= before[1]:
                truth[f"clip_{clip}"].pop()
                onset, offset = before[0], max(before[1], offset)
            open_events[clip, label] = onset, offset
            truth[f"clip_{clip}"].append((onset, offset, f"class_{label}"))
    return truth
