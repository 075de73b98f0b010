"""Scores of tags: by our own counts, and by scikit-learn, which certifies every figure that is reported."""

from __future__ import annotations

import warnings

import numpy as np
import torch

from rl_postproc.certify import CertificationError, Report
from rl_postproc.events import Events
from rl_postproc.metrics import score_counts


def certify_tags(references: Events, estimates: Events, tuned: torch.Tensor | None = None) -> Report:
    """Scores the tags that event lists stand for, and insists that scikit-learn finds the same F1.

    A clip has a tag if it has an event of that class.

    Args:
        references: reference events or tags.
        estimates: detected events or tags, over the same clips and classes.
        tuned: true positives and estimated counts that the core found while tuning, int64 ``[2, class]``; they must
            agree too.

    Raises:
        CertificationError: any two of the figures differ.
    """
    wanted, found = references.counts().clamp(max=1), estimates.counts().clamp(max=1)
    ours = torch.stack([(wanted * found).sum(0), found.sum(0), wanted.sum(0)])
    if tuned is not None and not torch.equal(tuned.cpu(), ours[:2]):
        raise CertificationError(
            f"The sweep counted {tuned.tolist()} (true positives, estimated), the tags {ours[:2].tolist()}."
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from sklearn.metrics import f1_score

        truth, tags = wanted.numpy(), found.numpy()
        # A column of zeros beside them, because one column alone would be taken for a binary problem of two classes.
        truth, tags = (np.pad(matrix, ((0, 0), (0, 1))) for matrix in (truth, tags))
        per_class = np.asarray(f1_score(truth, tags, average=None, zero_division=0))[:-1]  # pyright: ignore
        micro = float(f1_score(truth, tags, average="micro", zero_division=0))  # pyright: ignore
    scored = score_counts(ours[0], ours[1], ours[2])
    theirs = torch.from_numpy(per_class)
    known = ours[2] > 0
    agree = torch.allclose(scored.class_f1[known], theirs[known], rtol=0, atol=1e-12)
    if not agree or abs(scored.micro_f1 - micro) > 1e-12:
        raise CertificationError(
            f"scikit-learn found a micro F1 of {micro} and {per_class.tolist()} by class, this package "
            f"{scored.micro_f1} and {scored.class_f1.tolist()}."
        )
    from importlib.metadata import version

    return Report(references.classes, ours[0], ours[1], ours[2], f"scikit-learn {version('scikit-learn')}")
