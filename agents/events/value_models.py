"""The models that learn P(event matches a reference) from features and match labels: gradient boosting, a small network."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field

from rl_postproc.candidates.pool import MOST_PER_MINUTE, MOST_VOTES, PoolBounds
from rl_postproc.task import TuningTask
from rl_postproc.task_memory import Holds

from ..parts import ResumableAgent, Tensors
from .checks import check_events
from .lightgbm_trees import boosting_parameters, require_lightgbm, trees_of
from .network import EventNetwork
from .trees import MOST_LEAVES, Trees


class ModelSettings(ResumableAgent, ABC):
    """Settings of agents that learn from labels of decoded events."""

    holds: ClassVar[Holds] = "events"

    model: Literal["boosted", "network", "both"] = Field(
        default="boosted", description="gradient boosting (LightGBM), a small network, or the mean of the two"
    )
    models: int = Field(default=1, ge=1, description="models of different seeds, averaged")
    inner_folds: int = Field(default=4, ge=2, description="parts of the clips, each judged by models of the others")
    rounds: int = Field(default=150, ge=1, description="boosting rounds; the network takes a fifteenth of it as epochs")
    learning_rate: float = Field(default=0.05, gt=0, description="of boosting")
    leaves: int = Field(default=31, ge=2, le=MOST_LEAVES, description="of a tree")
    hidden: int = Field(default=64, ge=1, description="units of a hidden layer of the network")
    most_events: int = Field(
        default=150_000, ge=1000, description="events that a model learns from; of more, so many are drawn"
    )
    most_per_minute: float = Field(
        default=PoolBounds.most_per_minute,
        gt=0,
        le=MOST_PER_MINUTE,
        description="events of a minute of a clip and class that are judged; of more, those that most candidates decode",
    )


class ValueSettings(ModelSettings, ABC):
    """Settings of agents that learn the value of decoded events from match labels."""

    fallback: bool = Field(default=True, description="keep the best constants where inner validation prefers them")
    least_votes: int = Field(
        default=PoolBounds.least_votes,
        ge=1,
        le=MOST_VOTES,
        description="candidates that must decode an event for it to be judged",
    )

    @property
    def bounds(self) -> PoolBounds:
        """The bounds of the decoded events."""
        return PoolBounds(self.least_votes, self.most_per_minute)

    def check(self, task: TuningTask) -> None:
        """Needs a metric of events, frames, and no parameter that all classes share."""
        check_events(self, task)


@dataclass(frozen=True)
class LabelledEvents:
    """Events to learn from.

    Attributes:
        features: float32 ``[event, feature]``.
        label: class of each, int64 ``[event]``.
        matches: whether it matches a reference, bool ``[event]``.
        n_classes: number of classes.
    """

    features: torch.Tensor
    label: torch.Tensor
    matches: torch.Tensor
    n_classes: int

    def select(self, chosen: torch.Tensor) -> LabelledEvents:
        """Returns some of them, by indices or by a mask."""
        return LabelledEvents(self.features[chosen], self.label[chosen], self.matches[chosen], self.n_classes)


Predict = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def fit_boosted(events: LabelledEvents, settings: ModelSettings, seed: int) -> tuple[Trees, Predict]:
    """Fits LightGBM to P(match); the class is its one categorical column, the last."""
    lightgbm = require_lightgbm()
    parameters = boosting_parameters(settings.learning_rate, settings.leaves, 50, seed)
    parameters["num_threads"] = torch.get_num_threads()
    if len(events.label) == 1:
        parameters["bagging_freq"] = 0  # of a single event, LightGBM would draw none
    rows = torch.cat([events.features, events.label[:, None].float()], 1).numpy()
    data = lightgbm.Dataset(rows, events.matches.numpy().astype(int), categorical_feature=[rows.shape[1] - 1])
    trees = trees_of(lightgbm.train(parameters, data, settings.rounds), events.n_classes)
    return trees, trees.probabilities


def fit_network(events: LabelledEvents, settings: ModelSettings, seed: int) -> tuple[EventNetwork, Predict]:
    """Fits a small network to P(match)."""
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = EventNetwork(events.features.shape[1], events.n_classes, settings.hidden, dropout=0.2)
        network.standardise(events.features)
        optimiser = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=1e-2)
        epochs = max(1, settings.rounds // 15)
        batches = max(1, len(events.label) // 1024)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=epochs * batches)
        for _ in range(epochs):
            order = torch.randperm(len(events.label), generator=generator)
            for part in order.tensor_split(batches):
                batch = events.select(part)
                logits = network(batch.features, batch.label)
                loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, batch.matches.float())
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                schedule.step()
    network.eval().requires_grad_(False)
    return network, lambda x, k: network(x, k).sigmoid()


def model_state(model: Trees | EventNetwork) -> tuple[dict[str, Any], Tensors]:
    """Returns what a model is restored from."""
    if isinstance(model, Trees):
        return {}, model.to_tensors()
    return {"size": model.size}, dict(model.state_dict())


def restore_model(values: dict[str, Any], tensors: Tensors) -> Trees | EventNetwork:
    """Restores what `model_state` gave."""
    if "size" not in values:
        return Trees.from_tensors(tensors)
    network = EventNetwork(**values["size"])
    network.load_state_dict(tensors)
    return network.eval().requires_grad_(False)


FITS = {"boosted": fit_boosted, "network": fit_network}
"""Each gives a model and what it predicts, P(match) ``[event]`` from features and classes."""
