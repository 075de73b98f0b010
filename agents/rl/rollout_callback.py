"""Between the rollouts of PPO: the linearisation moves, figures are told, the best policy and the run are kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback

from rl_postproc.task import TuningTask

from ..base import ProgressCallback
from .checkpoint import load_checkpoint, save_checkpoint

Choose = Callable[[PPO, TuningTask], torch.Tensor]
"""Returns the argmax candidates of a model on a task, int64 ``[clip, class]``."""


class RolloutCallback(BaseCallback):
    """After every rollout: moves the linearisation to the policy's own F1, reports, keeps the best, saves.

    The figures are macro F1 of the argmax policy with every clip counted once: on the training clips and, where some
    were set aside, on clips it does not learn from. The best policy is kept, the one at the start included: best on the
    clips set aside, or else on the training clips, since a few updates too many can undo a good start. Training stops
    early when the policy has not improved on the clips set aside for ``patience`` rollouts.
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
    ):
        """Takes on what a model is trained and watched, where it is saved, and when it ends.

        Args:
            task: the training clips.
            unseen: clips set aside.
            choose: makes the model's decisions.
            report: takes progress.
            checkpoint: file, and key by which its run is recognised.
            steps: decisions, of one clip and class each, in all.
            patience: rollouts without improvement before stopping; 0 never stops.
            each: decisions in one step of an environment.
        """
        super().__init__()
        self._task, self._unseen, self._choose, self._report = task, unseen, choose, report
        self._checkpoint, self._steps, self._patience, self.each = checkpoint, steps, patience, each
        self._score = f"macro_{task.metric.score_name}"
        self._best: tuple[float, dict[str, torch.Tensor]] | None = None
        self.curve: list[dict[str, float]] = []

    @property
    def stopped(self) -> bool:
        """Whether the policy has stopped improving on the clips set aside."""
        scores, patience = self._watched(), self._patience
        return bool(patience) and len(scores) > patience and max(scores[-patience:]) <= max(scores[:-patience])

    def decisions(self, model: PPO) -> int:
        """Returns the number of decisions that a model has been trained on."""
        return model.num_timesteps * self.each

    def restore(self, model: PPO) -> None:
        """Takes up a checkpoint, if there is one of this very run."""
        if self._checkpoint is not None:
            self.curve, best = load_checkpoint(self._checkpoint[0], model, self._checkpoint[1])
            self._best = (max(self._watched()), best) if best else None

    def finish(self, model: PPO) -> None:
        """Goes back to the best policy."""
        if self._best is not None:
            model.policy.load_state_dict(self._best[1])

    def _watched(self) -> list[float]:
        name = "train" if self._unseen is None else "held_out"
        return [row[f"{name}_{self._score}"] for row in self.curve]

    def _on_rollout_start(self) -> None:
        # Between an update and the next rollout the state is whole.
        self._after_update()

    def _after_update(self) -> None:
        assert isinstance(self.model, PPO)
        steps = float(self.decisions(self.model))
        if self.curve and (self.stopped or self.curve[-1]["steps"] == steps):
            return  # A resumed run begins where the checkpoint was made; a stopped one has learned nothing since.
        table = self._task.table
        choice = self._choose(self.model, self._task)
        if steps:
            # A policy that starts at nothing is a bad place to linearise at; the best constants are there already.
            point = table.linearise(self._task.objective, choice)
            self.training_env.env_method("set_linearisation", point)
        figures = {"steps": steps, f"train_{self._score}": table.score(choice).macro}
        if self._unseen is not None:
            figures[f"held_out_{self._score}"] = self._unseen.table.score(self._choose(self.model, self._unseen)).macro
        self.curve.append(figures)
        score = self._watched()[-1]
        if self._best is None or score > self._best[0]:
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
