"""The memory that a search over parts is said to take is about what it takes, and a bound makes the parts smaller."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from program import environment
from sparse_cases import sparse_set

from rl_postproc.counts.memory_need import memory_need, within
from rl_postproc.counts.totals import sweep_totals
from rl_postproc.formats.scores.shards import write_sparse_shards
from rl_postproc.metrics import EventBased
from rl_postproc.pipeline.stack import Stack
from rl_postproc.simulation.config import SimulationConfig
from rl_postproc.simulation.sparse import simulate_sparse
from rl_postproc.utils.errors import UserError

LEAST, MOST = 0.67, 2.5
"""Between which a statement may lie, as a share of what is taken beyond what is held before. It is of the most that clips can
have to be summed, of which a small set has less."""

MEASURED = """
import re, sys, torch
from pathlib import Path
from rl_postproc.counts.level_counts import sweep_levels
from rl_postproc.counts.memory_need import memory_need
from rl_postproc.counts.totals import sweep_totals
from rl_postproc.formats import read_scores
from rl_postproc.metrics import EventBased
from rl_postproc.pipeline.stack import Stack
torch.set_num_threads(1)
scores, stack, levels = read_scores(sys.argv[1], in_parts=True), Stack.default(), int(sys.argv[2]) or None
sweep_totals(scores.select([0]), stack, EventBased())
need = memory_need(scores, stack, levels)
if levels:
    sweep_levels(scores, stack, EventBased(), levels, floor=scores.floor).by_column
else:
    sweep_totals(scores, stack, EventBased())
# Not ru_maxrss, which takes over what the process that began this one has held.
peak = 1024 * int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
print((need.of(scores.part_bytes) - need.held) / (peak - need.held))
"""


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shards")
    config = SimulationConfig(n_clips=160, n_classes=456, hop=0.02, active=0.02)
    write_sparse_shards(simulate_sparse(config), folder, floor=0.05)
    return folder


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc tells the peak of the memory")
@pytest.mark.parametrize("levels", [0, 512])
def test_the_memory_stated_is_about_what_is_taken(levels: int, shards: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-c", MEASURED, str(shards), str(levels)]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert LEAST < float(done.stdout) < MOST


def test_a_bound_makes_the_parts_smaller_and_changes_nothing_else(tmp_path: Path) -> None:
    _, scores = sparse_set(tmp_path)
    stack = Stack.default()
    need = memory_need(scores, stack)
    limit = need.held + need.sums + 3.5 * need.by_byte * need.clip
    small = within(scores, need.part_bytes(limit))
    assert need.of(small.part_bytes) <= limit
    assert max(part.n_clips for part in small.parts()) == 3
    expected, found = sweep_totals(scores, stack, EventBased()), sweep_totals(small, stack, EventBased())
    assert all(torch.equal(found.counts[name], column) for name, column in expected.counts.items())
    with pytest.raises(UserError, match="is too little: clip by clip this takes"):
        need.part_bytes(need.held)
