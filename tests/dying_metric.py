"""A plug-in for the tests of workers: a metric that kills its process where a file says so."""

import contextlib
import os
import signal
from pathlib import Path
from typing import Literal

from rl_postproc.metrics import EventBased


class Dying(EventBased):
    """Counts events, and dies once."""

    metric: Literal["test_dying"] = "test_dying"
    file: str

    def prepare(self, scores):
        with contextlib.suppress(FileNotFoundError):
            Path(self.file).unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().prepare(scores)
