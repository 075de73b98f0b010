"""Metrics: additive counts per clip and class, and scores from their sums."""

from rl_postproc.metrics.base import Metric, PreparedMetric, Scored, f1, score_counts
from rl_postproc.metrics.event_based import EventBased
from rl_postproc.metrics.tagging import Tagging


def metric_types() -> dict[str, type[Metric]]:
    """Returns every known metric by its name in configs, those of importing programs included."""
    pending, found = list(Metric.__subclasses__()), {}
    while pending:
        kind = pending.pop()
        pending += kind.__subclasses__()
        name = kind.model_fields["metric"].default
        if isinstance(name, str):
            found.setdefault(name, kind)  # a subclass that keeps the name does not take its place
    return found


__all__ = ["EventBased", "Metric", "PreparedMetric", "Scored", "Tagging", "f1", "metric_types", "score_counts"]
