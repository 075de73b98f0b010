"""Metrics: additive counts per clip and class, and scores from their sums."""

from rl_postproc.kinds import kinds_by_name
from rl_postproc.metrics.base import Metric, PreparedMetric, Scored, f1, score_counts
from rl_postproc.metrics.event_based import EventBased
from rl_postproc.metrics.tagging import Tagging


def metric_types() -> dict[str, type[Metric]]:
    """Returns every known metric by its name in configs, those of importing programs included."""
    return kinds_by_name(Metric, "metric")


__all__ = ["EventBased", "Metric", "PreparedMetric", "Scored", "Tagging", "f1", "metric_types", "score_counts"]
