"""The oracle of the tagging metric: scikit-learn's F1 of the same tags."""

from __future__ import annotations

import warnings
from importlib.metadata import version

import numpy as np
import torch

from rl_postproc.data.events import Events
from rl_postproc.metrics.base import CertificationError, Counts, Metric


def certify(references: Events, estimates: Events, metric: Metric, counts: Counts) -> str:
    """Insists that scikit-learn finds the same F1 for the tags that event lists stand for.

    Args:
        references: reference events or tags.
        estimates: detected events or tags, over the same clips and classes.
        metric: the metric.
        counts: our own, int64 ``[class]``.

    Returns:
        Name and version of scikit-learn.

    Raises:
        CertificationError: it finds something else.
    """
    score = metric.summarise(counts)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from sklearn.metrics import f1_score

        truth, tags = (events.counts().clamp(max=1).numpy() for events in (references, estimates))
        # A column of zeros beside them, because one column alone would be taken for a binary problem of two classes.
        truth, tags = (np.pad(matrix, ((0, 0), (0, 1))) for matrix in (truth, tags))
        per_class = np.asarray(f1_score(truth, tags, average=None, zero_division=0))[:-1]  # pyright: ignore
        micro = float(f1_score(truth, tags, average="micro", zero_division=0))  # pyright: ignore
    theirs = torch.from_numpy(per_class)
    known = counts["reference"] > 0
    agree = torch.allclose(score.by_class[known], theirs[known], rtol=0, atol=1e-12)
    if not agree or abs(score.micro - micro) > 1e-12:
        raise CertificationError(
            f"scikit-learn found a micro F1 of {micro} and {per_class.tolist()} by class, this package "
            f"{score.micro} and {score.by_class.tolist()}."
        )
    return f"scikit-learn {version('scikit-learn')}"
