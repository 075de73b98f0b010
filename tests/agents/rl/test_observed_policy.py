"""Post-processors of trained policies give the events that the environment would give with the same actions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from cases import make_set, small_simulation
from rl_postproc.agents.rl.observed_policy import ObservedPolicy, with_width
from rl_postproc.envs import PostProcessingEnv, PostProcessingPerClassEnv, PostProcessingPerClassVectorEnv
from rl_postproc.envs.interface import Interface

from rl_postproc import Events, PostProcessor, ScoreSet, TuningTask, UserError, evaluate

STACK = [{"stage": "median", "kernel": [0, 0.3]}, {"stage": "threshold", "threshold": [0.2, 0.4, 0.6]}]
SEEN = {"observation": "events", "max_events": 8}


@pytest.fixture(scope="module")
def task() -> TuningTask:
    return TuningTask.build(small_simulation(8, 2), STACK)


def flat(observation: Any) -> np.ndarray:
    """All numbers of one observation in a row."""
    parts = observation.values() if isinstance(observation, dict) else [observation]
    return np.concatenate([np.asarray(part, dtype=np.float64).reshape(-1) for part in parts])


def decide(observation: Any, sizes: list[int]) -> np.ndarray:
    """An arbitrary action that depends on every number of one observation."""
    numbers = flat(observation)
    key = int(abs(float(numbers @ np.linspace(1, 2, len(numbers)))) * 1000)
    return np.array([(key // (i + 1)) % n for i, n in enumerate(sizes)])


def played(env: gym.Env, policy: Any) -> dict[str, np.ndarray]:
    """Counts of a pass over all items in the environment: a row a clip, a column a class."""
    assert isinstance(env, PostProcessingEnv)
    scores = env.task.scores
    found = {name: np.full((scores.n_clips, scores.n_classes), -1) for name in env.task.metric.columns}
    for seed in range(100_000):
        observation, _ = env.reset(seed=0 if seed == 0 else None)
        info = env.step(policy(observation))[4]
        columns = slice(None) if "label" not in info else info["label"]
        for name, counts in found.items():
            counts[info["clip"], columns] = info[name] if "label" not in info else info[name][0]
        if all((counts >= 0).all() for counts in found.values()):
            break
    return found


def assert_equal_counts(task: TuningTask, events: Events, expected: dict[str, np.ndarray]) -> None:
    counts = task.metric.count(task.scores.require_references(), events)
    for name, column in counts.items():
        assert np.array_equal(column.numpy(), expected[name]), name


@pytest.mark.parametrize("observation", ["scores", "summary", "flat", "dict", "events", SEEN])
@pytest.mark.parametrize("actions", ["indices", "candidate"])
@pytest.mark.parametrize("kind", [PostProcessingEnv, PostProcessingPerClassEnv])
def test_events_are_those_of_the_environment(task: TuningTask, kind: Any, observation: Any, actions: str) -> None:
    env = kind(task, observation=observation, actions=actions)
    sizes = list(getattr(env.action_space, "nvec", [getattr(env.action_space, "n", 0)]))

    def policy(seen: Any) -> Any:
        chosen = decide(seen, sizes)
        return chosen if isinstance(env.action_space, gym.spaces.MultiDiscrete) else chosen[0]

    events = PostProcessor.from_policy(policy, env).apply(task.scores)
    assert len(events) > 0
    assert_equal_counts(task, events, played(env, policy))


@pytest.mark.parametrize("output", ["numpy", "torch"])
def test_a_policy_of_a_vector_environment_is_given_rows(task: TuningTask, output: str) -> None:
    vector = PostProcessingPerClassVectorEnv(task, num_envs=3, observation=SEEN, output=output)
    single = PostProcessingPerClassEnv(task, observation=SEEN)
    asked: list[int] = []

    def policy(seen: dict[str, Any]) -> Any:
        assert all(isinstance(part, torch.Tensor if output == "torch" else np.ndarray) for part in seen.values())
        asked.append(len(seen["mask"]))
        rows = [decide({name: part[i] for name, part in seen.items()}, [2, 3]) for i in range(asked[-1])]
        return torch.as_tensor(np.stack(rows)) if output == "torch" else np.stack(rows)

    events = PostProcessor.from_policy(policy, vector).apply(task.scores)
    assert asked == [16]
    expected = PostProcessor.from_policy(lambda seen: decide(seen, [2, 3]), single).apply(task.scores)
    assert events.to_rows() == expected.to_rows()


def test_a_clip_is_shown_alike_whatever_others_are_beside_it(task: TuningTask) -> None:
    env = PostProcessingEnv(task, observation="summary")
    processor = PostProcessor.from_policy(lambda seen: decide(seen, [2, 3, 2, 3]), env)
    whole = processor.apply(task.scores).to_rows()
    shortest = int(task.scores.n_frames.argmin())
    alone = with_width(task.scores.select([shortest]), int(task.scores.n_frames[shortest]))
    assert alone.width < task.scores.width
    assert processor.apply(alone).to_rows() == [row for row in whole if row[0] == alone.clip_ids[0]]
    # A longer clip beside them changes nothing either.
    longer = with_width(task.scores, task.scores.width + 10)
    assert processor.apply(longer).to_rows() == whole


def test_a_width_is_that_of_other_silent_frames() -> None:
    clip = make_set(torch.rand(2, 1, 5), n_frames=[3, 5])
    wider = with_width(clip, 8)
    assert wider.edges[0].tolist() == pytest.approx([0.1 * i for i in range(9)])
    assert not wider.scores[..., 5:].any() and torch.equal(wider.scores[..., :5], clip.scores)
    narrow = with_width(clip.select([0]), 3)
    assert narrow.scores.shape == (1, 1, 3) and narrow.edges.shape == (1, 4)


def test_wrappers_are_looked_through_unless_they_change_what_is_seen(task: TuningTask) -> None:
    env = PostProcessingEnv(task, observation="summary")

    def policy(seen: Any) -> np.ndarray:
        return decide(seen, [2, 3, 2, 3])

    expected = PostProcessor.from_policy(policy, env).apply(task.scores).to_rows()
    wrapped = gym.wrappers.OrderEnforcing(gym.wrappers.RecordEpisodeStatistics(env))
    assert PostProcessor.from_policy(policy, wrapped).apply(task.scores).to_rows() == expected
    made = gym.make("rl_postproc:rl_postproc/PostProcessing-v0", scores=task, observation="summary")
    assert PostProcessor.from_policy(policy, made).apply(task.scores).to_rows() == expected
    many = gym.vector.SyncVectorEnv([lambda: PostProcessingEnv(task, observation="summary")] * 2)
    rows = PostProcessor.from_policy(lambda seen: np.stack([policy(one) for one in seen]), many)
    assert rows.apply(task.scores).to_rows() == expected
    for changing in (
        gym.wrappers.NormalizeObservation(env),
        gym.wrappers.RescaleObservation(env, np.float32(-1), np.float32(1)),
        gym.wrappers.FrameStackObservation(env, 2),
        gym.wrappers.vector.NormalizeObservation(
            PostProcessingPerClassVectorEnv(task, observation="summary", autoreset_mode="NEXT_STEP")
        ),
    ):
        with pytest.raises(UserError, match=r"^The wrapper \w+ changes what is seen or done; .*\.$"):
            PostProcessor.from_policy(policy, changing)
    with pytest.raises(UserError, match=r"^There is no environment of this package inside \w+; give one that is made"):
        PostProcessor.from_policy(policy, gym.make("CartPole-v1"))
    with pytest.raises(UserError, match=r"inside NoneType; give one"):
        PostProcessor.from_policy(policy, None)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda seen: np.zeros((len(seen), 2), dtype=np.int64) + 3, r"action \[3, 3\] does not lie in MultiDiscrete"),
        (lambda seen: np.zeros((len(seen), 2)), r"whole numbers \[16, 2\], but these are float64 \[16, 2\]"),
        (lambda seen: np.zeros(len(seen), dtype=np.int64), r"whole numbers \[16, 2\], but these are int64 \[16\]"),
        (lambda seen: -np.ones((len(seen), 2), dtype=np.int64), r"action \[-1, -1\] does not lie"),
    ],
)
def test_actions_that_are_none_are_refused(task: TuningTask, answer: Any, message: str) -> None:
    env = PostProcessingPerClassVectorEnv(task, observation="summary")
    with pytest.raises(UserError, match=message):
        PostProcessor.from_policy(answer, env).apply(task.scores)


def test_a_function_cannot_be_saved(task: TuningTask, tmp_path: Path) -> None:
    processor = PostProcessor.from_policy(lambda seen: np.zeros(4, dtype=np.int64), PostProcessingEnv(task))
    with pytest.raises(UserError, match=r"^This post-processor asks a Python function, which cannot be saved .*\.$"):
        processor.save(tmp_path / "run")
    assert not (tmp_path / "run").exists()


class Weighted(ObservedPolicy):
    """A policy of one's own, as a plug-in would have it: linear in the observation."""

    kind = "weighted_of_this_test"

    def __init__(self, interface: Interface, width: int, weights: torch.Tensor):
        super().__init__(interface, width)
        self.weights = weights

    def act(self, observations: Any) -> torch.Tensor:
        return (observations @ self.weights).argmax(1)

    def state(self) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
        return super().state()[0], {"weights": self.weights}

    @classmethod
    def from_state(cls, values: dict[str, Any], tensors: dict[str, torch.Tensor]) -> Weighted:
        return cls(Interface.from_json(values), values["width"], tensors["weights"])


