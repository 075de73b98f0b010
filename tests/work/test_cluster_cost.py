"""What a benchmark costs: the arithmetic of the guide, and whole folds on each core."""

from __future__ import annotations

import subprocess
import sys

import pytest
from program import ROOT, environment


def test_the_arithmetic_is_that_of_the_guide() -> None:
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        from cluster_cost import cost
    finally:
        sys.path.pop(0)
    found = cost(fit=60.0, apply=6.0, clips=100_000, folds=5, seeds=2, cores=4, gib=8.0, price=0.05)
    core_hours = 2 * 100 * (4 * 66 + 6) / 3600
    assert found.core_hours == pytest.approx(core_hours)
    assert found.hours == pytest.approx(core_hours / 10 * 3)  # ten folds on four cores: three rounds
    assert (found.gib, found.money) == (32.0, pytest.approx(0.05 * core_hours))
    assert cost(fit=1.0, apply=0.0, clips=1000, folds=2, seeds=1, cores=99, gib=1.0, price=0.0).gib == 2.0


def test_the_program_prints_it() -> None:
    words = [sys.executable, "benchmarks/cluster_cost.py", "--fit", "36", "--apply", "0", "--folds", "2"]
    done = subprocess.run(words, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=60)
    assert done.stdout == "1.00 core-hours, 0.50 hours, 16 GiB at work, 0.05 in money\n", done.stderr
