"""Metrics of rankings: how well confidences or scores order events, segments or clips, without any threshold."""

from rl_postproc.metrics.ranking.base import RankedScore, RankingMetric
from rl_postproc.metrics.ranking.evaluate import CertifiedRanking, evaluate_ranking

__all__ = ["CertifiedRanking", "RankedScore", "RankingMetric", "evaluate_ranking"]
