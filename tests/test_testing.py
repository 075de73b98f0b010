"""The conformance checks pass on what is here, and each fails on a part that breaks its promise."""

from __future__ import annotations

from typing import ClassVar, Literal

import gymnasium as gym
import numpy as np
import pytest
import torch
from rl_postproc.agents import agent_types
from rl_postproc.agents.base import Agent, constant_fit, silent
from rl_postproc.envs import (
    PostProcessingEnv,
    PostProcessingPerClassEnv,
    PostProcessingPerClassVectorEnv,
    PostProcessingVectorEnv,
    TuningTask,
)
from rl_postproc.envs.observations import OBSERVATIONS

from rl_postproc import formats
from rl_postproc.errors import UserError
from rl_postproc.events import Events
from rl_postproc.metrics import EventBased
from rl_postproc.postprocessor import PostProcessor
from rl_postproc.stages import Parameter, Stage, stage_types
from rl_postproc.stages.base import Kind, Seconds
from rl_postproc.testing import (
    NonConformant,
    check_agent,
    check_environment,
    check_format,
    check_metric,
    check_stage,
    check_vector_environment,
)
from rl_postproc.testing.base import sample_scores

OURS = {name: kind for name, kind in stage_types().items() if kind.__module__.startswith("rl_postproc.stages")}
QUICK = {"default": {}, "grid_search": {}, "sgl_thresh": {}}


@pytest.fixture(scope="module")
def task() -> TuningTask:
    return TuningTask.build({"data": {"simulated": {"n_clips": 7, "seed": 3}}})


# --- environments


@pytest.mark.parametrize("observation", OBSERVATIONS)
@pytest.mark.parametrize("episode", ["clip", "pass"])
@pytest.mark.parametrize("kind", [PostProcessingEnv, PostProcessingPerClassEnv])
def test_environments_conform(task, kind, episode, observation):
    check_environment(lambda: kind(task, episode=episode, observation=observation))


@pytest.mark.parametrize("mode", ["ansi", "rgb_array"])
def test_rendering_environments_conform(task, mode):
    check_environment(lambda: PostProcessingEnv(task, render_mode=mode), steps=5)


@pytest.mark.parametrize("observation", ["summary", "dict"])
@pytest.mark.parametrize("episode", ["clip", "pass"])
@pytest.mark.parametrize(
    ("single", "vector"),
    [(PostProcessingEnv, PostProcessingVectorEnv), (PostProcessingPerClassEnv, PostProcessingPerClassVectorEnv)],
)
def test_vector_environments_conform(task, single, vector, episode, observation):
    arguments = {"scores": task, "episode": episode, "observation": observation}
    check_vector_environment(
        lambda mode: vector(num_envs=5, autoreset_mode=mode, **arguments), lambda: single(**arguments)
    )


class Truncating(PostProcessingEnv):
    def step(self, action):
        observation, reward, _, _, info = super().step(action)
        return observation, reward, False, True, info


class Aliasing(PostProcessingEnv):
    def reset(self, **arguments):
        self.kept, info = super().reset(**arguments)
        return self.kept, info

    def step(self, action):
        _, _, *rest = super().step(action)
        return np.zeros_like(self.kept), float(self.task.scores.scores.sum() + self.kept.sum()), *rest

    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        self.cache = np.zeros(self.observation_space.shape, np.float32)
        self._observe = lambda: self.cache  # one buffer, handed out again and again


class Forgetful(PostProcessingEnv):
    def reset(self, *, seed=None, options=None):
        return super().reset(seed=int(torch.seed() % 2**31) if seed is not None else None, options=options)


@pytest.mark.parametrize("broken", [Truncating, Aliasing, Forgetful])
def test_a_broken_environment_is_refused(task, broken):
    with pytest.raises((AssertionError, gym.error.Error, AttributeError)):
        check_environment(lambda: broken(task, observation="summary"))


class SharedSeed(PostProcessingVectorEnv):
    def reset(self, *, seed=None, options=None):
        return super().reset(seed=None if seed is None else [seed] * self.num_envs, options=options)


class WrongMask(PostProcessingVectorEnv):
    def step(self, actions):
        *rest, info = super().step(actions)
        return *rest, {k: np.zeros_like(v) if k.startswith("_") else v for k, v in info.items()}


class SharedMetadata(PostProcessingVectorEnv):
    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        mode = self.metadata["autoreset_mode"]
        del self.metadata
        type(self).metadata["autoreset_mode"] = mode


@pytest.mark.parametrize("broken", [SharedSeed, WrongMask, SharedMetadata])
def test_a_broken_vector_environment_is_refused(task, broken):
    with pytest.raises(NonConformant):
        check_vector_environment(
            lambda mode: broken(task, num_envs=3, autoreset_mode=mode), lambda: PostProcessingEnv(task)
        )


# --- stages


@pytest.mark.parametrize("name", OURS)
def test_stages_conform(name):
    check_stage(OURS[name]())


class Shift(Stage):
    """A well-behaved stage of a third party: scores a fixed number of frames later."""

    stage: Literal["test_shift"] = "test_shift"
    delay: Seconds = Parameter(candidates=(0.0, 0.2), default=0.0)
    takes: ClassVar[Kind] = "scores"
    gives: ClassVar[Kind] = "scores"
    monotone: ClassVar[bool] = True

    def __call__(self, x, n_frames, hop, **values):
        frames = torch.arange(len(x))[:, None]
        source = frames - (values["delay"] / hop).round().long()
        return torch.where((source >= 0) & (frames < n_frames), x.gather(0, source.clamp(min=0)), 0.0)


