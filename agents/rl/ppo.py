"""PPO (Stable-Baselines3): one step is one clip and one class, or for comparison one clip with all classes."""

from __future__ import annotations

import hashlib
import math
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import Field, model_validator
from stable_baselines3 import PPO

from rl_postproc.pipeline.postprocessor import PostProcessor
from rl_postproc.task import TuningTask

from ...envs import PostProcessingPerClassVectorEnv, PostProcessingVectorEnv
from ...envs.adapters.stable_baselines3 import SB3VecEnv
from ...envs.evaluation import hold_out
from ..base import (
    Agent,
    FitResult,
    ProgressCallback,
    fit_best_constants,
    require_own_parameters,
    share,
    silent,
)
from ..events.actor import EventActor, Start, initial_policy, members
from ..events.event_value import EventValue, check_events, event_additive_fit
from ..events.value_functions import NetworkValues
from .event_policy import EventAdditivePolicy, ItemRolloutBuffer
from .rollout_callback import Choose, RolloutCallback
from .track_policy import TrackActorCritic, TrackPolicy, check_hidden, start_at_constants, track_policy_arguments

PASSES = 16
"""Least number of updates when the reward waits for the end of a pass, where the steps allow it."""


class PPOAgent(Agent):
    """PPO per clip and class; the policy judges the events that each candidate would decode.

    ``policy: events`` judges what each candidate would decode on the clip; ``policy: tracks`` maps the score track to an
    index of each parameter's grid, as the published formulation would have it. The reward is ``linearised_f1``, and its
    linearisation follows the policy's own F1 after each rollout.

    ``environment: joint`` decides all classes of a clip in one step. Steps, environments and batch sizes count
    decisions, one clip and one class each, in either environment. With ``reward: episode_f1`` a rollout is a whole pass
    over the clips in as few environments as leave room for several updates, whatever ``num_envs`` and ``rollout`` say,
    and future rewards are discounted as Stable-Baselines3 does by default.
    """

    agent: Literal["ppo"] = "ppo"
    policy: Literal["events", "tracks"] = "events"
    environment: Literal["per_class", "joint"] = Field(default="per_class", description="joint: for policy tracks only")
    start: Start = Field(default="value", description="where the policy starts; for tracks, best_constants or nothing")
    value: EventValue = EventValue()
    steps: int = Field(default=500_000, ge=1)
    num_envs: int = Field(default=8192, ge=1)
    rollout: int = Field(default=8, ge=1)
    batch_size: int = Field(default=8192, ge=2)
    epochs: int = Field(default=3, ge=1)
    learning_rate: float = Field(default=1e-3, gt=0)
    entropy: float = Field(default=0.01, ge=0)
    hidden: int = Field(default=64, ge=1)
    temperature: float = Field(default=0.3, gt=0)
    channels: int = Field(default=16, ge=1)
    members: int = Field(default=1, ge=1, description="policies of different seeds, averaged into one (events only)")
    validation: float = Field(
        default=0.0, ge=0, le=0.5, description="fraction of clips set aside to watch and to stop on"
    )
    patience: int = Field(
        default=0, ge=0, description="rollouts without improvement on them before stopping; 0 never stops"
    )
    fallback: bool = Field(default=True, description="keep the best constants where inner validation prefers them")
    reward: Literal["linearised_f1", "clip_f1", "episode_f1"] = "linearised_f1"

    @model_validator(mode="after")
    def _fits_together(self) -> PPOAgent:
        if self.environment == "joint" and self.policy != "tracks":
            raise ValueError("'environment: joint' needs 'policy: tracks', since events are judged class by class")
        if self.patience and not self.validation:
            raise ValueError("'patience' needs clips to watch; set 'validation' to the fraction of them, such as 0.2")
        return self

    def check(self, task: TuningTask) -> None:
        """Needs parameters of each class's own; judging events also needs a metric of events, and frames."""
        if self.policy == "events":
            check_events(self, task)
        else:
            require_own_parameters(self, task)
            if self.start == "best_constants":
                check_hidden(task, self.hidden)

    def fit(self, task: TuningTask, seed: int, report: ProgressCallback = silent) -> FitResult:
        """Trains the policy on all clips of the task, less those for validation."""
        return self._fit(task, seed, report, None)

    def fit_in(
        self, task: TuningTask, seed: int, report: ProgressCallback, folder: Path, resume: bool = False
    ) -> FitResult:
        """Trains with checkpoints and tensorboard logs in the run folder."""
        if not resume:
            for old in folder.glob("checkpoint_*.safetensors"):
                old.unlink()
        return self._fit(task, seed, report, folder)

    def _fit(self, task: TuningTask, seed: int, report: ProgressCallback, folder: Path | None) -> FitResult:
        task, unseen = task.to("cpu"), None
        whole = task
        if self.validation:
            task, unseen = hold_out(task, 0, max(2, round(1 / self.validation)))
        train = self._fit_tracks if self.policy == "tracks" else self._fit_events
        fit = train(task, unseen, seed, report, folder)
        if fit is not None and not (self.fallback and unseen is not None and _constants_win(fit, task, unseen)):
            return fit
        return fit_best_constants(whole, fit.evaluations, fit.curve) if fit else fit_best_constants(whole)

    def _fit_events(
        self, task: TuningTask, unseen: TuningTask | None, seed: int, report: ProgressCallback, folder: Path | None
    ) -> FitResult | None:
        """Returns None where the inner validation of the value function prefers the best constants."""
        initial = initial_policy(self, task, self.start, self.value, seed, share(report, 0, 0.5))
        if self.fallback and initial.constants_win:
            return None
        base, step, curve, networks, steps = initial.value_function, task.scores.hop, [], [], 0

        def choose(model: PPO, on: TuningTask) -> torch.Tensor:
            assert isinstance(model.policy, EventAdditivePolicy)
            if on is task:
                best = model.policy.best()
            else:
                policy = model.policy.actor.policy(base, step)
                best = policy.best_candidates(on.decoded, on.event_features, on.scores.n_classes)
            return best.reshape(on.table.n_clips, on.table.n_classes)

        for member, (member_seed, tell) in enumerate(members(self.members, seed, report)):
            torch.manual_seed(member_seed)
            actor = EventActor(task, initial.values, self.hidden, self.temperature)
            arguments = {"actor": actor, "weight": task.linearisation.scale}
            model = self._model(task, "item", EventAdditivePolicy, arguments, member_seed, folder)
            watch = self._watch(task, unseen, choose, tell, self._checkpoint(folder, task, seed, member))
            self._learn(model, watch, member)
            networks += actor.value_function(None).networks
            curve, steps = curve + watch.curve, steps + watch.decisions(model)
        evaluations = steps // task.scores.n_classes
        return event_additive_fit(task, NetworkValues(networks, base=base), evaluations, curve)

    def _fit_tracks(
        self, task: TuningTask, unseen: TuningTask | None, seed: int, report: ProgressCallback, folder: Path | None
    ) -> FitResult:
        arguments = track_policy_arguments(task, self.channels, self.hidden)
        model = self._model(task, "dict", TrackActorCritic, arguments, seed, folder)
        if self.start != "nothing":
            start_at_constants(model, task)

        def choose(model: PPO, on: TuningTask) -> torch.Tensor:
            return on.stack.space.candidate(TrackPolicy.of_model(model, task.scores.hop).indices(on.scores))

        watch = self._watch(task, unseen, choose, report, self._checkpoint(folder, task, seed, 0))
        self._learn(model, watch, 0)
        policy = TrackPolicy.of_model(model, task.scores.hop)
        processor = PostProcessor(task.stack, task.scores.classes, policy, task.scores.hop)
        return FitResult(processor, watch.decisions(model) // task.scores.n_classes, watch.curve)

    def _checkpoint(self, folder: Path | None, task: TuningTask, seed: int, member: int) -> tuple[Path, str] | None:
        """Returns the checkpoint file of a member, and the key by which its run is recognised."""
        if folder is None:
            return None
        data = (task.scores.clip_ids, task.stack.to_config(), task.metric.model_dump_json())
        counts = {name: int(column.sum(dtype=torch.int64)) for name, column in task.table.counts.items()}
        sums = (float(task.scores.scores.double().sum()), counts)
        text = repr((self.model_dump_json(), seed, member, data, sums))
        return folder / f"checkpoint_{member}.safetensors", hashlib.sha256(text.encode()).hexdigest()

    def _watch(
        self,
        task: TuningTask,
        unseen: TuningTask | None,
        choose: Choose,
        report: ProgressCallback,
        where: tuple[Path, str] | None,
    ) -> RolloutCallback:
        return RolloutCallback(task, unseen, choose, report, where, self.steps, self.patience, self._each(task))

    def _each(self, task: TuningTask) -> int:
        """Returns the number of decisions in one step of an environment."""
        return task.scores.n_classes if self.environment == "joint" else 1

    def _learn(self, model: PPO, watch: RolloutCallback, member: int) -> None:
        watch.restore(model)
        remaining = math.ceil(self.steps / watch.each) - model.num_timesteps
        if remaining > 0 and not watch.stopped:
            model.learn(remaining, callback=watch, reset_num_timesteps=False, tb_log_name=f"member_{member}")
        watch.finish(model)

    def _sizes(self, task: TuningTask) -> tuple[int, int, int]:
        """Returns the number of environments, the steps of a rollout, and the steps of a minibatch."""
        each = self._each(task)
        n_items = task.scores.n_clips * task.scores.n_classes // each
        num_envs, rollout = max(1, self.num_envs // each), self.rollout
        if self.reward == "episode_f1":
            # The reward comes when a pass ends: whole passes, and few at a time, since each rollout is one update.
            num_envs, rollout = max(1, min(num_envs, self.steps // each // (PASSES * n_items))), n_items
        rollout = max(rollout, math.ceil(2 / num_envs))
        n_batches = math.ceil(num_envs * rollout / max(2, self.batch_size // each))
        return num_envs, rollout, max(2, math.ceil(num_envs * rollout / n_batches))

    def _model(
        self, task: TuningTask, observation: str, policy: Any, policy_arguments: dict, seed: int, folder: Path | None
    ) -> PPO:
        """Sets up PPO: no discount where every step is an episode of its own."""
        num_envs, rollout, batch_size = self._sizes(task)
        kind = PostProcessingVectorEnv if self.environment == "joint" else PostProcessingPerClassVectorEnv
        env = kind(task, num_envs, reward=self.reward, observation=observation)
        one_step = self.reward != "episode_f1"
        with warnings.catch_warnings():
            # The last minibatch may be a little smaller.
            warnings.filterwarnings("ignore", "You have specified a mini-batch size", UserWarning)
            return PPO(
                policy,
                SB3VecEnv(env),
                learning_rate=lambda left: self.learning_rate * left,
                n_steps=rollout,
                batch_size=batch_size,
                n_epochs=self.epochs,
                gamma=0.0 if one_step else 0.99,
                gae_lambda=0.0 if one_step else 0.95,
                ent_coef=self.entropy,
                seed=seed,
                device="cpu",
                policy_kwargs=policy_arguments,
                rollout_buffer_class=ItemRolloutBuffer if observation == "item" else None,
                tensorboard_log=str(folder / "tensorboard") if folder and find_spec("tensorboard") else None,
            )


def _constants_win(fit: FitResult, task: TuningTask, unseen: TuningTask) -> bool:
    """Returns whether the best constants of the training clips beat the best policy on the clips set aside."""
    plain = unseen.table.score(task.best_constants).macro
    return max(row[f"held_out_macro_{task.metric.score_name}"] for row in fit.curve) < plain
