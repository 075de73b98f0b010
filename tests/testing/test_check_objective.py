"""The conformance check of objectives passes on what is here and fails on broken promises."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from plugin_cases import Onsets, Pooled

from rl_postproc.metrics import (
    Cost,
    Counts,
    ErrorRate,
    EventBased,
    F1AtPrecision,
    FBeta,
    Macro,
    Metric,
    Micro,
    Objective,
    PrecisionAtRecall,
    Weighted,
)
from rl_postproc.testing import NonConformant, check_objective


@pytest.mark.parametrize(
    "objective",
    [Macro(), Micro(), Weighted(), FBeta(), FBeta(average="micro"), ErrorRate(), ErrorRate(average="micro"),
     Cost(miss={"class_1": 4.0}), F1AtPrecision(), F1AtPrecision(precision={"class_0": 0.3}, confidence=0.9),
     PrecisionAtRecall()],
    ids=str,
)  # fmt: skip
def test_the_objectives_keep_their_promises(objective: Objective) -> None:
    check_objective(objective, EventBased())


@pytest.mark.parametrize("objective", [Macro(), Micro(), Pooled()], ids=str)
def test_objectives_for_any_metric_take_one_with_other_columns(objective: Objective) -> None:
    check_objective(objective, Onsets())


class Halved(Macro):
    """Its value is half of what its terms say."""

    objective: Literal["test_halved"] = "test_halved"  # pyright: ignore[reportIncompatibleVariableOverride]

    def value(self, metric: Metric, counts: Counts) -> torch.Tensor:
        return super().value(metric, counts) / 2


class Wide(Macro):
    """It turns everything into float64."""

    objective: Literal["test_wide"] = "test_wide"  # pyright: ignore[reportIncompatibleVariableOverride]

    def value(self, metric: Metric, counts: Counts) -> torch.Tensor:
        return super().value(metric, counts).double()


class Together(Macro):
    """It mixes the settings that come together."""

    objective: Literal["test_together"] = "test_together"  # pyright: ignore[reportIncompatibleVariableOverride]

    def value(self, metric: Metric, counts: Counts) -> torch.Tensor:
        value = super().value(metric, counts)
        return value - value.max()


@pytest.mark.parametrize(
    ("objective", "message"),
    [(Halved(), "mean of its terms"), (Wide(), "dtype"), (Together(), "counted together")],
    ids=lambda x: str(x),
)
def test_a_broken_promise_is_named(objective: Objective, message: str) -> None:
    with pytest.raises(NonConformant, match=message):
        check_objective(objective, EventBased())
