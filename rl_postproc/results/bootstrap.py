"""Intervals for held-out figures: a bootstrap over clips and runs together, paired over clips.

Each sample draws clips with replacement, the same for every agent, and of every agent as many runs as it has, with
replacement too and for each agent by itself. Runs that are all alike add nothing, nor does a single one: its interval is
one over clips alone. What other training clips would change is in none of them, and few runs tell little of their spread.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
import torch

from rl_postproc.metrics.base import Metric
from rl_postproc.metrics.objectives import Objective

_CHUNK = 1 << 22
"""Numbers that a step of the resampling holds at once."""


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95 % interval.

    Attributes:
        value: the estimate on all clips and runs.
        low: 2.5th percentile of the bootstrap.
        high: 97.5th percentile.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Difference(Interval):
    """A difference with its 95 % interval, and with the one that holds together with those of other differences.

    Attributes:
        low_adjusted: where the interval begins of which all together hold in 95 %.
        high_adjusted: where it ends.
    """

    low_adjusted: float
    high_adjusted: float


def resampled(metric: Metric, objective: Objective, counts: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Returns the objective of each run on resampled clips, float64 ``[sample, run]``.

    Args:
        metric: what was counted.
        objective: what is reported of the counts.
        counts: the metric's columns of each run, ``[run, column, clip, class]``.
        weights: how often each clip is drawn, float64 ``[sample, clip]``.
    """
    n_runs = len(counts)
    drawn = weights @ counts.double().permute(2, 0, 1, 3).flatten(1)
    columns = drawn.reshape(len(weights), n_runs, len(metric.columns), -1).unbind(2)
    return objective.value(metric, dict(zip(metric.columns, columns, strict=True)))


def bootstrap(
    metric: Metric, objective: Objective, counts: torch.Tensor, agent: str = "", samples: int = 2000, seed: int = 0
) -> torch.Tensor:
    """Returns the mean objective of an agent's runs: on all clips first, then on each bootstrap sample.

    Args:
        metric: what was counted.
        objective: what is reported of the counts.
        counts: ``[run, column, clip, class]``.
        agent: its name; runs are drawn for each name by itself.
        samples: bootstrap samples.
        seed: of the resampling; the same seed draws the same clips for every agent, which pairs them.

    Returns:
        float64 ``[1 + samples]``.

    Source: Efron and Tibshirani, "An Introduction to the Bootstrap".
    """
    n_runs, _, n_clips, _ = counts.shape
    generator = torch.Generator().manual_seed(seed)
    runs = draw_runs(agent, n_runs, samples, seed)
    whole = resampled(metric, objective, counts, torch.ones(1, n_clips, dtype=torch.float64)).mean(1)
    found = [whole]
    for part in runs.split(max(1, _CHUNK // max(n_clips, counts[:, :, 0].numel()))):
        drawn = torch.randint(n_clips, (len(part), n_clips), generator=generator)
        weights = torch.zeros(drawn.shape, dtype=torch.float64)
        weights.scatter_add_(1, drawn, torch.ones_like(weights))
        found.append(resampled(metric, objective, counts, weights).gather(1, part).mean(1))
    return torch.cat(found)


def draw_runs(agent: str, n_runs: int, samples: int, seed: int) -> torch.Tensor:
    """Draws the runs of every sample, for each agent's name others, int64 ``[sample, run]``."""
    rng = np.random.default_rng([seed, zlib.crc32(agent.encode())])
    return torch.from_numpy(rng.integers(n_runs, size=(samples, n_runs)))


def interval(scores: torch.Tensor) -> Interval:
    """Returns the percentile interval of what `bootstrap` gives, ``[1 + samples]``."""
    low, high = torch.quantile(scores[1:], torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    return Interval(float(scores[0]), low, high)


def compared(differences: torch.Tensor) -> list[Difference]:
    """Returns intervals of several differences, each by itself and adjusted for their number.

    Adjusted intervals are ``value ± q · standard error`` with q the 95th percentile, over samples, of the greatest
    departure among all differences in standard errors: single-step max-t, which makes use of what they have in common.

    Args:
        differences: of scores by `bootstrap`, float64 ``[difference, 1 + samples]``.

    Source: Westfall and Young, "Resampling-Based Multiple Testing".

    Example:
        >>> import torch
        >>> from rl_postproc.metrics import EventBased, Macro
        >>> from rl_postproc.results.bootstrap import bootstrap, compared
        >>> columns = torch.tensor([[4, 1, 3, 2], [5, 5, 5, 5], [5, 5, 5, 5]])[None, :, :, None]  # [run, column, clip, class]
        >>> better = columns + torch.tensor([1, 0, 0])[None, :, None, None]  # a hit more in each clip
        >>> one, other = (bootstrap(EventBased(), Macro(), counts) for counts in (columns, better))  # of the same clips
        >>> (gain,) = compared((other - one)[None])
        >>> round(gain.value, 6), round(gain.low, 6), round(gain.high, 6)
        (0.2, 0.2, 0.2)
    """
    value, draws = differences[:, :1], differences[:, 1:]
    error = draws.std(1, keepdim=True)
    departure = (draws - value).abs() / torch.where(error > 0, error, 1.0)
    reach = torch.quantile(departure.amax(0), 0.95) * error
    low, high = (value - reach)[:, 0].tolist(), (value + reach)[:, 0].tolist()
    own = [interval(row) for row in differences]
    return [Difference(x.value, x.low, x.high, a, b) for x, a, b in zip(own, low, high, strict=True)]
