"""The oracle of clip-level rankings: scikit-learn's figures of the same scores and tags."""

from __future__ import annotations

import math
import warnings
from importlib.metadata import version

import numpy as np
import torch

from rl_postproc.metrics.base import CertificationError
from rl_postproc.metrics.ranking.base import RankedScore, mean_of_known


def certify(own: RankedScore, theirs: RankedScore) -> str:
    """Insists that two values are the same.

    Returns:
        Name and version of scikit-learn.

    Raises:
        CertificationError: they differ.
    """
    both = own.values(), theirs.values()
    if not torch.allclose(*both, rtol=1e-9, atol=1e-9, equal_nan=True):
        raise CertificationError(f"scikit-learn found {both[1].tolist()}, this package {both[0].tolist()}.")
    return f"scikit-learn {version('scikit-learn')}"


def average_precision(scores: torch.Tensor, truth: torch.Tensor) -> RankedScore:
    """Returns scikit-learn's average precision of scores and tags ``[clip, class]``."""
    from sklearn.metrics import average_precision_score

    found = [
        average_precision_score(wanted, column) if wanted.any() else math.nan
        for column, wanted in zip(scores.T.numpy(), truth.T.numpy(), strict=True)
    ]
    by_class = torch.tensor(found, dtype=torch.float64)
    return RankedScore(mean_of_known(by_class), by_class, rates={"clips": truth.sum(0)})


def label_ranking(scores: torch.Tensor, truth: torch.Tensor) -> float:
    """Returns scikit-learn's label-ranking average precision, each clip weighed by the number of its tags."""
    from sklearn.metrics import label_ranking_average_precision_score

    weight = truth.sum(1).numpy()
    if not weight.any():
        return math.nan
    # Clips without tags have no weight; a column of zeros that score below all others keeps one class a matrix of labels.
    tagged, n = weight > 0, truth.shape[1]
    wanted, found = np.zeros((tagged.sum(), n + 1), dtype=int), np.full((tagged.sum(), n + 1), -1.0)
    wanted[:, :n], found[:, :n] = truth.numpy()[tagged], scores.numpy()[tagged]
    return float(label_ranking_average_precision_score(wanted, found, sample_weight=weight[tagged]))


def d_prime(scores: torch.Tensor, truth: torch.Tensor) -> RankedScore:
    """Returns d′ by SciPy of scikit-learn's area under the ROC curve of scores and tags ``[clip, class]``."""
    from scipy.stats import norm
    from sklearn.metrics import roc_auc_score

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = [
            roc_auc_score(wanted, column) if wanted.any() and not wanted.all() else math.nan
            for column, wanted in zip(scores.T.numpy(), truth.T.numpy(), strict=True)
        ]
    areas = torch.tensor(found, dtype=torch.float64)
    mean = mean_of_known(areas)
    by_class = torch.from_numpy(math.sqrt(2) * norm.ppf(areas.numpy()))
    overall = math.sqrt(2) * float(norm.ppf(mean))
    return RankedScore(overall, by_class, {"mean_auroc": mean}, {"auroc": areas, "clips": truth.sum(0)})
