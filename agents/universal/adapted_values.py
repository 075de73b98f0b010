"""Event values that began as the trained post-processor's and were adapted to a few labels."""

from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field

from rl_postproc.candidates.events import DecodedEvents
from rl_postproc.pipeline.saved import Count, MadeFor, Price, Saved, Shapes, prefixed, with_prefix

from ..events.trees import Trees
from ..events.value_functions import EventValueFunction

_EXTREME = 1e-6
"""Probabilities are kept this far from 0 and 1 where they become logits."""


def logit(probability: torch.Tensor) -> torch.Tensor:
    """Returns finite logits, float64 ``[event]``."""
    return torch.logit(probability.double(), _EXTREME)


Logit = Annotated[float, Field(ge=-1e3, le=1e3)]


class SavedAdapted(Saved):
    """How the trained logits and the own ones go together, and λ of each class."""

    gain: Logit
    shift: list[Logit]
    share: Annotated[float, Field(ge=0, le=1)]
    lam: list[Price]
    has_own: bool
    n_features: Count

    def tensors(self, made: MadeFor) -> Shapes:
        """See `Saved.tensors`."""
        made.per_class("shift", self.shift)
        made.per_class("lam", self.lam)
        made.equal(n_features=(self.n_features, made.n_features))
        own = prefixed("own.", Trees.shapes(len(made.classes))) if self.has_own else {}
        return prefixed("trained.", Trees.shapes(1)) | own


class AdaptedValues(EventValueFunction):
    """``2·p − λ_c``; the logit of p is a mean of the trained one, calibrated for each class, and of one fitted to labels."""

    kind = "adapted"
    saved = SavedAdapted

    def __init__(
        self,
        trained: Trees,
        gain: float,
        shift: torch.Tensor,
        own: Trees | None,
        share: float,
        lam: torch.Tensor,
        n_features: int,
    ):
        """Takes both models and how they go together.

        Args:
            trained: knows no class.
            gain: by which its logits are multiplied.
            shift: added to them, ``[class]``.
            own: fitted to the labels, None where they are too few.
            share: of the own logits in the mean.
            lam: λ of each class, ``[class]``.
            n_features: number of features that the trees may look at.

        Raises:
            ValueError: the arrays make no trees.
        """
        for trees in (trained, own):
            if trees is not None:
                trees.check(n_features)
        self.trained, self.gain, self.shift, self.own, self.share, self.lam = trained, gain, shift, own, share, lam
        self.n_features = n_features

    def probabilities(self, features: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """Returns P(match) of events, float32 ``[event]``."""
        first = self.gain * logit(self.trained.probabilities(features, torch.zeros_like(label))) + self.shift[label]
        if self.own is not None:
            first = (1 - self.share) * first + self.share * logit(self.own.probabilities(features, label))
        return first.sigmoid().float()

    def values(self, events: DecodedEvents, features: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """See `EventValueFunction.values`."""
        return 2 * self.probabilities(features, label) - self.lam[label]

    def state(self) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
        """Returns the numbers, and the trees as arrays."""
        tensors = {f"trained.{name}": tensor for name, tensor in self.trained.to_tensors().items()}
        if self.own is not None:
            tensors |= {f"own.{name}": tensor for name, tensor in self.own.to_tensors().items()}
        values = {
            "gain": self.gain,
            "shift": self.shift.double().tolist(),
            "share": self.share,
            "lam": self.lam.double().tolist(),
            "has_own": self.own is not None,
            "n_features": self.n_features,
        }
        return values, tensors

    @classmethod
    def from_state(cls, values: dict[str, Any], tensors: dict[str, torch.Tensor]) -> AdaptedValues:
        """Restores the trees.

        Raises:
            ValueError: the arrays make no trees.
        """
        trained = Trees.from_tensors(with_prefix(tensors, "trained."))
        own = Trees.from_tensors(with_prefix(tensors, "own.")) if values["has_own"] else None
        shift, lam = torch.tensor(values["shift"]), torch.tensor(values["lam"])
        return cls(trained, float(values["gain"]), shift, own, float(values["share"]), lam, values["n_features"])
