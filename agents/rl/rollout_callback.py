"""Between the rollouts of PPO: the linearisation moves, figures are told, the best policy and the run are kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback

from rl_postproc.task import TuningTask

from ..base import ProgressCallback
from ..events.fit_value import objective_of
from .checkpoint import load_checkpoint, save_checkpoint
from .item_policy import ItemPolicy

Choose = Callable[[TuningTask], torch.Tensor]
"""Returns the argmax candidates of the policy in training on a task, int64 ``[clip, class]``."""


class RolloutCallback(BaseCallback):
    """After every rollout: moves the linearisation to where the policy is, lowers the entropy bonus, reports, saves.

    The figures are the objective (macro F1) of the argmax policy with every clip counted once: on the training clips and,
    where some were set aside, on clips it does not learn from. Only the latter choose anything: the policy that was best on
    them is kept, and training stops early when it has not improved on them for ``patience`` rollouts. Where none were set
    aside, the last policy is kept. The entropy bonus falls to 0 with the last rollout.
    """

    def __init__(
        self,
        task: TuningTask,
        unseen: TuningTask | None,
        choose: Choose,
        report: ProgressCallback,
        checkpoint: tuple[Path, str] | None,
        steps: int,
        patience: int,
        each: int,
        entropy: float,
        limit: int | None = None,
    ):
        """Takes on what a model is trained and watched, where it is saved, and when it ends.

        Args:
            task: the training clips.
            unseen: clips set aside.
            choose: makes the policy's decisions.
            report: takes progress.
            checkpoint: file, and key by which its run is recognised.
            steps: decisions, of one clip and class each, in all.
            patience: rollouts without improvement before stopping; 0 never stops.
            each: decisions in one step of an environment.
            entropy: weight of the entropy bonus at first.
            limit: rollouts after which to stop before the end; None goes on to it.
        """
        super().__init__()
        self._task, self._unseen, self._choose, self._report = task, unseen, choose, report
        self._checkpoint, self._steps, self._patience, self.each = checkpoint, steps, patience, each
        self._entropy, self._limit = entropy, limit
        self._score = task.objective.called(task.metric)
        self._best: tuple[float, dict[str, torch.Tensor]] | None = None
        self.curve: list[dict[str, float]] = []

    @property
    def stopped(self) -> bool:
        """Whether the policy has stopped improving on the clips set aside, or has had its rollouts."""
        if self._limit is not None and len(self.curve) > self._limit:
            return True
        scores, patience = self._held_out(), self._patience
        return bool(patience) and len(scores) > patience and max(scores[-patience:]) <= max(scores[:-patience])

    @property
    def best_rollouts(self) -> int:
        """After how many rollouts the policy was best on the clips set aside; all of them where none were."""
        scores = self._held_out()
        return scores.index(max(scores)) if scores else len(self.curve) - 1

    @property
    def decisions(self) -> int:
        """The number of decisions that the model has been trained on."""
        return int(self.curve[-1]["steps"]) if self.curve else 0

    def restore(self, model: PPO) -> None:
        """Takes up a checkpoint, if there is one of this very run."""
        if self._checkpoint is not None:
            self.curve, best = load_checkpoint(self._checkpoint[0], model, self._checkpoint[1])
            self._best = (max(self._held_out()), best) if best else None

    def finish(self, model: PPO) -> None:
        """Goes back to the policy that was best on the clips set aside."""
        if self._best is not None:
            model.policy.load_state_dict(self._best[1])

    def _held_out(self) -> list[float]:
        name = f"held_out_{self._score}"
        return [row[name] for row in self.curve if name in row]

    def _on_rollout_end(self) -> None:
        assert isinstance(self.model, PPO)
        self.model.ent_coef = self._entropy * max(0.0, 1 - self.model.num_timesteps * self.each / self._steps)

    def _on_rollout_start(self) -> None:
        # Between an update and the next rollout the state is whole.
        self._after_update()

    def _after_update(self) -> None:
        assert isinstance(self.model, PPO)
        steps = self.model.num_timesteps * self.each
        if self.curve and (self.stopped or self.curve[-1]["steps"] == steps):
            return  # A resumed run begins where the checkpoint was made; a stopped one has learned nothing since.
        task, table = self._task, self._task.table
        choice = self._choose(task)
        assert isinstance(self.model.policy, ItemPolicy)
        # Of the policy that explores, and not of its argmax, which knows the training clips better than others.
        expected = self.model.policy.expected_counts(table)
        (before,) = self.training_env.get_attr("linearisation", [0])
        point = task.objective.linearise(task.metric, expected, table.n_clips, before)
        self.training_env.set_attr("linearisation", point)
        figures: dict[str, float] = {
            "steps": steps,
            f"train_{self._score}": objective_of(task, table.of_choice(choice)),
        }
        if self._unseen is not None:
            unseen = self._unseen
            figures[f"held_out_{self._score}"] = objective_of(unseen, unseen.table.of_choice(self._choose(unseen)))
        self.curve.append(figures)
        score = figures.get(f"held_out_{self._score}")
        if score is not None and (self._best is None or score > self._best[0]):
            self._best = score, {n: v.detach().clone() for n, v in self.model.policy.state_dict().items()}
        for name, value in figures.items():
            self.logger.record(f"{self._score}/{name}", value)
        self.logger.dump(self.num_timesteps)
        if self._checkpoint is not None:
            best = self._best[1] if self._best else {}
            save_checkpoint(self._checkpoint[0], self.model, self._checkpoint[1], self.curve, best)
        self._report(min(1.0, steps / self._steps), figures)

    def _on_step(self) -> bool:
        return not self.stopped

    def _on_training_end(self) -> None:
        self._after_update()