def test_a_policy_of_ones_own_is_saved_and_applied(task: TuningTask, tmp_path: Path) -> None:
    env = PostProcessingPerClassEnv(task, observation="summary", actions="candidate")
    torch.manual_seed(0)
    policy = Weighted(env.interface, task.scores.width, torch.randn(9, 6))
    processor = PostProcessor.from_policy(policy, env)
    events = processor.apply(task.scores)
    assert_equal_counts(task, events, played(env, lambda seen: policy.act(torch.from_numpy(seen)[None])[0].item()))
    processor.save(tmp_path)
    again = PostProcessor.load(tmp_path)
    assert again.apply(task.scores).to_rows() == events.to_rows()
    assert again.about["environment"] == env.interface.to_json()
    assert evaluate(task.scores.require_references(), events).score.macro >= 0


def test_scores_without_references_are_enough(task: TuningTask) -> None:
    env = PostProcessingPerClassEnv(task, observation=SEEN)
    processor = PostProcessor.from_policy(lambda seen: decide(seen, [2, 3]), env)
    arrays = {
        name: x[:, :n].T
        for name, x, n in zip(task.scores.clip_ids, task.scores.scores, task.scores.n_frames, strict=True)
    }
    durations = dict(zip(task.scores.clip_ids, task.scores.durations.tolist(), strict=True))
    bare = ScoreSet.from_arrays(arrays, hop=task.scores.hop, classes=task.scores.classes, durations=durations)
    assert processor.apply(bare).to_rows() == processor.apply(task.scores).to_rows()


@pytest.mark.parametrize(
    ("key", "value"), [("width", 0), ("width", 10**13), ("width", "5"), ("per_class", 1), ("actions", "other")]
)
def test_a_damaged_file_is_refused(task: TuningTask, tmp_path: Path, key: str, value: Any) -> None:
    env = PostProcessingPerClassEnv(task, observation="summary", actions="candidate")
    PostProcessor.from_policy(Weighted(env.interface, 9, torch.zeros(9, 6)), env).save(tmp_path)
    path = tmp_path / "postprocessor.json"
    content = json.loads(path.read_text())
    content["policy"][key] = value
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"damaged"):
        PostProcessor.load(tmp_path)
