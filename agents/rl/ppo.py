"""PPO (Stable-Baselines3) from frame-level scores: one step is one clip and one class, or one clip with all classes."""

from __future__ import annotations

import hashlib
import math
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field, model_validator
from stable_baselines3 import PPO

from rl_postproc.pipeline.postprocessor import PostProcessor
from rl_postproc.task import TuningTask
from rl_postproc.task_memory import Holds
from rl_postproc.utils.files import unwritable

from ...envs import PostProcessingPerClassVectorEnv, PostProcessingVectorEnv
from ...envs.adapters.stable_baselines3 import SB3VecEnv
from ...envs.evaluation import set_aside
from ..actor import Actor
from ..base import (
    LEFT_TO_RESUME,
    Agent,
    FitResult,
    ProgressCallback,
    fit_best_constants,
    require_one_stack,
    require_own_parameters,
    share,
    silent,
)
from ..events.actor import EventActor, InitialPolicy, Start, initial_policy, members
from ..events.checks import check_events, require_events
from ..events.event_value import EventValue
from ..events.fit_value import Select, objective_of
from ..events.policy import EventPolicy, values_on
from ..events.set_policy import EventSetPolicy
from ..events.silent_classes import keep_silent, without_score
from ..events.value_functions import EventValueFunction
from ..parts import Parts
from ..run_folder import remove
from ..universal.adapt import adapted
from ..universal.make import GRID
from ..universal.universal import Universal
from .argmax_policy import argmax_policy, chosen_candidates
from .item_buffer import LeaveOneOutBuffer
from .item_policy import ItemPolicy
from .learned_events import LearnedEventActor
from .rollout_callback import RolloutCallback
from .track_policy import TrackActor

_STEPS = 8
"""Steps of an environment in a rollout, where every step is an episode."""

_UPDATES, _LEAST_BATCH = 24, 32
"""Least number of minibatches in an epoch, and the smallest minibatch that this may lead to, in steps."""


