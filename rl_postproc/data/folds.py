"""Folds of clips: the held-out protocol."""

from __future__ import annotations

from collections.abc import Sequence

import torch


def fold_of_clips(clip_ids: Sequence[str], n_folds: int = 5) -> torch.Tensor:
    """Assigns clips to folds by the held-out protocol.

    Clip ids are sorted; ``numpy.random.default_rng(0).permutation(n_clips) % n_folds`` gives the fold of each.

    Returns:
        Fold of each clip in the order given, int64 ``[clip]``.

    Example:
        >>> from rl_postproc.data.folds import fold_of_clips
        >>> fold_of_clips(["a", "b", "c", "d"], n_folds=2).bincount().tolist()
        [2, 2]
        >>> bool((fold_of_clips(["d", "a"], 2) == fold_of_clips(["a", "d"], 2).flip(0)).all())  # whatever their order
        True
    """
    import numpy as np

    order = sorted(range(len(clip_ids)), key=lambda i: clip_ids[i])
    fold = np.random.default_rng(0).permutation(len(clip_ids)) % n_folds
    result = torch.empty(len(clip_ids), dtype=torch.int64)
    result[torch.tensor(order)] = torch.from_numpy(fold)
    return result


def drawn_clips(clip_ids: Sequence[str], n: int, seed: int) -> torch.Tensor:
    """Returns the indices of ``n`` clips drawn at random, ascending, int64 ``[clip]``; fewer are among more.

    Args:
        clip_ids: names of all clips, whose order does not matter.
        n: how many; all of them where there are fewer.
        seed: the same seed draws the same clips.
    """
    import numpy as np

    order = sorted(range(len(clip_ids)), key=lambda i: clip_ids[i])
    drawn = np.random.default_rng(seed).permutation(len(clip_ids))[:n]
    return torch.tensor(sorted(order[i] for i in drawn), dtype=torch.int64)
