"""What gives every decoded event its value."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field

from rl_postproc.candidates.events import DecodedEvents
from rl_postproc.pipeline.saved import (
    Count,
    MadeFor,
    Price,
    Saved,
    Shapes,
    prefixed,
    tensors_of,
    weights_of,
    with_prefix,
)
from rl_postproc.utils.errors import UnknownNameError
from rl_postproc.utils.tensors import decimals

from .network import EventNetwork
from .trees import Trees


class EventValueFunction(ABC):
    """Gives every event a value. Subclasses are found by their ``kind``."""

    kind: ClassVar[str]
    saved: ClassVar[type[Saved] | None] = None
    """What its `state` looks like, by which files are checked before use."""

    @abstractmethod
    def values(self, events: DecodedEvents, features: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """Returns values of events, float32 ``[event]``, from features ``[event, feature]`` and class indices."""

    @abstractmethod
    def state(self) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
        """Returns what must be saved."""

    @classmethod
    @abstractmethod
    def from_state(cls, values: dict[str, Any], tensors: dict[str, torch.Tensor]) -> EventValueFunction:
        """Restores a value function."""


class SavedBoosted(Saved):
    """λ of each class, and the number of features."""

    lam: list[Price]
    n_features: Count

    def tensors(self, made: MadeFor) -> Shapes:
        """See `Saved.tensors`."""
        made.per_class("lam", self.lam)
        made.equal(n_features=(self.n_features, made.n_features))
        return Trees.shapes(len(made.classes))


class BoostedValues(EventValueFunction):
    """``2·p − λ_c`` with p the mean of gradient-boosted models."""

    kind = "boosted"
    saved = SavedBoosted

    def __init__(self, trees: Trees, lam: torch.Tensor, n_features: int):
        """Takes the trees of all models, ``λ`` of each class, and the number of features that the trees may look at.

        Raises:
            ValueError: the arrays make no trees, see `Trees.check`.
        """
        trees.check(n_features)
        self.trees, self.lam, self.n_features = trees, lam, n_features

    def values(self, events: DecodedEvents, features: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """See `EventValueFunction.values`."""
        return 2 * self.trees.probabilities(features, label) - self.lam[label]

    def state(self) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
        """Returns λ, and the trees as arrays."""
        return {"lam": decimals(self.lam), "n_features": self.n_features}, self.trees.to_tensors()

    @classmethod
    def from_state(cls, values: dict[str, Any], tensors: dict[str, torch.Tensor]) -> BoostedValues:
        """Restores the trees."""
        return cls(Trees.from_tensors(tensors), torch.tensor(values["lam"]), values["n_features"])


class NetworkSize(Saved):
    """Sizes of a network."""

    n_features: Count
    n_classes: Count
    hidden: Count


class SavedNetworks(Saved):
    """The size of the networks, λ of each class where they give probabilities, and what they add to."""

    size: NetworkSize
    n_networks: Annotated[int, Field(ge=1, le=1000)]
    lam: list[Price] | None
    base: dict[str, Any] | None

    def tensors(self, made: MadeFor) -> Shapes | None:
        """See `Saved.tensors`."""
        size = self.size
        made.equal(n_classes=(size.n_classes, len(made.classes)), n_features=(size.n_features, made.n_features))
        made.per_class("lam", self.lam)
        if self.lam is not None and self.base is not None:
            raise ValueError("'lam' goes with probabilities, which are not added to anything")
        weights = weights_of(lambda: EventNetwork(**size.model_dump()))
        found = {n: shape for i in range(self.n_networks) for n, shape in prefixed(f"{i}.", weights).items()}
        base = {} if self.base is None else check_values(self.base, made)
        return None if base is None else found | prefixed("base.", base)


class NetworkValues(EventValueFunction):
    """The mean over networks: of their outputs, or of ``2·p − λ_c`` with p the logistic function of the output.

    Added to the values of another value function where there is one.
    """

    kind = "network"
    saved = SavedNetworks

    def __init__(
        self, networks: list[EventNetwork], lam: torch.Tensor | None = None, base: EventValueFunction | None = None
    ):
        """Takes networks; ``lam`` makes them probabilities, ``base`` is added."""
        self.networks, self.lam, self.base = networks, lam, base
        for network in networks:
            network.eval().requires_grad_(False)

    def values(self, events: DecodedEvents, features: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """See `EventValueFunction.values`."""
        outputs = torch.stack([network(features, label) for network in self.networks])
        if self.lam is not None:
            return 2 * outputs.sigmoid().mean(0) - self.lam[label]
        total = outputs.mean(0)
        return total if self.base is None else total + self.base.values(events, features, label)

    def state(self) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
        """Returns sizes and weights."""
        tensors = {f"{i}.{k}": v for i, network in enumerate(self.networks) for k, v in network.state_dict().items()}
        values: dict[str, Any] = {"size": self.networks[0].size, "n_networks": len(self.networks)}
        values["lam"] = None if self.lam is None else decimals(self.lam)
        values["base"] = None
        if self.base is not None:
            inner, inner_tensors = self.base.state()
            values["base"] = {"kind": self.base.kind, **inner}
            tensors |= {f"base.{k}": v for k, v in inner_tensors.items()}
        return values, tensors

    @classmethod
    def from_state(cls, values: dict[str, Any], tensors: dict[str, torch.Tensor]) -> NetworkValues:
        """Restores the networks."""
        networks = []
        for i in range(values["n_networks"]):
            networks.append(EventNetwork(**values["size"]))
            networks[-1].load_state_dict(with_prefix(tensors, f"{i}."))
        base = values["base"] and restore_values(values["base"], with_prefix(tensors, "base."))
        return cls(networks, None if values["lam"] is None else torch.tensor(values["lam"]), base)


class SavedMean(Saved):
    """The parts."""

    parts: Annotated[list[dict[str, Any]], Field(min_length=1)]

    def tensors(self, made: MadeFor) -> Shapes | None:
        """See `Saved.tensors`."""
        found: Shapes = {}
        for i, part in enumerate(self.parts):
            own = check_values(part, made)
            if own is None:
                return None
            found |= prefixed(f"{i}.", own)
        return found


class MeanValues(EventValueFunction):
    """The mean of several value functions."""

    kind = "mean"
    saved = SavedMean

    def __init__(self, parts: list[EventValueFunction]):
        """Takes the value functions."""
        self.parts = parts

    def values(self, events: DecodedEvents, features: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """See `EventValueFunction.values`."""
        return torch.stack([part.values(events, features, label) for part in self.parts]).mean(0)

    def state(self) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
        """Returns the parts."""
        values, tensors = [], {}
        for i, part in enumerate(self.parts):
            own, own_tensors = part.state()
            values.append({"kind": part.kind, **own})
            tensors |= {f"{i}.{name}": tensor for name, tensor in own_tensors.items()}
        return {"parts": values}, tensors

    @classmethod
    def from_state(cls, values: dict[str, Any], tensors: dict[str, torch.Tensor]) -> MeanValues:
        """Restores the parts."""
        return cls([restore_values(own, with_prefix(tensors, f"{i}.")) for i, own in enumerate(values["parts"])])


class SavedConstants(Saved):
    """The candidate of each class."""

    candidates: list[Annotated[int, Field(ge=0)]]

    def tensors(self, made: MadeFor) -> Shapes:
        """See `Saved.tensors`."""
        made.per_class("candidates", self.candidates)
        if max(self.candidates) >= made.stack.space.n_candidates:
            raise ValueError(f"the stack has {made.stack.space.n_candidates} candidates, not {max(self.candidates)}")
        return {}


class ConstantsValues(EventValueFunction):
    """1 for the events that constant parameters decode, −1 for all others: the argmax is those constants."""

    kind = "constants"
    saved = SavedConstants

    def __init__(self, candidates: torch.Tensor):
        """Takes the candidate of each class, int64 ``[class]``."""
        self.candidates = candidates

    def values(self, events: DecodedEvents, features: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """See `EventValueFunction.values`."""
        per_track = self.candidates.repeat(events.n_tracks // len(self.candidates))
        return events.of_candidates(per_track).float() * 2 - 1

    def state(self) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
        """Returns the candidates."""
        return {"candidates": self.candidates.tolist()}, {}

    @classmethod
    def from_state(cls, values: dict[str, Any], tensors: dict[str, torch.Tensor]) -> ConstantsValues:
        """Restores the candidates."""
        return cls(torch.tensor(values["candidates"], dtype=torch.int64))


def check_values(values: dict[str, Any], made: MadeFor) -> Shapes | None:
    """Checks a saved value function of any kind, and returns the tensors that belong to it, None for any.

    Raises:
        UnknownNameError: there is no such kind.
        ValueError: the values do not fit.
    """
    kind = values.get("kind")
    known = next((known for known in EventValueFunction.__subclasses__() if known.kind == kind), None)
    if known is None:
        raise UnknownNameError(f"unknown event values '{kind}'")
    return tensors_of(known, {name: value for name, value in values.items() if name != "kind"}, made)


def restore_values(values: dict[str, Any], tensors: dict[str, torch.Tensor]) -> EventValueFunction:
    """Restores a value function of any kind."""
    kinds = {kind.kind: kind for kind in EventValueFunction.__subclasses__()}
    return kinds[values["kind"]].from_state(values, tensors)
