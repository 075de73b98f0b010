"""The parameter space: which parameters are shared by all classes."""

from __future__ import annotations

import torch
from cases import small_simulation

from rl_postproc.task import TuningTask

STACK = [
    {"stage": "median", "kernel": {"candidates": [0.3], "scope": "global"}},
    {"stage": "threshold", "threshold": [0.2, 0.5]},
]


def test_a_global_parameter_without_a_choice_ties_no_classes_together() -> None:
    task = TuningTask.build(small_simulation(8), STACK)
    assert task.stack.space.shared == ()
    assert task.action_sizes(per_class=True) == [1, 2]
    assert task.action_sizes(per_class=False) == [1, 2] * 3
    assert task.candidates(torch.tensor([[0, 1]]), per_class=True).tolist() == [[1]]


def test_the_strides_lead_from_value_indices_to_candidates() -> None:
    space = TuningTask.build(small_simulation(4)).stack.space
    index = torch.stack(torch.meshgrid(*(torch.arange(n) for n in space.sizes), indexing="ij"), -1).flatten(0, -2)
    assert torch.equal(space.candidate(index), torch.arange(space.n_candidates))
