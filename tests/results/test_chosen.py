"""What a post-processor has chosen, as values and as a table."""

from __future__ import annotations

import io
from typing import Any

import pytest
import torch
from cases import make_set, small_simulation
from rich.console import Console

from rl_postproc.data.events import Events
from rl_postproc.data.scores import ScoreSet
from rl_postproc.pipeline.policy import Policy
from rl_postproc.pipeline.postprocessor import PostProcessor
from rl_postproc.pipeline.stack import Stack
from rl_postproc.results.chosen import chosen_parameters, chosen_table
from rl_postproc.task import TuningTask
from rl_postproc.utils.errors import UserError

STACK = [{"stage": "median", "kernel": [0, 0.3]}, {"stage": "threshold", "threshold": [0.2, 0.4, 0.6, 0.81]}]
KERNEL, THRESHOLD = "median.kernel", "threshold.threshold"


class Fixed(Policy):
    """Gives the values that it is given, or refuses where there are none."""

    kind = "fixed_of_this_test"

    def __init__(self, values: torch.Tensor | None, lam: torch.Tensor | None = None):
        self.values, self.lam = values, lam

    def choose(self, scores: ScoreSet, stack: Stack) -> torch.Tensor:
        if self.values is None:
            raise UserError("It chooses events.")
        return self.values

    def state(self) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
        return {}, {}

    @classmethod
    def from_state(cls, values: dict[str, Any], tensors: dict[str, torch.Tensor]) -> Fixed:
        return cls(None)


@pytest.fixture(scope="module")
def task() -> TuningTask:
    """Twelve clips of 2 s and two classes; the second decodes nothing on the last two clips."""
    x = torch.full((12, 2, 20), 0.5)
    x[10:, 1] = 0.0
    return TuningTask.build(make_set(x, [("c0", 0.0, 2.0, "k0"), ("c1", 0.5, 1.0, "k1")]), STACK)


def events_of(task: TuningTask, n: int) -> Events:
    rows = [("c0", 0.1 * i, 0.1 * i + 0.05, "k0") for i in range(n)]
    return Events.from_rows(rows, task.scores.clip_ids, task.scores.classes)


def text_of(found: dict[str, Any], processor: PostProcessor) -> str:
    out = io.StringIO()
    Console(file=out, width=200).print(chosen_table(found, processor))
    return out.getvalue()


def test_constants_are_plain_numbers(task: TuningTask) -> None:
    values = torch.tensor([[0.3, 0.81], [0.0, 0.2]])
    processor = PostProcessor.constant(task.stack, task.scores, values)
    found = chosen_parameters(processor, task, events_of(task, 4))
    assert found == {
        "k0": {KERNEL: 0.3, THRESHOLD: 0.81, "events_per_minute": 10.0},
        "k1": {KERNEL: 0.0, THRESHOLD: 0.2, "events_per_minute": 0.0},
    }
    shown = text_of(found, processor)
    assert "median.kernel in s" in shown and "threshold.threshold in s" not in shown
    assert "0.81" in shown and "most frequent" not in shown


def test_classes_that_are_alike_are_one_row(task: TuningTask) -> None:
    processor = PostProcessor.constant(task.stack, task.scores, torch.tensor([0.0, 0.4]))
    shown = text_of(chosen_parameters(processor, task, events_of(task, 4)), processor)
    assert "all 2 classes" in shown and "k0" not in shown


def test_choices_of_a_policy_are_spread_over_the_clips_where_something_is_decided(task: TuningTask) -> None:
    values = torch.zeros(12, 2, 2)
    values[..., 1] = 0.4
    values[:3, 0, 1] = 0.81  # a quarter of the clips of k0
    values[:1, 0, 0] = 0.3
    values[10:, 1, 1] = 0.81  # where nothing is decided
    processor = PostProcessor(task.stack, task.scores.classes, Fixed(values), task.scores.hop)
    found = chosen_parameters(processor, task, events_of(task, 0))
    assert found["k0"][THRESHOLD] == {"most_frequent": 0.4, "low": 0.4, "high": 0.81}
    assert found["k0"][KERNEL] == {"most_frequent": 0.0, "low": 0.0, "high": 0.0}
    assert found["k1"][THRESHOLD] == {"most_frequent": 0.4, "low": 0.4, "high": 0.4}
    shown = text_of(found, processor)
    assert "most frequent" in shown and "0.4 (0.4 to 0.81)" in shown


def test_a_class_that_decides_nothing_has_no_choice_and_values_between_candidates_count_as_the_nearest() -> None:
    x = torch.full((4, 2, 20), 0.5)
    x[:, 1] = 0.0
    task = TuningTask.build(make_set(x, [("c0", 0.0, 2.0, "k0")]), STACK)
    values = torch.full((4, 2, 2), 0.0)
    values[:, :, 1] = torch.tensor([0.41, 0.42, 0.39, 0.7])[:, None]
    processor = PostProcessor(task.stack, task.scores.classes, Fixed(values), task.scores.hop)
    found = chosen_parameters(processor, task, events_of(task, 0))
    assert found["k0"][THRESHOLD] == {"most_frequent": 0.4, "low": 0.39, "high": 0.7}
    assert found["k1"][THRESHOLD] == {"most_frequent": None, "low": None, "high": None}
    assert "k1" in text_of(found, processor)


def test_a_policy_of_events_shows_its_lambda_and_its_rate(task: TuningTask) -> None:
    policy = Fixed(None, torch.tensor([0.54, 0.1]))
    processor = PostProcessor(task.stack, task.scores.classes, policy, task.scores.hop)
    found = chosen_parameters(processor, task, events_of(task, 2))
    assert found == {"k0": {"λ": 0.54, "events_per_minute": 5.0}, "k1": {"λ": 0.1, "events_per_minute": 0.0}}
    assert "λ" in text_of(found, processor)
    bare = PostProcessor(task.stack, task.scores.classes, Fixed(None), task.scores.hop)
    assert chosen_parameters(bare, task, events_of(task, 2))["k0"] == {"events_per_minute": 5.0}
    assert "events per minute" in text_of(chosen_parameters(bare, task, events_of(task, 2)), bare)


def test_of_very_many_classes_the_first_are_listed() -> None:
    scores = small_simulation(2, 50, clip_seconds=1.0)
    task = TuningTask.build(scores, STACK)
    values = torch.stack([torch.linspace(0, 0.3, 50), torch.full((50,), 0.4)], 1)
    processor = PostProcessor.constant(task.stack, scores, values)
    shown = text_of(chosen_parameters(processor, task, processor.apply(scores)), processor)
    assert "class_39" in shown and "class_40" not in shown and "… and 10 more" in shown
