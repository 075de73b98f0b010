"""Objectives: what tuning maximises, each a class found by its name."""

from rl_postproc.metrics.objectives.averages import Macro, Micro, Weighted
from rl_postproc.metrics.objectives.base import Linearisation, Objective
from rl_postproc.metrics.objectives.constrained import Constrained, F1AtPrecision, PrecisionAtRecall
from rl_postproc.metrics.objectives.cost import Cost
from rl_postproc.metrics.objectives.error_rate import ErrorRate
from rl_postproc.metrics.objectives.f_beta import FBeta

__all__ = [
    "Constrained",
    "Cost",
    "ErrorRate",
    "F1AtPrecision",
    "FBeta",
    "Linearisation",
    "Macro",
    "Micro",
    "Objective",
    "PrecisionAtRecall",
    "Weighted",
]
