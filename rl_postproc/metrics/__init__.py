"""Metrics: additive counts per clip and class, scores of their sums, and the objectives that tuning maximises."""

from rl_postproc.metrics.base import Counts, Metric, PreparedMetric, Score, total_counts
from rl_postproc.metrics.event_based.metric import EventBased
from rl_postproc.metrics.f1 import f1
from rl_postproc.metrics.intersection.metric import IntersectionBased
from rl_postproc.metrics.objectives import (
    Cost,
    ErrorRate,
    F1AtPrecision,
    FBeta,
    Linearisation,
    Macro,
    Micro,
    Objective,
    PrecisionAtRecall,
    Weighted,
)
from rl_postproc.metrics.segment_based.metric import SegmentBased
from rl_postproc.metrics.tagging.metric import Tagging

__all__ = [
    "Cost",
    "Counts",
    "ErrorRate",
    "EventBased",
    "F1AtPrecision",
    "FBeta",
    "IntersectionBased",
    "Linearisation",
    "Macro",
    "Metric",
    "Micro",
    "Objective",
    "PrecisionAtRecall",
    "PreparedMetric",
    "Score",
    "SegmentBased",
    "Tagging",
    "Weighted",
    "f1",
    "total_counts",
]
