"""The exact policy gradient: the count table makes the expected reward of a stochastic policy computable.

Same network as PPO, no sampling: ``E[reward] = Σ_candidate π(candidate) · reward(candidate)``, for every clip and class.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field

from rl_postproc.event_features import FeatureGrid
from rl_postproc.postprocessor import PostProcessor

from ..envs import TuningTask
from ..envs.rewards import Linearisation
from .base import Agent, Fit, Report, constant_fit, silent
from .event_actor import EventActor, Start, starting_point
from .event_policy import EventAdditive, NetworkJudge
from .event_value import EventValue


def expected_counts(probabilities: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    """Returns the expected counts ``[track]`` of policies ``[track, candidate]`` over counts of the same shape."""
    return (probabilities * counts).sum(-1)


class ExactGradient(Agent):
    """Gradient ascent on the expected linearised F1 of the event-additive policy."""

    agent: Literal["exact_gradient"] = "exact_gradient"
    start: Start = "value"
    value: EventValue = EventValue()
    epochs: int = Field(default=8, ge=1)
    batch_size: int = Field(default=1024, ge=1)
    learning_rate: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=1e-2, ge=0)
    entropy: float = Field(default=0.003, ge=0)
    hidden: int = Field(default=64, ge=1)
    temperature: float = Field(default=0.3, gt=0)
    dropout: float = Field(default=0.2, ge=0, lt=1)
    members: int = Field(default=1, ge=1, description="networks of different seeds, averaged into one policy")
    fallback: bool = Field(default=True, description="keep the best constants where inner validation prefers them")
    description: ClassVar[str] = "exact gradient of the expected reward, event-additive policy"

    def fit(self, task: TuningTask, seed: int, report: Report = silent) -> Fit:
        """Trains the networks of all members and averages them."""
        task = task.to("cpu")
        beginning = starting_point(task, self.start, self.value, seed, lambda f, x: report(f / 2, x))
        evaluations = task.stack.space.n_candidates * task.scores.n_clips
        if self.fallback and beginning.constants_win:
            return constant_fit(task, task.stack.space.values[task.table.best_per_class()], evaluations)
        curve: list[dict[str, float]] = []
        networks = []
        for member in range(self.members):
            share = (1 + member / self.members) / 2

            def tell(fraction: float, figures: dict[str, float], share: float = share) -> None:
                report(share + fraction / 2 / self.members, figures)

            actor = self._train(task, beginning.values, seed * 1000 + member, tell, curve)
            networks += actor.judge(None).networks
        policy = EventAdditive(NetworkJudge(networks, base=beginning.judge), FeatureGrid(task.scores.hop))
        processor = PostProcessor(task.stack, task.scores.classes, policy, task.scores.hop)
        return Fit(processor, evaluations, curve)

    def _train(
        self, task: TuningTask, values: torch.Tensor, seed: int, report: Report, curve: list[dict[str, float]]
    ) -> EventActor:
        table, n_classes = task.table, task.scores.n_classes
        n_tracks = table.n_clips * n_classes
        tp, estimated = table.true_positives.flatten(0, 1), table.estimated.flatten(0, 1)
        reference = table.reference.flatten()
        point = task.linearisation
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
                for tracks in torch.randperm(n_tracks, generator=generator).tensor_split(batches):
                    label = tracks % n_classes
                    log_pi = actor.gather(tracks).logits().log_softmax(-1)
                    pi = log_pi.exp()
                    hits = expected_counts(pi, tp[tracks].float())
                    found = expected_counts(pi, estimated[tracks].float())
                    reward = point.weight[label] * (2 * hits - point.lam[label] * (found + reference[tracks]))
                    entropy = -(pi * log_pi).sum(-1)
                    loss = -(reward + self.entropy * entropy).mean()
                    optimiser.zero_grad()
                    loss.backward()
                    optimiser.step()
                    schedule.step()
                    for row, counts in zip(sums, (hits, found), strict=True):
                        row.index_add_(0, label, counts.detach().double())
                total = table.reference.sum(0)
                point = Linearisation.at(sums[0], sums[1], total, table.n_clips)
                known = total > 0
                figures = {"epoch": epoch + 1.0, "expected_macro_f1": float(point.lam[known].mean())}
                curve.append(figures)
                report((epoch + 1) / self.epochs, figures)
        return actor.eval()
