"""P(class is in the clip), learned: what an event over the whole clip is worth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import torch
from pydantic import Field

from rl_postproc.data.scores import ScoreSet
from rl_postproc.pipeline.saved import MadeFor, Saved, Shapes, prefixed, with_prefix

from ..base import ProgressCallback, silent
from ..parts import Parts
from .held_out import fit_held_out
from .policy import clips_at_a_time
from .trees import Trees
from .value_models import LabelledEvents, ModelSettings

_MOST_CLASSES = 64
"""Beyond so many classes the activity of the others is left out, which would need memory with their square."""
_QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
_LEVELS = (0.1, 0.3, 0.5, 0.8)
_WINDOWS = (0.32, 0.96, 2.6)
"""Seconds of running means of which the greatest counts."""
_OWN = 3 + len(_QUANTILES) + len(_LEVELS) + len(_WINDOWS)
"""Shares between 0 and 1 that describe a class in a clip; length and places among the classes come behind them."""
_STRENGTH = 0.05
"""Inverse of the weight decay of logistic regression on standardised logits."""


def n_columns(n_classes: int) -> int:
    """Returns the number of columns of `clip_features`."""
    return _OWN + 3 + _n_context(n_classes)


def _n_context(n_classes: int) -> int:
    return 2 * n_classes if n_classes <= _MOST_CLASSES else 0


def clip_features(scores: ScoreSet) -> torch.Tensor:
    """Describes every class in every clip.

    The greatest and mean score, their static ranking ``max · √mean``, quantiles, shares of frames above levels, greatest
    running means; the length of the clip; the class's place among all by greatest and by mean score; and both of every class.

    Returns:
        float32 ``[clip * class, column]``, clip-major.
    """
    return torch.cat([_of_clips(scores.select(clips)) for clips in clips_at_a_time(scores)])


def _of_clips(scores: ScoreSet) -> torch.Tensor:
    x, n = scores.scores, scores.n_frames
    running = torch.nn.functional.pad(x.double().cumsum(2), (1, 0))
    inside = torch.arange(scores.width)[None, None] < n[:, None, None]
    highest, mean = x.amax(2), (running[..., -1] / n[:, None]).float()
    ordered = x.masked_fill(~inside, 2.0).sort(2).values
    columns = [highest, mean, highest * mean.sqrt()]
    for share in _QUANTILES:
        place = share * (n - 1).double()
        below = place.floor().long()
        low, high = (ordered[torch.arange(len(n)), :, i] for i in (below, torch.minimum(below + 1, n - 1)))
        columns.append(low + (high - low) * (place - below)[:, None].float())
    columns += [(x > level).sum(2) / n[:, None] for level in _LEVELS]
    columns += [_greatest_mean(running, n, max(1, round(seconds / scores.hop))) for seconds in _WINDOWS]
    length = scores.durations.float()[:, None].expand_as(mean)
    places = [_places(highest), _places(mean)]
    own = torch.stack([*columns, length, *places], 2)
    context = torch.cat([highest, mean], 1)[:, None, : _n_context(scores.n_classes)]
    return torch.cat([own, context.expand(-1, scores.n_classes, -1)], 2).flatten(0, 1)


def _greatest_mean(running: torch.Tensor, n_frames: torch.Tensor, window: int) -> torch.Tensor:
    """Returns the greatest mean score of so many frames in a row, or of all where a clip has fewer, ``[clip, class]``."""
    size = n_frames.clamp(max=window)
    begin = torch.arange(running.shape[2] - 1)
    end = (begin + size[:, None]).clamp(max=running.shape[2] - 1)
    total = running.gather(2, end[:, None].expand(-1, running.shape[1], -1)) - running[..., :-1]
    fits = begin <= (n_frames - size)[:, None]
    return (total / size[:, None, None]).masked_fill(~fits[:, None], 0.0).amax(2).float()


def _places(values: torch.Tensor) -> torch.Tensor:
    """Returns the place of each class among all of its clip by ascending value, ``[clip, class]``."""
    return values.argsort(dim=1, stable=True).argsort(1).float()


def _logits(features: torch.Tensor) -> torch.Tensor:
    """Returns the shares among features as logits, float64 ``[row, column]``."""
    return torch.logit(torch.cat([features[:, :_OWN], features[:, _OWN + 3 :]], 1).double(), 1e-3)


class SavedClipModel(Saved):
    """The number of models."""

    n_models: Annotated[int, Field(ge=1, le=10_000)]

    def tensors(self, made: MadeFor) -> Shapes:
        """See `Saved.tensors`."""
        n = len(made.classes)
        linear: Shapes = {
            "weight": (torch.float64, (self.n_models, n, _OWN + _n_context(n))),
            "bias": (torch.float64, (self.n_models, n)),
        }
        return linear | prefixed("trees.", Trees.shapes(n))


@dataclass(frozen=True)
class ClipModel:
    """The mean of gradient boosting and of logistic regression for each class, both averaged over models.

    Attributes:
        trees: on `clip_features`.
        weight: of the logits among them, float64 ``[model, class, column]``.
        bias: float64 ``[model, class]``.
    """

    trees: Trees
    weight: torch.Tensor
    bias: torch.Tensor

    def probabilities(self, scores: ScoreSet) -> torch.Tensor:
        """Returns the probability of each class in each clip, float32 ``[clip * class]``."""
        features = clip_features(scores)
        label = torch.arange(scores.n_classes).repeat(scores.n_clips)
        return (self.trees.probabilities(features, label) + self._linear(features)) / 2

    def _linear(self, features: torch.Tensor) -> torch.Tensor:
        x = _logits(features).unflatten(0, (-1, self.weight.shape[1]))
        return (torch.einsum("nkf,mkf->mnk", x, self.weight) + self.bias[:, None]).sigmoid().mean(0).flatten().float()

    def state(self) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
        """Returns what must be saved."""
        trees = {f"trees.{name}": tensor for name, tensor in self.trees.to_tensors().items()}
        return {"n_models": len(self.weight)}, {"weight": self.weight, "bias": self.bias, **trees}

    @classmethod
    def from_state(cls, tensors: dict[str, torch.Tensor]) -> ClipModel:
        """Restores the model.

        Raises:
            ValueError: the arrays make no trees.
        """
        trees = Trees.from_tensors(with_prefix(tensors, "trees."))
        trees.check(n_columns(tensors["weight"].shape[1]))
        return cls(trees, tensors["weight"], tensors["bias"])


def fit_clip_model(
    scores: ScoreSet,
    present: torch.Tensor,
    fold: torch.Tensor,
    settings: ModelSettings,
    seed: int,
    report: ProgressCallback = silent,
    parts: Parts | None = None,
) -> tuple[ClipModel, torch.Tensor]:
    """Fits the models of all inner folds.

    Args:
        scores: to learn from.
        present: what is learned, bool ``[clip * class]``.
        fold: of each clip, int64 ``[clip]``.
        settings: of gradient boosting: twice the rounds, at three fifths of the learning rate, with trees of seven leaves.
        seed: the same seed gives the same models.
        report: takes progress.
        parts: what is finished.

    Returns:
        The model, and the probabilities by models that have not seen the clip, float32 ``[clip * class]``.
    """
    features, n_classes = clip_features(scores), scores.n_classes
    label, n_folds = torch.arange(n_classes).repeat(scores.n_clips), int(fold.max()) + 1
    slow = {"model": "boosted", "models": 1, "leaves": 7, "most_events": max(1000, len(label))}
    slow |= {"rounds": 2 * settings.rounds, "learning_rate": 0.6 * settings.learning_rate}
    rows = LabelledEvents(features, label, present, n_classes)
    own = fold.repeat_interleave(n_classes)
    boosted = fit_held_out(rows, own, n_folds, settings.model_copy(update=slow), seed, report, parts)
    x, y = _logits(features).unflatten(0, (-1, n_classes)), present.reshape(-1, n_classes)
    held_out, weights, biases = torch.zeros(y.shape), [], []
    for k in range(n_folds):
        weight, bias = _logistic_regression(x[fold != k], y[fold != k])
        held_out[fold == k] = (torch.einsum("nkf,kf->nk", x[fold == k], weight) + bias).sigmoid().float()
        weights.append(weight)
        biases.append(bias)
    model = ClipModel(Trees.join(boosted.trees), torch.stack(weights), torch.stack(biases))
    return model, (boosted.probabilities + held_out.flatten()) / 2


def _logistic_regression(x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Fits a regression for each class on standardised columns.

    Args:
        x: float64 ``[clip, class, column]``.
        y: bool ``[clip, class]``; a class that is in all clips or in none gets its share, a little off the edge.

    Returns:
        Weights of the columns as they are, float64 ``[class, column]``, and biases ``[class]``.
    """
    from sklearn.linear_model import LogisticRegression

    mean, spread = x.mean(0), x.std(0, correction=0)
    spread = torch.where(spread > 1e-9, spread, 1.0)
    z = (x - mean) / spread
    weight = torch.zeros(x.shape[1:], dtype=torch.float64)
    bias = torch.logit((y.sum(0) + 0.5).double() / (len(y) + 1))
    for k in ((y.any(0)) & ~y.all(0)).nonzero()[:, 0].tolist():
        model = LogisticRegression(C=_STRENGTH, max_iter=500).fit(z[:, k].numpy(), y[:, k].numpy())
        weight[k], bias[k] = torch.from_numpy(model.coef_[0]), float(model.intercept_[0])
    weight = weight / spread
    return weight, bias - (weight * mean).sum(1)
