"""What gives every decoded event its value."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch

from rl_postproc.candidates.events import DecodedEvents
from rl_postproc.utils.tensors import decimals

from .network import EventNetwork
from .trees import Trees


class EventValueFunction(ABC):
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
    def from_state(cls, values: dict[str, Any], tensors: dict[str, torch.Tensor]) -> EventValueFunction:
        """Restores a value function."""


class BoostedValues(EventValueFunction):
    """``2·p − λ_c`` with p the mean of gradient-boosted models."""

    kind = "boosted"

    def __init__(self, trees: Trees, lam: torch.Tensor):
        """Takes the trees of all models, and ``λ`` of each class."""
        self.trees, self.lam = trees, lam

    def values(self, events: DecodedEvents, features: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """See `EventValueFunction.values`."""
        return 2 * self.trees.probabilities(features, label) - self.lam[label]

    def state(self) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
        """Returns λ, and the trees as arrays."""
        return {"lam": decimals(self.lam)}, self.trees.to_tensors()

    @classmethod
    def from_state(cls, values: dict[str, Any], tensors: dict[str, torch.Tensor]) -> BoostedValues:
        """Restores the trees.

        Raises:
            ValueError: the arrays make no trees.
        """
        trees = Trees.from_tensors(tensors)
        trees.check()
        return cls(trees, torch.tensor(values["lam"]))


class NetworkValues(EventValueFunction):
    """The mean over networks: of their outputs, or of ``2·p − λ_c`` with p the logistic function of the output.

    Added to the values of another value function where there is one.
    """

    kind = "network"

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
            networks[-1].load_state_dict(_with_prefix(tensors, f"{i}."))
        base = values["base"] and restore_values(values["base"], _with_prefix(tensors, "base."))
        return cls(networks, None if values["lam"] is None else torch.tensor(values["lam"]), base)


class MeanValues(EventValueFunction):
    """The mean of several value functions."""

    kind = "mean"

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
        return cls([restore_values(own, _with_prefix(tensors, f"{i}.")) for i, own in enumerate(values["parts"])])


class ConstantsValues(EventValueFunction):
    """1 for the events that constant parameters decode, −1 for all others: the argmax is those constants."""

    kind = "constants"

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


def restore_values(values: dict[str, Any], tensors: dict[str, torch.Tensor]) -> EventValueFunction:
    """Restores a value function of any kind."""
    kinds = {kind.kind: kind for kind in EventValueFunction.__subclasses__()}
    return kinds[values["kind"]].from_state(values, tensors)


def _with_prefix(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
