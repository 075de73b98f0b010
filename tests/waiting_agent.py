"""A plug-in for the tests of workers, with an agent that waits, dies and fails."""

import contextlib
import hashlib
import os
import signal
import sys
import time
from pathlib import Path
from typing import Literal

from rl_postproc.agents.search.random_search import RandomSearch

from rl_postproc.utils.errors import warn


def _node() -> str:
    """Returns the node of the cluster on which this process is, empty outside of any."""
    ray = sys.modules.get("ray")
    return ray.get_runtime_context().get_node_id() if ray is not None and ray.is_initialized() else ""


class Waits(RandomSearch):
    """Notes that it begins, waits, and dies or fails where a file says so."""

    agent: Literal["test_waits"] = "test_waits"
    folder: str
    seconds: float = 0.0

    def fit(self, task, seed, report=lambda *_: None):
        folder = Path(self.folder)
        name = f"{hashlib.sha256(repr(task.scores.clip_ids).encode()).hexdigest()[:12]}_{seed}"
        n = len(list(folder.glob(f"{name}_*")))
        (folder / f"{name}_{n}").write_text(_node())
        warn(f"Seed {seed} waits.")
        report(0.5, {})
        time.sleep(self.seconds)
        with contextlib.suppress(FileNotFoundError):
            (folder / "die").unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        if (folder / "fail").exists() and seed:
            raise ValueError("a mistake")
        return super().fit(task, seed, report)