class PPOAgent(Agent):
    """Proximal policy optimisation, by default from nothing but frame-level scores and rewards.

    ``policy: events`` sums learned values of the events that each candidate would decode on the clip; ``policy: tracks``
    maps the score track to an index of each parameter's grid, as the published formulation would have it;
    ``policy: event_features`` judges events by features made by hand, and may start from the value function (which is
    fitted to match labels, not to rewards) or from the best constants.

    In a rollout each clip and class is visited ``visits`` times on average; the mean reward of the other visits is the
    baseline, and there is no critic. Clips and classes for which no candidate decodes anything are left out. The reward is
    ``linearised_f1``, and its linearisation moves after each rollout to what the exploring policy is expected to reach.
    With ``reward: episode_f1`` a rollout is ``visits`` whole passes.

    The last policy is kept. With ``validation`` some clips are set aside to find after how many rollouts the policy is
    best, and it is trained anew on all clips for as many (or, without ``refit``, the best one is kept).

    On 935 clips of 10 classes the defaults take about a minute on one core and 1 GB of memory; see
    docs/reinforcement_learning.md.
    """

    left_to_resume: ClassVar[tuple[str, ...]] = LEFT_TO_RESUME
    holds: ClassVar[Holds] = "events"

    agent: Literal["ppo"] = "ppo"
    policy: Literal["events", "tracks", "event_features"] = Field(
        default="events", description="events: learned from scores; tracks: the published form; event_features: by hand"
    )
    environment: Literal["per_class", "joint"] = Field(default="per_class", description="joint: for policy tracks only")
    start: Start | Literal["universal"] = Field(
        default="nothing", description="where the policy event_features starts; universal: what comes trained, adapted"
    )
    universal: Universal = Field(default=Universal(), description="settings of universal: for start: universal")
    value: EventValue = Field(
        default=EventValue(), description="settings of event_value: for start: value, and which events are judged"
    )
    rollouts: int = Field(default=6, ge=1, description="the policy tracks wants about 20")
    visits: int = Field(
        default=16,
        ge=1,
        description="visits to each clip and class in a rollout, on average; 1: a baseline for each class",
    )
    batch_size: int = Field(default=2048, ge=2, description="most decisions of one clip and class in a minibatch")
    epochs: int = Field(default=3, ge=1, description="passes over the decisions of a rollout")
    learning_rate: float = Field(default=2e-3, gt=0, description="at first; it falls to 0")
    weight_decay: float = Field(default=0.01, ge=0, description="of AdamW")
    entropy: float = Field(default=1e-3, ge=0, description="weight of the entropy bonus at first; it falls to 0")
    hidden: int = Field(default=64, ge=1, description="units of a hidden layer")
    temperature: float = Field(default=0.3, gt=0, description="logits are sums of event values over this")
    channels: int = Field(default=16, ge=1, description="of the convolutions over scores (events, tracks)")
    members: int = Field(
        default=2, ge=1, description="policies of different seeds, their event values averaged; tracks: 1"
    )
    validation: float = Field(
        default=0.0, ge=0, le=0.5, description="fraction of clips set aside to watch and to stop on"
    )
    patience: int = Field(
        default=0, ge=0, description="rollouts without improvement on them before stopping; 0 never stops"
    )
    refit: bool = Field(default=True, description="with validation: train anew on all clips when it has been found")
    select: Select = Field(
        default="candidate",
        description="events: the best set of events of all candidates, in place of one candidate's (not for tracks)",
    )
    fallback: bool = Field(default=True, description="keep the best constants where inner validation prefers them")
    reward: Literal["linearised_f1", "clip_f1", "episode_f1"] = Field(
        default="linearised_f1", description="what a step is paid, see `rl-postproc list rewards`"
    )

    @model_validator(mode="before")
    @classmethod
    def _one_policy_of_tracks(cls, values: Any) -> Any:
        return {"members": 1, **values} if isinstance(values, dict) and values.get("policy") == "tracks" else values

    @model_validator(mode="after")
    def _fits_together(self) -> PPOAgent:
        if self.environment == "joint" and self.policy != "tracks":
            raise ValueError("'environment: joint' needs 'policy: tracks', since events are judged class by class")
        if self.start != "nothing" and self.policy != "event_features":
            raise ValueError(f"'start: {self.start}' gives values to events and needs 'policy: event_features'")
        if self.policy == "tracks" and self.members > 1:
            raise ValueError("'members' averages values of events; leave it at 1 with 'policy: tracks'")
        if self.policy == "tracks" and self.select == "events":
            raise ValueError("'select: events' needs values of events; take another policy than tracks")
        if self.start == "universal" and self.universal.labelled_clips is not None:
            raise ValueError("PPO learns from all clips that it is given; leave out 'labelled_clips'")
        if self.patience and not self.validation:
            raise ValueError("'patience' needs clips to watch; set 'validation' to the fraction of them, such as 0.2")
        return self

    def check(self, task: TuningTask) -> None:
        """Needs parameters of each class's own; judging events also needs a metric of events, and frames."""
        if self.policy == "tracks":
            require_own_parameters(self, task)
            require_one_stack(self, task)
        else:
            check_events(self, task)
        if self.start == "universal":
            self.universal.check(task)

    def fit(self, task: TuningTask, seed: int, report: ProgressCallback = silent) -> FitResult:
        """Trains the policy on all clips of the task, less those for validation."""
        return self._fit(task, seed, report, None)

    def fit_in(
        self, task: TuningTask, seed: int, report: ProgressCallback, folder: Path, resume: bool = False
    ) -> FitResult:
        """Trains with checkpoints and tensorboard logs in the run folder."""
        if not resume:
            remove(folder, self.left_to_resume)
        return self._fit(task, seed, report, folder)

    def _fit(self, task: TuningTask, seed: int, report: ProgressCallback, folder: Path | None) -> FitResult:
        whole, unseen = task.to("cpu").bounded(self.value.bounds), None
        if self.start == "universal":
            whole = whole.on_grid(GRID)
        task = whole
        if self.validation:
            task, unseen = set_aside(task, self.validation, seed)
        again = self.refit and unseen is not None
        fit, limits = self._train(task, unseen, seed, share(report, 0, 0.5 if again else 1), folder)
        if fit is None:
            return fit_best_constants(whole)
        if self.fallback and unseen is not None and _constants_win(fit, task, unseen):
            return fit_best_constants(whole, fit.evaluations, fit.curve)
        if not again:
            return fit
        final, _ = self._train(whole, None, seed, share(report, 0.5, 1), folder, limits)
        if final is None:
            return fit_best_constants(whole, fit.evaluations, fit.curve)
        return FitResult(final.post_processor, fit.evaluations + final.evaluations, fit.curve + final.curve)

    def _train(
        self,
        task: TuningTask,
        unseen: TuningTask | None,
        seed: int,
        report: ProgressCallback,
        folder: Path | None,
        limits: list[int] | None = None,
    ) -> tuple[FitResult | None, list[int]]:
        """Trains all members, each for its limit of rollouts where there is one.

        Returns:
            The fit, None where the inner validation of the value function prefers the best constants; and the number of
            rollouts after which each member was best on the clips set aside.
        """
        initial, before = None, 0.0
        if self.policy != "tracks":
            require_events(self, task)
        if self.policy == "event_features":
            before = 0.5 if self.start in ("value", "universal") else 0.0
            tell = share(report, 0, before)
            # One for the clips less those set aside, one for all clips: they know each other's parts from their own.
            parts = Parts.of(folder, self, task, seed).below("refit" if limits else "member")
            if self.start == "universal":
                initial = self._universal(task, seed, tell, parts)
            else:
                initial = initial_policy(self, task, self.start, self.value, seed, tell, self.select, parts)
            if self.fallback and initial.constants_win:
                return None, []
        base = initial.value_function if initial else None
        curve, actors, best, steps = [], [], [], 0
        for member, (member_seed, tell) in enumerate(members(self.members, seed, share(report, before, 1))):
            torch.manual_seed(member_seed)
            actors.append(self._actor(task, initial))
            limit = limits[member] if limits else None
            learned = self._learn(task, unseen, actors[-1], base, (seed, member), tell, folder, limit)
            curve, steps = curve + learned.curve, steps + learned.decisions
            best.append(learned.best_rollouts)
        policy = argmax_policy(actors, base, task)
        if self.select == "events":
            assert isinstance(policy, EventPolicy)
            policy = EventSetPolicy(policy, without_score(task), initial.lam if initial else None)
        else:
            policy = keep_silent(policy, task)
        processor = PostProcessor(task.stack, task.scores.classes, policy, task.scores.hop)
        return FitResult(processor, steps // task.scores.n_classes, curve), best

    def _universal(self, task: TuningTask, seed: int, report: ProgressCallback, parts: Parts) -> InitialPolicy:
        """Returns the values that come trained, adapted to the labels; those of the training clips by inner models."""
        start = self.universal.start_on(task, (), share(report, 0, 0.5), parts)
        found = adapted(start, task, self.universal, True, seed, share(report, 0.5, 1), parts)
        label = task.decoded.track % task.scores.n_classes
        return InitialPolicy(found.values, 2 * found.probability - found.lam[label], False, found.lam)

    def _learn(
        self,
        task: TuningTask,
        unseen: TuningTask | None,
        actor: Actor,
        base: EventValueFunction | None,
        seed: tuple[int, int],
        report: ProgressCallback,
        folder: Path | None,
        limit: int | None = None,
    ) -> RolloutCallback:
        """Trains an actor, whose values are added to ``base``; ``seed`` is the run's seed and the member's number."""
        model = self._model(task, actor, seed[0] * 1000 + seed[1], folder)
        each = task.scores.n_classes if self.environment == "joint" else 1
        steps = self.rollouts * model.n_steps * model.n_envs

        # What training adds to stays as it is, and is worked out once.
        fixed = {id(on): base and values_on(base, on) for on in (task, unseen) if on is not None}

        def choose(on: TuningTask) -> torch.Tensor:
            return chosen_candidates(argmax_policy([actor], None, task), on, fixed[id(on)])

        where = self._checkpoint(folder, task, *seed, limit)
        stage, whole = "member" if limit is None else "refit", steps * each
        watch = RolloutCallback(task, unseen, choose, report, where, whole, self.patience, each, self.entropy, limit)
        watch.restore(model)
        remaining = steps - model.num_timesteps
        if remaining > 0 and not watch.stopped:
            try:
                model.learn(remaining, callback=watch, reset_num_timesteps=False, tb_log_name=f"{stage}_{seed[1]}")
            except OSError as error:  # checkpoints have their own sentence
                raise unwritable((folder or Path()) / "tensorboard", error) from error
        watch.finish(model)
        return watch

    def _actor(self, task: TuningTask, initial: InitialPolicy | None) -> Actor:
        if self.policy == "tracks":
            return TrackActor(task, self.channels, self.hidden)
        if initial is None:
            return LearnedEventActor(task, self.channels, self.hidden, self.temperature)
        return EventActor(task, initial.values, self.hidden, self.temperature)

    def _checkpoint(
        self, folder: Path | None, task: TuningTask, seed: int, member: int, limit: int | None
    ) -> tuple[Path, str] | None:
        """Returns the checkpoint file of a member, and the key by which its run is recognised."""
        if folder is None:
            return None
        text = repr((self.model_dump_json(), seed, member, limit, task.fingerprint))
        which = member if limit is None else f"refit_{member}"
        return folder / f"checkpoint_{which}.safetensors", hashlib.sha256(text.encode()).hexdigest()

    def _model(self, task: TuningTask, actor: Actor, seed: int, folder: Path | None) -> PPO:
        """Sets up PPO around an actor: several environments visit each item of the task."""
        joint = self.environment == "joint"
        kind = PostProcessingVectorEnv if joint else PostProcessingPerClassVectorEnv
        settings = {"reward": self.reward, "observation": "item", "skip_silent": True, "class_rewards": joint}
        if task.stack.is_choice:
            settings["actions"] = "candidate"
        n_items = kind(task, 1, **settings).n_items
        n_steps = n_items if self.reward == "episode_f1" else min(n_items, _STEPS)
        num_envs = math.ceil(self.visits * n_items / n_steps)
        env = SB3VecEnv(kind(task, num_envs, **settings))
        # On few clips smaller minibatches, or a rollout would be a handful of updates.
        batch_size = max(2, self.batch_size // (task.scores.n_classes if joint else 1))
        batch_size = min(batch_size, max(_LEAST_BATCH, n_steps * num_envs // _UPDATES))
        with warnings.catch_warnings():
            # The last minibatch may be a little smaller.
            warnings.filterwarnings("ignore", "You have specified a mini-batch size", UserWarning)
            return PPO(
                ItemPolicy,
                env,
                # Stable-Baselines3 asks when a rollout is done; the last one is learned from as well.
                learning_rate=lambda left: self.learning_rate * (left + 1 / self.rollouts),
                n_steps=n_steps,
                batch_size=min(batch_size, n_steps * num_envs),
                n_epochs=self.epochs,
                ent_coef=self.entropy,
                vf_coef=0.0,
                normalize_advantage=False,
                seed=seed,
                device="cpu",
                policy_kwargs={
                    "actor": actor,
                    "joint": joint,
                    "optimizer_class": torch.optim.AdamW,
                    "optimizer_kwargs": {"weight_decay": self.weight_decay},
                },
                rollout_buffer_class=LeaveOneOutBuffer,
                rollout_buffer_kwargs={
                    "env": env,
                    "n_classes": task.scores.n_classes,
                    "joint": joint,
                    "by_class": self.visits == 1,
                },
                tensorboard_log=str(folder / "tensorboard") if folder and find_spec("tensorboard") else None,
            )


def _constants_win(fit: FitResult, task: TuningTask, unseen: TuningTask) -> bool:
    """Returns whether the best constants of the training clips beat the last policy on the clips set aside.

    The last one, since the best of many would be flattered by the choice.
    """
    plain = objective_of(unseen, unseen.table.of_choice(task.best_constants))
    return fit.curve[-1][f"held_out_{task.objective.called(task.metric)}"] < plain
