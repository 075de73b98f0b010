"""Policies that judge what each candidate would decode on a clip: a value for every event, summed over a candidate's events.

``Q(clip, class, candidate) = Σ over the events it decodes of v(event)``; the candidate with the highest sum is chosen.
With ``v = 2·P(event matches) − λ_c`` that is, up to a constant, the linearised F1 reward in expectation.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from rl_postproc.decoded import DecodedEvents, decode_candidates
from rl_postproc.errors import UserError
from rl_postproc.event_features import FeatureGrid, event_features
from rl_postproc.postprocessor import Policy
from rl_postproc.scores import ScoreSet
from rl_postproc.stack import Stack


class Judge(ABC):
    """Gives every event a value. Subclasses are found by their ``kind``."""

    kind: ClassVar[str]

    @abstractmethod
    def values(self, events: DecodedEvents, features: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """Returns values of events, float32 ``[event]``, from features ``[event, feature]`` and class indices."""

    @abstractmethod
    def state(self) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
        """Returns what must be saved."""

    @classmethod
    @abstractmethod
    def from_state(cls, values: dict[str, Any], tensors: dict[str, torch.Tensor]) -> Judge:
        """Restores a judge."""


class BoostedJudge(Judge):
    """``2·p − λ_c`` with p the mean of gradient-boosted models (LightGBM), kept in the library's text format."""

    kind = "boosted"

    def __init__(self, models: list[str], lam: torch.Tensor):
        """Takes model texts and ``λ`` of each class."""
        lightgbm = require_lightgbm()
        self.texts, self.lam = models, lam
        self._models = [lightgbm.Booster(model_str=text) for text in models]

    def values(self, events: DecodedEvents, features: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """See `Judge.values`."""
        return 2 * self.probabilities(features, label) - self.lam[label]

    def probabilities(self, features: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """Returns P(match) of events, float32 ``[event]``."""
        if not len(features):
            return torch.zeros(0)
        rows = with_class_column(features, label)
        found = [model.predict(rows, num_threads=torch.get_num_threads()) for model in self._models]
        return torch.from_numpy(np.mean(found, 0)).float()

    def state(self) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
        """Returns the model texts."""
        return {"models": self.texts, "lam": self.lam.double().tolist()}, {}

    @classmethod
    def from_state(cls, values: dict[str, Any], tensors: dict[str, torch.Tensor]) -> BoostedJudge:
        """Restores the models."""
        return cls(values["models"], torch.tensor(values["lam"]))


class EventNetwork(nn.Module):
    """A small network from the features and the class of an event to one number."""

    centre: torch.Tensor
    scale: torch.Tensor

    def __init__(self, n_features: int, n_classes: int, hidden: int, dropout: float = 0.0):
        super().__init__()
        self.register_buffer("centre", torch.zeros(n_features))
        self.register_buffer("scale", torch.ones(n_features))
        self.embedding = nn.Embedding(n_classes, 8)
        self.layers = nn.Sequential(
            nn.Linear(n_features + 8, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, 1),
        )
        self.size = {"n_features": n_features, "n_classes": n_classes, "hidden": hidden}

    def standardise(self, features: torch.Tensor) -> None:
        """Sets the scaling of the inputs from the events of the training clips."""
        deviation, mean = torch.std_mean(features, 0, correction=0)
        self.centre.copy_(mean)
        self.scale.copy_(1 / deviation.clamp(min=1e-3))

    def scaled(self, features: torch.Tensor) -> torch.Tensor:
        """Returns the standardised features, ``[event, feature]``."""
        return ((features - self.centre) * self.scale).clamp(-5, 5)

    def hidden(self, scaled: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """Returns what the last layer sees of standardised features, ``[event, hidden]``."""
        first = self.layers[0]
        assert isinstance(first, nn.Linear)
        # The first layer on features and class apart: what the class adds is the same for all of its events, and no
        # gradient is worked out for the features.
        of_features, of_class = first.weight.tensor_split([scaled.shape[1]], 1)
        offset = nn.functional.linear(self.embedding.weight, of_class, first.bias)
        return self.layers[1:-1](nn.functional.linear(scaled, of_features) + offset[label])

    def forward(self, features: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """Returns ``[event]``."""
        return self.layers[-1](self.hidden(self.scaled(features), label))[:, 0]


class NetworkJudge(Judge):
    """The mean over networks: of their outputs, or of ``2·p − λ_c`` with p the logistic function of the output.

    Added to the values of another judge where there is one.
    """

    kind = "network"

    def __init__(self, networks: list[EventNetwork], lam: torch.Tensor | None = None, base: Judge | None = None):
        """Takes networks; ``lam`` makes them probabilities, ``base`` is added."""
        self.networks, self.lam, self.base = networks, lam, base
        for network in networks:
            network.eval().requires_grad_(False)

    def values(self, events: DecodedEvents, features: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """See `Judge.values`."""
        outputs = torch.stack([network(features, label) for network in self.networks])
        if self.lam is not None:
            return 2 * outputs.sigmoid().mean(0) - self.lam[label]
        total = outputs.mean(0)
        return total if self.base is None else total + self.base.values(events, features, label)

    def state(self) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
        """Returns sizes and weights."""
        tensors = {f"{i}.{k}": v for i, network in enumerate(self.networks) for k, v in network.state_dict().items()}
        values: dict[str, Any] = {"size": self.networks[0].size, "n_networks": len(self.networks)}
        values["lam"] = None if self.lam is None else self.lam.double().tolist()
        values["base"] = None
        if self.base is not None:
            inner, inner_tensors = self.base.state()
            values["base"] = {"kind": self.base.kind, **inner}
            tensors |= {f"base.{k}": v for k, v in inner_tensors.items()}
        return values, tensors

    @classmethod
    def from_state(cls, values: dict[str, Any], tensors: dict[str, torch.Tensor]) -> NetworkJudge:
        """Restores the networks."""
        networks = []
        for i in range(values["n_networks"]):
            networks.append(EventNetwork(**values["size"]))
            networks[-1].load_state_dict(_with_prefix(tensors, f"{i}."))
        base = values["base"] and restore_judge(values["base"], _with_prefix(tensors, "base."))
        return cls(networks, None if values["lam"] is None else torch.tensor(values["lam"]), base)


class ConstantsJudge(Judge):
    """1 for the events that constant parameters decode, −1 for all others: the argmax is those constants."""

    kind = "constants"

    def __init__(self, candidates: torch.Tensor):
        """Takes the candidate of each class, int64 ``[class]``."""
        self.candidates = candidates

    def values(self, events: DecodedEvents, features: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """See `Judge.values`."""
        per_track = self.candidates.repeat(events.n_tracks // len(self.candidates))
        return events.of_candidates(per_track).float() * 2 - 1

    def state(self) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
        """Returns the candidates."""
        return {"candidates": self.candidates.tolist()}, {}

    @classmethod
    def from_state(cls, values: dict[str, Any], tensors: dict[str, torch.Tensor]) -> ConstantsJudge:
        """Restores the candidates."""
        return cls(torch.tensor(values["candidates"], dtype=torch.int64))


def restore_judge(values: dict[str, Any], tensors: dict[str, torch.Tensor]) -> Judge:
    """Restores a judge of any kind."""
    kinds = {kind.kind: kind for kind in Judge.__subclasses__()}
    return kinds[values["kind"]].from_state(values, tensors)


def _with_prefix(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


class EventAdditive(Policy):
    """Chooses the candidate whose events have the highest sum of values."""

    kind = "event_additive"

    def __init__(self, judge: Judge, grid: FeatureGrid):
        """Takes what gives events their values, and where features are sampled."""
        self.judge, self.grid = judge, grid

    def choose(self, scores: ScoreSet, stack: Stack) -> torch.Tensor:
        """Returns parameter values ``[clip, class, parameter]``, a bounded number of frames at a time."""
        scores, chosen = scores.to("cpu"), []
        for clips in torch.arange(scores.n_clips).split(max(1, (1 << 19) // (scores.n_classes * scores.width))):
            part = scores.select(clips)
            events = decode_candidates(part, stack)
            features = event_features(part, events, self.grid)
            best = self.best_candidates(events, features, scores.n_classes)
            chosen.append(stack.space.values[best].reshape(len(clips), scores.n_classes, -1))
        return torch.cat(chosen)

    def best_candidates(self, events: DecodedEvents, features: torch.Tensor, n_classes: int) -> torch.Tensor:
        """Returns the candidate of each track, int64 ``[track]``, from decoded events and their features."""
        return best_candidates(events, self.judge.values(events, features, events.track % n_classes))

    def state(self) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
        """Returns the judge and the grid."""
        values, tensors = self.judge.state()
        return {"judge": {"kind": self.judge.kind, **values}, "step": self.grid.step, "reach": self.grid.reach}, tensors

    @classmethod
    def from_state(cls, values: dict[str, Any], tensors: dict[str, torch.Tensor]) -> EventAdditive:
        """Restores the policy."""
        return cls(restore_judge(values["judge"], tensors), FeatureGrid(values["step"], values["reach"]))


def best_candidates(events: DecodedEvents, values: torch.Tensor) -> torch.Tensor:
    """Returns the candidate of each track with the highest sum of event values, int64 ``[track]``.

    Sums are compared in double precision after rounding, so that candidates with the same events tie, and ties go to the
    first candidate on any machine and for any grouping of clips.
    """
    return events.sum_over_candidates(values.double()).round(decimals=9).argmax(1)


def with_class_column(features: torch.Tensor, label: torch.Tensor) -> np.ndarray:
    """Returns the features with the class index as the last column, ``[event, feature + 1]``."""
    return np.concatenate([features.numpy(), label[:, None].numpy()], 1)


def require_lightgbm() -> Any:
    """Imports LightGBM.

    Raises:
        UserError: it is not installed.
    """
    try:
        import lightgbm
    except ImportError as error:
        raise UserError("Gradient boosting needs LightGBM; install 'lightgbm', or set model: network.") from error
    return lightgbm
