"""Tasks and figures for the tests of agents that search thresholds of their own."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
import torch
from cases import count_hits
from rl_postproc.agents import make_agent

from rl_postproc.formats.scores.tags import score_set_of_tags
from rl_postproc.metrics import f1
from rl_postproc.stages.base import Kind, Stage
from rl_postproc.task import TuningTask

THRESHOLD = [{"stage": "threshold", "threshold": {"low": 0.0, "high": 1.0, "count": 21, "default": 0.3}}]


class Onward(Stage):
    """For tests: passes decisions on."""

    stage: Literal["test_passed_on"] = "test_passed_on"
    takes: ClassVar[Kind] = "decisions"
    gives: ClassVar[Kind] = "decisions"

    def __call__(self, x, frames, **values):
        return x


def random_tags(n_clips: int = 60, n_tags: int = 4, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    truth = rng.random((n_clips, n_tags)) < 0.3
    scores = (0.25 + 0.3 * truth + 0.25 * rng.standard_normal((n_clips, n_tags))).clip(0.01, 0.99)
    return torch.from_numpy(scores.astype(np.float32)), torch.from_numpy(truth)


def tag_task(scores: torch.Tensor, truth: torch.Tensor) -> TuningTask:
    return TuningTask.build(score_set_of_tags(scores, truth), THRESHOLD, {"metric": "tagging"})


def thresholds_of(agent: dict, task: TuningTask, seed: int = 0) -> torch.Tensor:
    return make_agent(agent).fit(task, seed).post_processor.choose(task.scores)[:, -1]


def macro_f1(task: TuningTask, values: torch.Tensor) -> float:
    """Macro F1 of parameter values on the task's clips."""
    hits, found = count_hits(task.scores, task.metric, task.stack.decide(task.scores, values))
    reference = task.scores.require_references().counts().sum(0)
    return float(f1(hits.sum(0), found.sum(0), reference).nanmean())
