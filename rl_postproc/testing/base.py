"""What the conformance checks share."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from rl_postproc.data.events import Events
from rl_postproc.data.scores import ScoreSet


class NonConformant(AssertionError):  # noqa: N818 - reads as what it says of the part
    """A promise of an interface does not hold; the message says which."""


def require(holds: bool, message: str) -> None:
    """Raises `NonConformant` unless the condition holds."""
    if not holds:
        raise NonConformant(message)


def same(a: Any, b: Any) -> bool:
    """Whether two observations or infos are equal, through dictionaries, arrays and tensors."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, dict) or isinstance(b, dict):
        return False
    a, b = (x.cpu().numpy() if isinstance(x, torch.Tensor) else np.asarray(x) for x in (a, b))
    if a.shape != b.shape:
        return False
    if a.dtype == object or b.dtype == object:
        return a.tolist() == b.tolist()
    return bool(np.array_equal(a, b, equal_nan=a.dtype.kind == "f"))


def sample_scores(seed: int = 0, n_clips: int = 6, n_classes: int = 3, width: int = 40) -> ScoreSet:
    """Returns a small score set with references and the awkward cases.

    The clips differ in length, one has a single frame; there are silent, full and constant tracks, ties between
    neighbouring frames, events at the first and last frame, touching events, and a class without references.
    """
    generator = torch.Generator().manual_seed(seed)
    steps = torch.randn(n_clips, n_classes, width, generator=generator).cumsum(-1) * 0.7
    scores = (torch.sigmoid(steps) * 20).round() / 20
    scores[1, 0], scores[1, 1], scores[2, 0] = 0.0, 1.0, 0.5
    n_frames = torch.randint(width // 2, width + 1, (n_clips,), generator=generator)
    n_frames[0], n_frames[-1] = width, 1
    hop = 0.1
    edges = torch.arange(width + 1, dtype=torch.float64) * hop
    clip_ids = tuple(f"clip_{i}.wav" for i in range(n_clips))
    classes = tuple(f"class_{k}" for k in range(n_classes))
    durations = edges[n_frames]
    rows: list[tuple[str, float, float, str]] = []
    for i in range(n_clips - 1):
        end = float(durations[i])
        for k in range(n_classes - 1):
            cuts = torch.sort(torch.rand(4, generator=generator)).values.tolist()
            rows += [(clip_ids[i], cuts[0] * end, cuts[1] * end, classes[k])]
            rows += [(clip_ids[i], cuts[2] * end, end, classes[k])] if k == 0 else []
    rows += [(clip_ids[-1], 0.0, float(durations[-1]), classes[0])]
    rows += [(clip_ids[1], 0.0, 0.3, classes[1]), (clip_ids[1], 0.3, 0.6, classes[1])]
    references = Events.from_rows(rows, clip_ids, classes)
    return ScoreSet.build(scores, edges, clip_ids, classes, n_frames, durations, references)
