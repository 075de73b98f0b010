"""A recording of an hour is applied to within 500 MiB, and as in memory.

python -m pytest -m slow tests/pipeline/test_apply_long.py    # about half a minute
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from program import environment

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "apply_long.py"


def figures(*options: str) -> list[list[str]]:
    """Returns the rows of its table, which begin with the post-processor and end with MiB and whether events are the same."""
    done = subprocess.run([sys.executable, SCRIPT, *options], capture_output=True, text=True, env=environment())
    assert done.returncode == 0, done.stderr
    return [
        [cell.strip() for cell in line.strip("│").split("│")] for line in done.stdout.splitlines() if line[0] == "│"
    ]


@pytest.mark.slow
def test_an_hour_at_20_ms_takes_less_than_500_mib() -> None:
    rows = figures("--runs", "constants", "--scores", "noise")
    assert [row[2] for row in rows] == ["sed_scores", "npy"]
    assert all(int(row[-2]) < 500 and row[-1] == "True" for row in rows), rows


def test_the_script_measures() -> None:
    options = "--hours", "0.1", "--recordings", "2", "--formats", "npy", "--runs", "constants"
    ((name, scores, format, _, _, core, start, with_it, _, peak, same),) = figures(*options)
    assert (name, scores, format, same) == ("constants", "simulated", "npy", "True") and 100 < int(peak) < 500
    assert float(core) > 0 < float(start) and int(with_it) == pytest.approx(2 * 360 / float(core), rel=0.05)
