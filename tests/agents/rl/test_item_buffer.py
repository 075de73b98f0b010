"""The leave-one-out baseline: its arithmetic, and that it leaves the expected gradient as it is."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from event_agents import small_task
from gymnasium.spaces import Box, MultiDiscrete
from rl_postproc.agents.events.exact_gradient import expected_counts
from rl_postproc.agents.rl.item_buffer import LeaveOneOutBuffer, leave_one_out, scaled_by_class
from rl_postproc.envs import PostProcessingPerClassVectorEnv, PostProcessingVectorEnv
from rl_postproc.envs.adapters.stable_baselines3 import SB3VecEnv


class Told:
    """Stands for the environment."""

    def __init__(self) -> None:
        self.info: dict[str, Any] = {}


def filled(n_steps: int, items: np.ndarray, rewards: np.ndarray, starts: np.ndarray, told: Any = None, **settings: Any):
    """Returns a full buffer of ``[step, env]`` items, rewards and episode starts."""
    n_envs = items.shape[1]
    settings = {"env": told or Told(), "n_classes": 1, **settings}
    buffer = LeaveOneOutBuffer(
        n_steps, Box(0, 99, (1,), np.int64), MultiDiscrete([2, 3]), device="cpu", n_envs=n_envs, **settings
    )
    for step in range(n_steps):
        buffer.add(
            items[step, :, None], np.ones((n_envs, 2)), rewards[step], starts[step], torch.zeros(n_envs),
            torch.zeros(n_envs, buffer._parts),
        )  # fmt: skip
    buffer.compute_returns_and_advantage(torch.zeros(n_envs), np.ones(n_envs))
    return buffer


def test_each_visit_is_measured_against_the_others() -> None:
    rng = np.random.default_rng(0)
    items, returns = rng.integers(0, 12, 40), rng.normal(size=(40, 2))
    found = leave_one_out(items, returns)
    for i, j in itertools.product(range(40), range(2)):
        others = [returns[k, j] for k in range(40) if items[k] == items[i] and k != i]
        assert found[i, j] == pytest.approx(returns[i, j] - np.mean(others) if others else 0.0, abs=1e-5)
    assert (np.bincount(items) == 1).any()


def test_every_class_is_scaled_by_itself() -> None:
    rng = np.random.default_rng(0)
    label = rng.integers(0, 3, (50, 1))
    advantages = (rng.normal(size=(50, 1)) * np.array([0.0, 0.01, 100.0])[label]).astype(np.float32)
    found = scaled_by_class(advantages, label, 4)
    assert not found[label == 0].any()
    for k in (1, 2):
        assert np.sqrt(np.mean(np.square(found[label == k]))) == pytest.approx(1, rel=1e-4)
        ratio = found[label == k] / advantages[label == k]
        assert np.allclose(ratio, ratio[0], rtol=1e-4)


def test_returns_go_to_the_end_of_the_episode() -> None:
    starts = np.array([[1, 1], [0, 1], [0, 0], [1, 0]])
    rewards = np.arange(1.0, 9.0).reshape(4, 2)
    buffer = filled(4, np.arange(8).reshape(4, 2), rewards, starts)
    assert buffer.returns.tolist() == [[1 + 3 + 5, 2], [3 + 5, 4 + 6 + 8], [5, 6 + 8], [7, 8]]


def test_the_buffer_deals_every_step_once_and_keeps_an_item_together() -> None:
    items = np.random.default_rng(0).integers(0, 10, (5, 8))
    buffer = filled(5, items, np.arange(40.0).reshape(5, 8), np.ones((5, 8)))
    batches = [(part.observations[:, 0].tolist(), part.returns.tolist()) for part in buffer.get(16)]
    assert sorted(len(shown) for shown, _ in batches) == [13, 13, 14]
    paid = [(item, round(reward)) for shown, rewards in batches for item, reward in zip(shown, rewards, strict=True)]
    assert sorted(paid) == sorted((int(item), i) for i, item in enumerate(items.reshape(-1)))
    order = [item for shown, _ in batches for item in shown]
    assert len([1 for a, b in itertools.pairwise(order) if a != b]) == len(set(order)) - 1


def test_in_the_joint_environment_each_class_is_credited_with_its_own_reward() -> None:
    told = Told()
    told.info = {"class_reward": np.array([[1.0, 0.0], [3.0, 0.0], [5.0, 0.0]], np.float32)}
    buffer = filled(
        1, np.zeros((1, 3), int), np.array([[1.0, 3.0, 5.0]]), np.ones((1, 3)), told, n_classes=2, joint=True
    )
    assert buffer.advantages.shape == (1, 3, 2)
    assert not buffer.advantages[..., 1].any()
    scaled = np.array([-3.0, 0.0, 3.0]) / np.sqrt(6)
    assert buffer.advantages[0, :, 0] == pytest.approx(scaled, abs=1e-5)
    (batch,) = buffer.get()
    assert batch.advantages.shape == batch.old_log_prob.shape == (6,)
    assert batch.returns.tolist() == pytest.approx([1, 3, 5])


@pytest.mark.parametrize("n_visits", [2, 5])
def test_with_the_baseline_the_expected_gradient_is_the_exact_one(n_visits: int) -> None:
    task = small_task(6)
    point, table = task.linearisation, task.table
    found = table.counts["estimated"] + table.counts["reference"][..., None]
    rewards = point.scale[:, None] * (2 * table.counts["true_positives"] - point.lam[:, None] * found)
    rewards = rewards.flatten(0, 1)[:4].float()
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(rewards.shape, generator=generator, requires_grad=True)
    pi = logits.softmax(-1)
    expected_counts(pi, rewards).sum().backward()
    exact, log_pi = logits.grad, pi.detach().log()
    n = 20_000
    drawn = torch.multinomial(pi.detach(), n * n_visits, replacement=True, generator=generator).reshape(4, n, n_visits)
    paid = rewards.gather(1, drawn.flatten(1)).reshape(drawn.shape)
    # Every sample is a rollout of its own, with items of its own.
    items = torch.arange(4 * n).reshape(4, n, 1).expand(drawn.shape)
    advantages = leave_one_out(items.reshape(-1).numpy(), paid.reshape(-1, 1).numpy()).reshape(drawn.shape)
    score = torch.nn.functional.one_hot(drawn, rewards.shape[1]) - log_pi.exp()[:, None, None]
    samples = (torch.from_numpy(advantages)[..., None] * score).mean(2)
    spread = samples.std(1) / n**0.5
    assert exact is not None and float(exact.abs().max()) > 10 * float(spread.median())
    assert bool(((samples.mean(1) - exact).abs() <= 5 * spread + 1e-6).all())


def test_the_joint_reward_is_the_sum_of_what_is_told_of_its_classes() -> None:
    task = small_task()
    env = SB3VecEnv(PostProcessingVectorEnv(task, 5, observation="item", class_rewards=True))
    env.reset()
    actions = np.stack([env.action_space.sample() for _ in range(5)])
    _, rewards, _, _ = env.step(actions)
    assert env.info["class_reward"].shape == (5, 3)
    assert rewards == pytest.approx(env.info["class_reward"].sum(1), abs=1e-5)
    single = SB3VecEnv(PostProcessingPerClassVectorEnv(task, 5, observation="item", class_rewards=True))
    single.reset()
    single.step(np.stack([single.action_space.sample() for _ in range(5)]))
    assert "class_reward" not in single.info
