"""Models of Stable-Baselines3 become post-processors, which are saved without pickle where their network is its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from artefact_cases import reseal
from cases import small_simulation
from rl_postproc.envs import PostProcessingEnv, PostProcessingPerClassEnv, PostProcessingPerClassVectorEnv
from rl_postproc.envs.adapters.stable_baselines3 import SB3VecEnv
from stable_baselines3 import A2C, DQN, PPO
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor, VecNormalize

from rl_postproc import PostProcessor, TuningTask, UserError

STACK = [{"stage": "median", "kernel": [0, 0.3]}, {"stage": "threshold", "threshold": [0.2, 0.4, 0.6]}]
SEEN = {"observation": "events", "max_events": 6}


@pytest.fixture(scope="module")
def task() -> TuningTask:
    return TuningTask.build(small_simulation(8, 2), STACK)


def trained(kind: Any, policy: Any, env: Any, **settings: Any) -> Any:
    """A model whose parameters are arbitrary but not those that it started with."""
    own = {"n_steps": 16, "batch_size": 16} if kind is PPO else {"learning_starts": 1} if kind is DQN else {}
    model = kind(policy, env, gamma=0.0, seed=1, device="cpu", **own, **settings)
    with torch.no_grad():
        for parameter in model.policy.parameters():
            parameter += torch.randn(parameter.shape, generator=torch.Generator().manual_seed(parameter.numel()))
    return model


def played(task: TuningTask, model: Any, **settings: Any) -> dict[str, np.ndarray]:
    """Counts of a pass that the model plays in a single environment: a row a clip, a column a class."""
    env = PostProcessingPerClassEnv(task, episode="pass", **settings)
    found = {name: np.full((task.scores.n_clips, task.scores.n_classes), -1) for name in task.metric.columns}
    observation, ended = env.reset(seed=0)[0], False
    while not ended:
        action, _ = model.predict(observation, deterministic=True)
        observation, _, ended, _, info = env.step(action)
        for name, counts in found.items():
            counts[info["clip"], info["label"]] = info[name][0]
    return found


@pytest.mark.parametrize(
    ("kind", "policy", "observation", "actions", "settings"),
    [
        (PPO, "MlpPolicy", "summary", "indices", {}),
        (PPO, "MlpPolicy", "scores", "candidate", {"net_arch": [8], "activation_fn": torch.nn.ELU}),
        (
            PPO,
            "MultiInputPolicy",
            SEEN,
            "candidate",
            {"net_arch": {"pi": [16], "vf": [3, 2]}, "activation_fn": torch.nn.ReLU},
        ),
        (A2C, "MultiInputPolicy", "dict", "indices", {"net_arch": [], "share_features_extractor": False}),
        (DQN, "MlpPolicy", "summary", "candidate", {}),
        (DQN, "MultiInputPolicy", SEEN, "candidate", {"net_arch": [5]}),
    ],
)
def test_events_are_those_of_the_environment_and_are_the_same_once_saved(
    task: TuningTask, tmp_path: Path, kind: Any, policy: str, observation: Any, actions: Any, settings: dict[str, Any]
) -> None:
    vector = PostProcessingPerClassVectorEnv(task, num_envs=4, observation=observation, actions=actions)
    model = trained(kind, policy, SB3VecEnv(vector), policy_kwargs=settings)
    processor = PostProcessor.from_sb3(model)
    events = processor.apply(task.scores)
    counts = task.metric.count(task.scores.require_references(), events)
    expected = played(task, model, observation=observation, actions=actions)
    for name, column in counts.items():
        assert np.array_equal(column.numpy(), expected[name]), name
    assert len(set(processor.choose(task.scores).flatten(0, 1).unique(dim=0))) > 1

    path = processor.save(tmp_path)
    again = PostProcessor.load(tmp_path)
    assert again.apply(task.scores).to_rows() == events.to_rows()
    assert json.loads(path.read_text())["policy"]["kind"] == "stable_baselines3"
    assert {file.suffix for file in tmp_path.iterdir()} == {".json", ".safetensors"}
    # What is learned later changes neither.
    with torch.no_grad():
        for parameter in model.policy.parameters():
            parameter.zero_()
    assert processor.apply(task.scores).to_rows() == events.to_rows()


def test_wrappers_that_change_nothing_are_looked_through(task: TuningTask) -> None:
    single = DummyVecEnv([lambda: PostProcessingEnv(task, observation="summary")])
    model = trained(PPO, "MlpPolicy", VecMonitor(single))
    expected = PostProcessor.from_sb3(model).apply(task.scores).to_rows()
    env = PostProcessingEnv(task, observation="summary")
    assert PostProcessor.from_sb3(model, env).apply(task.scores).to_rows() == expected

    def predict(seen: Any) -> Any:
        return model.predict(seen, deterministic=True)[0]

    assert PostProcessor.from_policy(predict, env).apply(task.scores).to_rows() == expected
    assert PostProcessor.from_policy(predict, single).apply(task.scores).to_rows() == expected
    with pytest.raises(UserError, match=r"^The wrapper VecNormalize changes what is seen"):
        PostProcessor.from_sb3(trained(PPO, "MlpPolicy", VecNormalize(single)))
    with pytest.raises(UserError, match=r"^There is no environment of this package inside DummyVecEnv"):
        PostProcessor.from_sb3(PPO("MlpPolicy", "CartPole-v1", device="cpu"))
    model.env = None
    with pytest.raises(UserError, match=r"^The model has no environment; give the one"):
        PostProcessor.from_sb3(model)


class OwnPolicy(ActorCriticPolicy):
    """A policy that only its author can build."""


class OwnActivation(torch.nn.Tanh):
    """An activation that only its author has."""


@pytest.mark.parametrize(
    ("policy", "settings", "reason"),
    [
        (OwnPolicy, {}, "its policy is a class of its own, OwnPolicy"),
        ("MlpPolicy", {"activation_fn": OwnActivation}, "OwnActivation"),
    ],
)
def test_other_networks_are_asked_and_cannot_be_saved(
    task: TuningTask, tmp_path: Path, policy: Any, settings: dict[str, Any], reason: str
) -> None:
    vector = PostProcessingPerClassVectorEnv(task, num_envs=4, observation="summary")
    model = trained(PPO, policy, SB3VecEnv(vector), policy_kwargs=settings)
    processor = PostProcessor.from_sb3(model)
    counts = task.metric.count(task.scores.require_references(), processor.apply(task.scores))
    expected = played(task, model, observation="summary")
    assert all(np.array_equal(column.numpy(), expected[name]) for name, column in counts.items())
    with pytest.raises(UserError, match=rf"^The model cannot be saved, since .*{reason}.*plug-in file.*\.$"):
        processor.save(tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_clips_that_a_network_cannot_see_are_refused(task: TuningTask) -> None:
    vector = PostProcessingPerClassVectorEnv(task, num_envs=4, observation="scores")
    processor = PostProcessor.from_sb3(trained(PPO, "MlpPolicy", SB3VecEnv(vector)))
    longer = small_simulation(3, 2, clip_seconds=8.0)
    with pytest.raises(UserError, match=r"trained on observations of shape \[\d+\], but these clips give \[\d+\]; "):
        processor.apply(longer)
    assert len(processor.apply(small_simulation(3, 2, clip_seconds=2.0))) >= 0


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("policy",), "other"),
        (("policy",), "dqn"),
        (("observation",), [8]),
        (("observation",), [10**9, 10**9]),
        (("observation",), "wide"),
        (("actions",), [2, 4]),
        (("actions",), [10**9, 10**9]),
        (("net_arch", 0), 10**9),
        (("net_arch", 0), -1),
        (("activation",), "Linear"),
        (("activation",), "__builtins__"),
        (("more",), 1),
    ],
)
def test_a_damaged_file_is_refused_before_anything_is_allocated(
    task: TuningTask, tmp_path: Path, path: tuple[Any, ...], value: Any
) -> None:
    vector = PostProcessingPerClassVectorEnv(task, num_envs=4, observation="summary")
    model = trained(PPO, "MlpPolicy", SB3VecEnv(vector), policy_kwargs={"net_arch": [8]})
    file = PostProcessor.from_sb3(model).save(tmp_path)
    content = json.loads(file.read_text())
    place = content["policy"]["network"]
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    file.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"was changed after it was saved.*train it anew\.$"):
        PostProcessor.load(tmp_path)
    reseal(file)
    with pytest.raises(UserError, match=r"damaged .*train it anew\.$") as refused:
        PostProcessor.load(tmp_path)
    assert "\n" not in str(refused.value)
