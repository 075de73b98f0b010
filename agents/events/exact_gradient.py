"""The exact policy gradient: the count table makes the expected reward of a stochastic policy computable.

Same network as PPO, no sampling: ``E[reward] = Σ_candidate π(candidate) · reward(candidate)``, for every clip and class.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field

from rl_postproc.metrics.f1 import DETECTION
from rl_postproc.task import TuningTask
from rl_postproc.task_memory import Holds

from ..base import FitResult, ProgressCallback, fit_best_constants, share
from ..parts import Parts, ResumableAgent
from .actor import EventActor, Start, initial_policy, members
from .checks import check_events
from .event_value import EventValue, event_additive_fit
from .value_functions import NetworkValues
from .value_models import model_state, restore_model


def expected_counts(probabilities: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    """Returns the expected counts ``[track]`` of policies ``[track, candidate]`` over counts of the same shape."""
    return (probabilities * counts).sum(-1)


class ExactGradient(ResumableAgent):
    """The exact gradient of the expected reward, with the network of PPO's event policy and no sampling."""

    holds: ClassVar[Holds] = "events"

    agent: Literal["exact_gradient"] = "exact_gradient"
    start: Start = Field(default="value", description="event values, or candidates, that the policy begins with")
    value: EventValue = Field(
        default=EventValue(), description="the event values to begin with, and which events are judged"
    )
    epochs: int = Field(default=8, ge=1, description="passes over the clips and classes")
    batch_size: int = Field(default=1024, ge=1, description="clips and classes of a step")
    learning_rate: float = Field(default=1e-3, gt=0, description="at first; it falls to 0")
    weight_decay: float = Field(default=1e-2, ge=0, description="of AdamW")
    entropy: float = Field(default=0.003, ge=0, description="weight of the entropy bonus")
    hidden: int = Field(default=64, ge=1, description="units of a hidden layer")
    temperature: float = Field(default=0.3, gt=0, description="logits are sums of event values over this")
    dropout: float = Field(default=0.2, ge=0, lt=1, description="share of hidden units left out of a step")
    members: int = Field(default=1, ge=1, description="networks of different seeds, averaged into one policy")
    fallback: bool = Field(default=True, description="keep the best constants where inner validation prefers them")

    def check(self, task: TuningTask) -> None:
        """Needs a metric of events, frames, and no parameter that all classes share."""
        check_events(self, task)

    def fit_parts(self, task: TuningTask, seed: int, report: ProgressCallback, parts: Parts) -> FitResult:
        """Trains the networks of all members and averages them."""
        task = task.to("cpu").bounded(self.value.bounds)
        tell = share(report, 0, 0.5)
        initial = initial_policy(self, task, self.start, self.value, seed, tell, parts=parts)
        if self.fallback and initial.constants_win:
            return fit_best_constants(task)
        curve: list[dict[str, float]] = []
        networks = []
        for member, (member_seed, tell) in enumerate(members(self.members, seed, share(report, 0.5, 1))):
            if (kept := parts.get(f"member_{member}")) is None:
                own: list[dict[str, float]] = []
                actor = self._train(task, initial.values, member_seed, tell, own)
                network = actor.value_function(None).networks[0]
                values, tensors = model_state(network)
                parts.put(f"member_{member}", {**values, "curve": own}, tensors)
            else:
                own, network = kept[0]["curve"], restore_model(*kept)
            networks.append(network)
            curve += own
        return event_additive_fit(task, NetworkValues(networks, base=initial.value_function), curve=curve)

    def _train(
        self, task: TuningTask, values: torch.Tensor, seed: int, report: ProgressCallback, curve: list[dict[str, float]]
    ) -> EventActor:
        table, n_classes = task.table, task.scores.n_classes
        n_tracks = table.n_clips * n_classes
        tp, estimated = (table.counts[name].flatten(0, 1) for name in DETECTION[:2])
        point, columns = task.linearisation, task.metric.columns
        generator = torch.Generator().manual_seed(seed)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            actor = EventActor(task, values, self.hidden, self.temperature, self.dropout)
            optimiser = torch.optim.AdamW(actor.parameters(), self.learning_rate, weight_decay=self.weight_decay)
            batches = max(1, n_tracks // self.batch_size)
            schedule = torch.optim.lr_scheduler.OneCycleLR(
                optimiser, self.learning_rate, total_steps=self.epochs * batches
            )
            for epoch in range(self.epochs):
                actor.train()
                sums = torch.zeros(2, n_classes, dtype=torch.float64)
                worth, price = (point.slope[columns.index(name)] for name in DETECTION[:2])
                for tracks in torch.randperm(n_tracks, generator=generator).tensor_split(batches):
                    label = tracks % n_classes
                    log_pi = actor.logits(tracks).log_softmax(-1)
                    pi = log_pi.exp()
                    hits = expected_counts(pi, tp[tracks].float())
                    found = expected_counts(pi, estimated[tracks].float())
                    reward = point.scale[label] * (worth[label] * hits + price[label] * found)
                    entropy = -(pi * log_pi).sum(-1)
                    loss = -(reward + self.entropy * entropy).mean()
                    optimiser.zero_grad()
                    loss.backward()
                    optimiser.step()
                    schedule.step()
                    for row, counts in zip(sums, (hits, found), strict=True):
                        row.index_add_(0, label, counts.detach().double())
                total = table.counts["reference"].sum(0)
                reached: dict[str, torch.Tensor] = dict(zip(DETECTION, (*sums, total), strict=True))
                point = task.objective.linearise(task.metric, reached, table.n_clips, point)
                value = float(task.objective.value(task.metric, reached))
                figures = {"epoch": epoch + 1, f"expected_{task.objective.called(task.metric)}": value}
                curve.append(figures)
                report((epoch + 1) / self.epochs, figures)
        return actor.eval()
