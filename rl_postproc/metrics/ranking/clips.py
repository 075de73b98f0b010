"""Rankings of whole clips: mAP, lwlrap and d′, from clip-level scores.

A clip scores for a class what its surest event has, 0 where there is none; of frame scores, what its highest frame has.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import ClassVar, Literal

import torch

from rl_postproc.data.events import Events
from rl_postproc.data.scores import ScoreSet
from rl_postproc.metrics.ranking import scikit_learn
from rl_postproc.metrics.ranking.base import RankedScore, RankingMetric, mean_of_known
from rl_postproc.metrics.ranking.ranks import auroc, average_precision, label_precision


class ClipRanking(RankingMetric, ABC):
    """A figure of how clip-level scores rank clips or their tags."""

    @abstractmethod
    def of_tags(self, scores: torch.Tensor, truth: torch.Tensor) -> RankedScore:
        """Returns the value of clip-level scores.

        Args:
            scores: ``[clip, class]``.
            truth: which classes occur, bool ``[clip, class]``.
        """

    @abstractmethod
    def certify_tags(self, scores: torch.Tensor, truth: torch.Tensor) -> str:
        """Has an outside tool find the same, see `of_tags` and `RankingMetric.certify`."""

    def value(
        self, references: Events, estimates: Events | ScoreSet, durations: torch.Tensor | None = None
    ) -> RankedScore:
        """See `RankingMetric.value`; durations do not matter."""
        return self.of_tags(clip_scores(estimates), references.counts() > 0)

    def certify(self, references: Events, estimates: Events | ScoreSet, durations: torch.Tensor | None = None) -> str:
        """See `RankingMetric.certify`."""
        return self.certify_tags(clip_scores(estimates), references.counts() > 0)


def clip_scores(estimates: Events | ScoreSet) -> torch.Tensor:
    """Returns the clip-level scores of events with confidences or of frame scores, float32 ``[clip, class]``."""
    if isinstance(estimates, ScoreSet):
        return estimates.scores.amax(-1)
    shape = len(estimates.clip_ids), len(estimates.classes)
    scores = estimates.confidence.new_zeros(shape[0] * shape[1])
    cell = estimates.clip * shape[1] + estimates.label
    return scores.scatter_reduce_(0, cell, estimates.confidence, "amax").reshape(shape)


class MeanAveragePrecision(ClipRanking):
    """Mean over classes of the average precision with which clip-level scores rank the clips (mAP).

    As scikit-learn's ``average_precision_score``; classes without references are left out of the mean.
    """

    ranking: Literal["mean_average_precision"] = "mean_average_precision"
    value_name: ClassVar[str] = "mean_average_precision"
    class_value_name: ClassVar[str] = "average_precision"

    def of_tags(self, scores: torch.Tensor, truth: torch.Tensor) -> RankedScore:
        """See `ClipRanking.of_tags`."""
        by_class = average_precision(scores, truth)
        return RankedScore(mean_of_known(by_class), by_class, rates={"clips": truth.sum(0)})

    def certify_tags(self, scores: torch.Tensor, truth: torch.Tensor) -> str:
        """Has scikit-learn find the same."""
        return scikit_learn.certify(self.of_tags(scores, truth), scikit_learn.average_precision(scores, truth))


class Lwlrap(ClipRanking):
    """Label-weighted label-ranking average precision: how scores rank the tags of each clip, each tag weighing the same.

    That of a class is the mean over its clips of the precision among the tags that score at least as high.

    Source: Fonseca et al., "Audio tagging with noisy labels and minimal supervision", DCASE (2019).
    """

    ranking: Literal["lwlrap"] = "lwlrap"
    value_name: ClassVar[str] = "lwlrap"
    class_value_name: ClassVar[str] = "lwlrap"

    def of_tags(self, scores: torch.Tensor, truth: torch.Tensor) -> RankedScore:
        """See `ClipRanking.of_tags`."""
        precision, tags = label_precision(scores, truth).sum(0), truth.sum(0)
        return RankedScore(float(precision.sum() / tags.sum()), precision / tags, rates={"clips": tags})

    def certify_tags(self, scores: torch.Tensor, truth: torch.Tensor) -> str:
        """Has scikit-learn find the same overall value; it has none for single classes."""
        own = self.of_tags(scores, truth).overall
        theirs = scikit_learn.label_ranking(scores, truth)
        return scikit_learn.certify(
            RankedScore(own, torch.tensor([])), RankedScore(theirs, torch.tensor([], dtype=torch.float64))
        )


class DPrime(ClipRanking):
    """Separation of two unit normal distributions with the area under the clip-level ROC curve: d′ = √2 · Φ⁻¹(AUROC).

    The overall value is that of the mean AUROC over the classes that have clips with and without them, as for AudioSet.

    Source: Hershey et al., "CNN architectures for large-scale audio classification", ICASSP (2017).
    """

    ranking: Literal["d_prime"] = "d_prime"
    value_name: ClassVar[str] = "d_prime"
    class_value_name: ClassVar[str] = "d_prime"

    def of_tags(self, scores: torch.Tensor, truth: torch.Tensor) -> RankedScore:
        """See `ClipRanking.of_tags`; infinite where no clip ranks wrongly."""
        areas = auroc(scores, truth)
        mean = torch.tensor(mean_of_known(areas), dtype=torch.float64)
        rates = {"auroc": areas, "clips": truth.sum(0)}
        return RankedScore(float(_d_prime(mean)), _d_prime(areas), {"mean_auroc": float(mean)}, rates)

    def certify_tags(self, scores: torch.Tensor, truth: torch.Tensor) -> str:
        """Has scikit-learn find the same areas, and SciPy the same d′ of them."""
        return scikit_learn.certify(self.of_tags(scores, truth), scikit_learn.d_prime(scores, truth))


def _d_prime(area: torch.Tensor) -> torch.Tensor:
    return math.sqrt(2) * torch.special.ndtri(area)
