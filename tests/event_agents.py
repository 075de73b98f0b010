"""Small tasks and quick agents for the tests of event policies and PPO."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from cases import small_simulation
from rl_postproc.agents import Agent, make_agent
from rl_postproc.agents.events.actor import EventActor
from rl_postproc.agents.rl.track_policy import TrackNetwork, TrackPolicy

from rl_postproc.data.scores import ScoreSet
from rl_postproc.pipeline.postprocessor import PostProcessor
from rl_postproc.pipeline.stack import Stack
from rl_postproc.task import TuningTask

STACK = [{"stage": "median", "kernel": [0, 0.3, 0.9]}, {"stage": "threshold", "threshold": [0.1, 0.3, 0.5, 0.7, 0.9]}]
VALUE = {"agent": "event_value", "inner_folds": 2, "leaves": 4, "rounds": 30}
PPO = {"agent": "ppo", "rollouts": 4, "visits": 4, "batch_size": 64, "hidden": 8, "channels": 4}
FEATURES = {**PPO, "policy": "event_features"}
AGENTS: dict[str, dict[str, Any]] = {
    "boosted": {**VALUE, "fallback": False},
    "network": {**VALUE, "model": "network", "hidden": 8, "fallback": False},
    "set": {**VALUE, "agent": "event_set", "hidden": 8, "fallback": False},
    "ranking": {"agent": "event_ranking", "inner_folds": 2, "leaves": 4, "rounds": 10},
    "exact": {"agent": "exact_gradient", "value": VALUE, "hidden": 8, "epochs": 2, "members": 2, "fallback": False},
    "events": {**PPO, "members": 2},
    "features": FEATURES,
    "features_on_values": {**FEATURES, "start": "value", "value": VALUE, "fallback": False},
    "features_on_network": {
        **FEATURES,
        "start": "value",
        "value": {**VALUE, "model": "network", "hidden": 8},
        "fallback": False,
    },
    "features_from_constants": {**FEATURES, "start": "best_constants", "members": 2},
    "tracks": {**PPO, "policy": "tracks"},
    "joint": {**PPO, "policy": "tracks", "environment": "joint"},
}
"""One of every kind of policy that chooses clip by clip, with settings that make it quick."""


def small_task(n_clips: int = 24, seed: int = 0, stack: list | None = None, **settings: float) -> TuningTask:
    """Returns a task on simulated clips of different lengths."""
    scores = small_simulation(n_clips, 3, seed, **{"short": 0.4, **settings})
    return TuningTask.build(scores, Stack.from_config(STACK if stack is None else stack))


def agent(name: str, **settings: Any) -> Agent:
    """Builds one of the quick agents."""
    return make_agent({**AGENTS[name], **settings})


def files_of(processor: PostProcessor, folder: Path) -> dict[str, bytes]:
    """Saves a post-processor and returns its files."""
    processor.save(folder)
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def repeated(scores: ScoreSet, times: int) -> ScoreSet:
    """Returns scores in 64ths (whose sums are exact) at a finer hop: each frame stands there several times, and clips end
    with a frame.
    """
    hop = scores.hop / times
    edges = torch.arange(scores.width * times + 1, dtype=torch.float64) * hop
    x = (scores.scores * 64).round() / 64
    return ScoreSet.build(
        x.repeat_interleave(times, 2), edges, scores.clip_ids, scores.classes, scores.n_frames * times,
        scores.n_frames * scores.hop, scores.references,
    )  # fmt: skip


def random_actor(task: TuningTask, seed: int = 0) -> EventActor:
    """An actor whose network is no longer zero, on top of random values."""
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        actor = EventActor(task, torch.randn(len(task.decoded), generator=generator), hidden=8, temperature=0.5)
        torch.nn.init.normal_(actor.network.layers[-1].weight)  # pyright: ignore
    return actor.eval()


def random_tracks(task: TuningTask) -> PostProcessor:
    """The plain policy with weights large enough to choose differently from track to track."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = TrackNetwork(task.scores.n_classes, 8, 32, task.stack.space.action_sizes(None))
        for parameter in network.parameters():
            parameter.data.normal_(std=1.0 if parameter.ndim > 1 else 0.3)
    return PostProcessor(task.stack, task.scores.classes, TrackPolicy(network, task.scores.hop), task.scores.hop)


class StopError(Exception):
    """Stands for a stopped process."""


def stopping(after: int) -> Any:
    """Returns a report that stops the run at a rollout of its own."""
    told: list[float] = []

    def report(fraction: float, figures: dict[str, float]) -> None:
        if "train_macro_f1" in figures:
            told.append(figures["train_macro_f1"])
            if len(told) == after:
                raise StopError

    return report
