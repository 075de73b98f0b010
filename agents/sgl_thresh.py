"""SGL-Thresh: thresholds by surrogate gradients, on tags as published and, through the metric's own counts, on events.

Source: Pellegrini and Masquelier, "Fast threshold optimization for multi-label audio tagging using surrogate gradient
learning" (ICASSP 2021, arXiv:2103.00833). The decision ``x > t`` passes the gradient ``σ·s(σ(x−t))·s(−σ(x−t))``, with
``s`` the logistic function; threshold and steepness of each class follow the gradient of F1.

A count of events is a sum of such decisions too: each threshold at which it falls or rises is an ``x`` of weight +1 or
−1. So the same surrogate serves every metric, without a stand-in on frames.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from pydantic import Field, model_validator

from rl_postproc.count_steps import CountSteps, metric_steps, tag_steps
from rl_postproc.metrics import Tagging
from rl_postproc.scores import ScoreSet

from ..envs import TuningTask
from .base import Agent, Fit, Report, constant_fit, silent
from .thresholds import Adam, filtered_scores, keep_best_filters, threshold_stack

EPS = 1e-12
EXACT_CELLS = 1 << 20
"""Up to so many steps over all columns each is a cell of its own, as published; beyond, they are binned."""

PRESETS: dict[str, dict[str, Any]] = {
    name: {"average": "micro", "start": start, "sigma": 50.0, "learning_rate": 1e-2, "epochs": 100}
    for name, start in (("dcase2017", 0.3), ("dcase2019", 0.5), ("audioset", 0.3))
}
"""The settings of the paper by data set; only the first threshold differs."""


class Cells:
    """The steps of counts, each or in bins, as what the surrogate gradient sums over.

    Attributes:
        x: position of each cell, float32 ``[column, cell]``.
        weight: by how much the true positives and estimates fall there, float32 ``[2, column, cell]``.
    """

    def __init__(self, steps: CountSteps, bins: int):
        """Takes every step as it is where there are few, else bins them by threshold, at their mean positions."""
        counts = torch.stack([steps.true_positives, steps.estimated])
        if steps.knots.numel() <= EXACT_CELLS:
            self.x = steps.knots.clamp(max=2)
            self.weight = -counts.diff(dim=-1).float()
            return
        edges = (torch.arange(bins + 1) / bins).expand(len(steps.knots), -1).contiguous()
        border = torch.searchsorted(steps.knots, edges)
        border[:, -1] = (steps.knots <= 1).sum(1)
        self.weight = -counts.gather(2, border.expand(2, -1, -1)).diff(dim=-1).float()
        below = torch.nn.functional.pad(steps.knots.clamp(max=2).cumsum(1, dtype=torch.float64), (1, 0))
        number = border.diff(dim=1)
        mean = below.gather(1, border).diff(dim=1) / number
        self.x = torch.where(number > 0, mean, 0.0).float()


class SurrogateCounts(torch.autograd.Function):
    """Exact counts above the thresholds forward; the derivative of ``Σ weight·s(σ(x−t))`` backward."""

    @staticmethod
    def forward(ctx: Any, t: torch.Tensor, sigma: torch.Tensor, steps: CountSteps, cells: Cells) -> torch.Tensor:
        """Returns true positives and estimates at thresholds ``[column]``, float32 ``[2, column]``."""
        ctx.save_for_backward(t, sigma)
        ctx.cells = cells
        return torch.stack(steps.at(t)).float()

    @staticmethod
    def backward(ctx: Any, *grad: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None, None]:
        """Returns the gradients with respect to the thresholds and their steepness."""
        t, sigma = ctx.saved_tensors
        distance = ctx.cells.x - t[:, None]
        logistic = (sigma[:, None] * distance).sigmoid_()
        slope = torch.addcmul(logistic, logistic, logistic, value=-1)
        slope *= (grad[0][0, :, None] * ctx.cells.weight[0]).addcmul_(grad[0][1, :, None], ctx.cells.weight[1])
        return -sigma * slope.sum(1), distance.mul_(slope).sum(1), None, None


def learn_thresholds(
    steps: CountSteps,
    *,
    groups: int = 1,
    average: str = "micro",
    epochs: int = 100,
    learning_rate: float = 1e-2,
    sigma: float = 50.0,
    start: float = 0.3,
    bins: int = 1024,
) -> tuple[torch.Tensor, list[float]]:
    """Learns a threshold and a steepness for each column by full-batch Adam on −F1.

    Args:
        steps: counts of each column.
        groups: number of equal groups of columns, such as filter settings, whose F1 are maximised side by side.
        average: ``micro`` or ``macro`` F1 over the columns of a group.
        epochs: steps of Adam.
        learning_rate: of Adam.
        sigma: first steepness.
        start: first threshold.
        bins: cells in which steps are summed where there are too many to take each.

    Returns:
        Thresholds float32 ``[column]`` within [0, 1], and the mean F1 of the groups before each step.
    """
    n = len(steps.knots)
    t = torch.full((n,), start, requires_grad=True)
    s = torch.full((n,), sigma, requires_grad=True)
    adam, cells, curve = Adam(learning_rate), Cells(steps, bins), []
    reference = steps.reference.float().reshape(groups, -1)
    for _ in range(epochs):
        hits, found = SurrogateCounts.apply(t, s, steps, cells).reshape(2, groups, -1)  # pyright: ignore
        if average == "micro":
            quality = 2 * hits.sum(1) / (found.sum(1) + reference.sum(1) + EPS)
        else:
            known = reference > 0
            score = 2 * hits / (found + reference + EPS)
            quality = torch.where(known, score, 0.0).sum(1) / known.sum(1).clamp(min=1)
        gradients = torch.autograd.grad(quality.sum(), [t, s])
        with torch.no_grad():
            moves = adam.step(torch.stack(gradients))
            t += moves[0]
            s += moves[1]
        curve.append(float(quality.detach().mean()))
    return t.detach().clamp(0, 1), curve


def frame_references(scores: ScoreSet) -> torch.Tensor:
    """Returns the frames whose middle lies inside a reference event, bool ``[clip, class, frame]``."""
    references = scores.require_references()
    middle = ((scores.edges[:, :-1] + scores.edges[:, 1:]) / 2).expand(scores.n_clips, -1)
    change = torch.zeros(scores.n_clips, scores.n_classes, scores.width + 1, dtype=torch.int32)
    rows = middle[references.clip].contiguous()
    one = torch.tensor(1, dtype=torch.int32)
    for times, sign in ((references.onset, one), (references.offset, -one)):
        frame = torch.searchsorted(rows, times[:, None].contiguous())[:, 0]
        change.index_put_((references.clip, references.label, frame), sign, accumulate=True)
    return (change.cumsum(-1)[..., :-1] > 0) & scores.valid[:, None]


def frame_steps(scores: ScoreSet, filtered: torch.Tensor, segment: float | None = None) -> CountSteps:
    """Counts frames, or segments that count as active where any of their frames is.

    Args:
        scores: the score set, with references.
        filtered: ``[filter, frame, track]``.
        segment: length of a segment in seconds; None for frames.
    """
    x = filtered.reshape(*filtered.shape[:2], scores.n_clips, -1).permute(2, 1, 0, 3).flatten(2)
    truth, valid = frame_references(scores).transpose(1, 2), scores.valid
    length = 1 if segment is None else max(1, round(segment / scores.hop))
    fill = -scores.width % length
    x, truth = (
        torch.nn.functional.pad(v, (0, 0, 0, fill)).unflatten(1, (-1, length)).amax(2) for v in (x, truth.byte())
    )
    kept = torch.nn.functional.pad(valid, (0, fill)).unflatten(1, (-1, length)).any(2)
    return tag_steps(x[kept], truth[kept].bool().repeat(1, len(filtered)))


class SGLThresh(Agent):
    """Thresholds by surrogate gradients, one a class, for every filter setting; each class keeps its best filter.

    ``objective`` names the F1 whose gradient is followed: of the metric's own counts (``event``; with the metric
    `Tagging` always the tags), of frames, or of 1 s segments. The filter of a class is chosen by the metric. ``preset``
    sets what the paper used on a data set (`PRESETS`).
    """

    agent: Literal["sgl_thresh"] = "sgl_thresh"
    preset: Literal["dcase2017", "dcase2019", "audioset"] | None = None
    objective: Literal["event", "segment", "frame"] = "event"
    average: Literal["macro", "micro"] = "macro"
    epochs: int = Field(default=100, ge=1)
    learning_rate: float = Field(default=1e-2, gt=0)
    sigma: float = Field(default=50.0, gt=0)
    start: float = Field(default=0.5, ge=0, le=1)
    bins: int = Field(default=512, ge=2)
    description: ClassVar[str] = "surrogate-gradient thresholds on the metric's own counts, filter by the metric"

    @model_validator(mode="before")
    @classmethod
    def _apply_preset(cls, values: Any) -> Any:
        name = values.get("preset") if isinstance(values, dict) else None
        return {**PRESETS[name], **values} if isinstance(name, str) and name in PRESETS else values

    def fit(self, task: TuningTask, seed: int, report: Report = silent) -> Fit:
        """Learns thresholds for every filter and keeps the best filter of each class."""
        settings = threshold_stack(task, self.agent)
        filtered = filtered_scores(task)
        counted = metric_steps(task.metric, task.scores, filtered)
        steps = counted
        if self.objective != "event" and not isinstance(task.metric, Tagging):
            steps = frame_steps(task.scores, filtered, 1.0 if self.objective == "segment" else None)
        report(0.3, {})
        thresholds, curve = learn_thresholds(
            steps,
            groups=len(settings),
            average=self.average,
            epochs=self.epochs,
            learning_rate=self.learning_rate,
            sigma=self.sigma,
            start=self.start,
            bins=self.bins,
        )
        values, quality = keep_best_filters(task, settings, counted, thresholds, self.average)
        report(1.0, {f"train_{self.average}_f1": quality})
        rows = [{"epoch": float(i), f"{self.objective}_f1": value} for i, value in enumerate(curve)]
        return constant_fit(task, values, (self.epochs + 1) * len(settings) * task.scores.n_clips, rows)
