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
    space = TuningTask.build(small_simulation(8), STACK).stack.space
    assert space.shared == ()
    assert space.action_sizes(None) == [1, 2]
    assert space.action_sizes(3) == [1, 2] * 3
    assert space.of_actions(torch.tensor([[0, 1]]), None).tolist() == [[1]]
    assert space.of_actions(torch.tensor([[0, 1, 0, 0, 0, 1]]), 3).tolist() == [[1, 0, 1]]


def test_the_strides_lead_from_value_indices_to_candidates() -> None:
    space = TuningTask.build(small_simulation(4)).stack.space
    index = torch.stack(torch.meshgrid(*(torch.arange(n) for n in space.sizes), indexing="ij"), -1).flatten(0, -2)
    assert torch.equal(space.candidate(index), torch.arange(space.n_candidates))
