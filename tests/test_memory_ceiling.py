"""Peak memory of searches over sparse shards, in processes of their own: bounded, and not raised by more clips."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from program import ROOT, environment

SIZES = (300, 1200)
DENSE_MIB = 4 * SIZES[1] * 456 * 500 / 2**20
"""All scores of the larger set."""


@pytest.mark.slow
@pytest.mark.parametrize("work", ["grid_search", "sgl_thresh"])
def test_four_times_the_clips_take_no_more_memory(work: str, tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "audioset_strong.py"), "--folder", str(tmp_path), "--threads", "1",
               "--work", work, "--clips", *map(str, SIZES)]  # fmt: skip
    environ = {**environment(), "COLUMNS": "200"}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=600, check=True)
    points = re.findall(
        r"(\d+) clips: [\d.]+ s of CPU time, [\d.]+ s,\s+peak (\d+)\s+MiB\s+\((\d+)\s+before", done.stdout
    )
    assert [int(n) for n, _, _ in points] == list(SIZES), done.stdout
    few, many = (int(peak) - int(before) for _, peak, before in points)
    assert many < 0.7 * DENSE_MIB
    assert many < 1.25 * few
