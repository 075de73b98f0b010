"""The conformance check of rankings passes on those that are here, and fails on broken promises."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import pytest
import torch

from rl_postproc.metrics.base import CertificationError
from rl_postproc.metrics.ranking import RankedScore, RankingMetric
from rl_postproc.metrics.ranking.clips import MeanAveragePrecision, clip_scores
from rl_postproc.testing import NonConformant, check_ranking
from rl_postproc.utils.errors import UserError


@pytest.mark.parametrize("name", ["d_prime", "lwlrap", "mean_average_precision", "mpauc"])
def test_the_rankings_conform(name: str) -> None:
    check_ranking(RankingMetric.make(name))


class Surest(RankingMetric):
    """The mean score, which another map of the scores changes."""

    ranking: Literal["test_surest"] = "test_surest"
    value_name: ClassVar[str] = "surest"
    class_value_name: ClassVar[str] = "surest"

    def value(self, references: Any, estimates: Any, durations: Any = None) -> RankedScore:
        by_class = clip_scores(estimates).double().mean(0)
        return RankedScore(float(by_class.mean()), by_class)


class FirstClip(MeanAveragePrecision):
    """Ranks all but the first clip."""

    ranking: Literal["test_all_but_first"] = "test_all_but_first"  # pyright: ignore

    def of_tags(self, scores: torch.Tensor, truth: torch.Tensor) -> RankedScore:
        return super().of_tags(scores[1:], truth[1:])


class OneForAll(MeanAveragePrecision):
    """Gives one value for all classes."""

    ranking: Literal["test_one_value"] = "test_one_value"  # pyright: ignore

    def of_tags(self, scores: torch.Tensor, truth: torch.Tensor) -> RankedScore:
        return RankedScore(0.5, torch.tensor(0.5))


class Disputed(MeanAveragePrecision):
    """Its oracle does not agree."""

    ranking: Literal["test_disputed"] = "test_disputed"  # pyright: ignore

    def certify_tags(self, scores: torch.Tensor, truth: torch.Tensor) -> str:
        raise CertificationError("planted")


class Picky(Surest):
    """Ranks nothing."""

    ranking: Literal["test_picky"] = "test_picky"  # pyright: ignore

    def value(self, references: Any, estimates: Any, durations: Any = None) -> RankedScore:
        raise UserError("No.")


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        (Surest(), "changes where all orders stay"),
        (FirstClip(), "depends on the order of the clips"),
        (OneForAll(), r"not \[class\]"),
        (Disputed(), "certify raises CertificationError: planted"),
        (Picky(), "ranks neither frame scores nor events"),
    ],
    ids=lambda value: value.name if isinstance(value, RankingMetric) else "",
)
def test_a_ranking_that_breaks_a_promise_is_refused(metric: RankingMetric, message: str) -> None:
    with pytest.raises(NonConformant, match=message):
        check_ranking(metric)
