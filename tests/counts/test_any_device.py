"""The counts on a device other than the CPU, for which the CPU stands in: whatever would not work there is refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from cases import small_simulation

from rl_postproc.counts import rows
from rl_postproc.counts.all_thresholds import sweep_all_thresholds
from rl_postproc.counts.choice import macro_gain
from rl_postproc.counts.grid import sweep
from rl_postproc.metrics import EventBased
from rl_postproc.pipeline.stack import Stack
from rl_postproc.utils import tensors

MEDIAN = {"stage": "median", "kernel": [0, 0.2, 0.6, 1.7, 3.6]}
STACKS = {
    "median": [MEDIAN, {"stage": "threshold"}],
    "gap_fill": [MEDIAN, {"stage": "threshold"}, {"stage": "gap_fill"}],
    "hysteresis": [{"stage": "hysteresis"}],
}


@contextmanager
def another_device(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Refuses NumPy's work on tensors, and tensors that are made on no device in particular together with others."""

    numpy, host = torch.Tensor.numpy, []

    def to_host(x: torch.Tensor) -> torch.Tensor:
        host.append(x.detach().clone())
        return host[-1]

    def from_host(x: torch.Tensor) -> np.ndarray:
        assert any(x is copy for copy in host), "NumPy works on the CPU alone"
        return numpy(x)

    with monkeypatch.context() as patched, torch.device("meta"):
        for room in (tensors, rows):
            patched.setattr(room, "has_numpy", lambda _: False)
        patched.setattr(torch.Tensor, "numpy", from_host)
        patched.setattr(torch.Tensor, "cpu", to_host)
        yield


@pytest.mark.parametrize("name", STACKS)
def test_a_sweep_stays_on_the_device(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    scores, stack = small_simulation(12), Stack.from_config(STACKS[name])
    wanted = sweep(scores, stack, EventBased())
    with another_device(monkeypatch):
        found = sweep(scores, stack, EventBased())
    for column, counts in wanted.counts.items():
        assert torch.equal(found.counts[column], counts)


def test_a_sweep_of_all_thresholds_stays_on_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    scores, stack = small_simulation(12), Stack.from_config(STACKS["median"])
    wanted = sweep_all_thresholds(scores, stack, EventBased())
    best = wanted.best(macro_gain(wanted.column_reference))
    with another_device(monkeypatch):
        found = sweep_all_thresholds(scores, stack, EventBased())
        same = found.best(macro_gain(found.column_reference))
    for name in ("cell", "value", "true_positives", "estimated", "reference"):
        assert torch.equal(getattr(found, name), getattr(wanted, name))
    assert all(map(torch.equal, best, same))


def test_what_works_on_the_cpu_alone_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.ones(3)
    with another_device(monkeypatch):
        assert tensors.flatnonzero(x > 0).tolist() == [0, 1, 2]
        assert x.cpu().numpy().tolist() == [1, 1, 1]
        with pytest.raises(AssertionError):
            x.numpy()
        with pytest.raises(RuntimeError, match="meta"):
            (x + torch.ones(3)).tolist()