def test_a_stage_of_a_third_party_conforms():
    check_stage(Shift())


def make_broken(change):
    class Broken(Shift):
        stage: Literal["test_broken"] = "test_broken"
        __call__ = change

    return Broken


def writes(self, x, n_frames, hop, **values):
    x *= 0.5
    return x


def leaks(self, x, n_frames, hop, **values):
    return torch.full_like(x, 0.3)


def mixes(self, x, n_frames, hop, **values):
    return torch.where(torch.arange(len(x))[:, None] < n_frames, x.mean(1, keepdim=True).expand_as(x), 0.0)


def bends(self, x, n_frames, hop, **values):
    return (x * 0.9).clamp(max=0.8)


@pytest.mark.parametrize("change", [writes, leaks, mixes, bends])
def test_a_broken_stage_is_refused(change):
    with pytest.raises(NonConformant):
        check_stage(make_broken(change)())


# --- metrics


@pytest.mark.parametrize("comparison", ["exact", "tolerant"])
def test_the_event_based_metric_conforms(comparison):
    check_metric(EventBased(comparison=comparison), sed_eval_counts if comparison == "exact" else None)


def sed_eval_counts(references: Events, estimates: Events):
    """Counts each clip and class with sed_eval itself."""
    import dcase_util
    import sed_eval

    shape = len(references.clip_ids), len(references.classes)
    counts = torch.zeros(3, *shape, dtype=torch.int64)
    for i, clip in enumerate(references.clip_ids):
        meter = sed_eval.sound_event.EventBasedMetrics(list(references.classes), t_collar=0.2, percentage_of_length=0.2)
        lists = []
        for events in (references, estimates):
            rows = [
                {"filename": clip, "event_onset": on, "event_offset": off, "event_label": label}
                for name, on, off, label in events.rows()
                if name == clip
            ]
            lists.append(dcase_util.containers.MetaDataContainer(rows))
        meter.evaluate(*lists)
        for k, label in enumerate(references.classes):
            found = meter.class_wise[label]
            counts[:, i, k] = torch.tensor([int(found[n]) for n in ("Ntp", "Nsys", "Nref")])
    return counts[0], counts[1], counts[2]


class OffByOne(EventBased):
    """Claims the defaults, and counts with another collar."""

    def prepare(self, scores):
        return EventBased(t_collar=0.5).prepare(scores)


def test_a_metric_that_differs_from_its_oracle_is_refused():
    with pytest.raises(NonConformant, match="oracle"):
        check_metric(OffByOne(), sed_eval_counts)


# --- formats


@pytest.fixture
def npy_sample(tmp_path):
    scores = sample_scores()
    folder = tmp_path / "npy_scores"
    folder.mkdir()
    for i, clip in enumerate(scores.clip_ids):
        np.save(folder / f"{clip.removesuffix('.wav')}.npy", scores.scores[i, :, : scores.n_frames[i]].T.numpy())
    return folder, {"classes": list(scores.classes), "hop": 0.1}


def test_the_npy_format_conforms(npy_sample):
    folder, options = npy_sample
    check_format(formats.FORMATS["npy"], folder, **options)


def test_a_format_that_recognises_everything_is_refused(npy_sample):
    folder, options = npy_sample

    class Greedy:
        DESCRIPTION = "anything"
        read = staticmethod(formats.FORMATS["npy"].read)

        @staticmethod
        def recognises(path):
            return True

    with pytest.raises(NonConformant, match="recognises"):
        check_format(Greedy(), folder, **options)


# --- agents


@pytest.mark.parametrize("name", QUICK)
def test_quick_agents_conform(name):
    check_agent({"agent": name, **QUICK[name]})


def test_every_quick_agent_is_known():
    assert set(QUICK) <= set(agent_types())


class Peeking(Agent):
    agent: Literal["test_peeking"] = "test_peeking"
    description: ClassVar[str] = "a broken agent"

    def fit(self, task, seed, report=silent):
        task.linearisation.lam.add_(1.0)
        return constant_fit(task, task.stack.space.defaults, 0)


class Restless(Agent):
    agent: Literal["test_restless"] = "test_restless"
    description: ClassVar[str] = "an agent whose result depends on the global random state"

    def fit(self, task, seed, report=silent):
        values = task.stack.space.values[torch.randint(len(task.stack.space.values), (task.scores.n_classes,))]
        return constant_fit(task, values, 1)


@pytest.mark.parametrize("name", ["test_peeking", "test_restless"])
def test_a_broken_agent_is_refused(name):
    with pytest.raises(NonConformant):
        check_agent(name)


def test_the_sample_has_the_awkward_cases():
    scores = sample_scores()
    counts = scores.require_references().counts()
    assert int(scores.n_frames.min()) == 1 and (counts.sum(0) == 0).any()
    assert not scores.scores[1, 0].any() and isinstance(scores.clip_ids, tuple)
    with pytest.raises(UserError):
        PostProcessor.load("there is no such folder")
