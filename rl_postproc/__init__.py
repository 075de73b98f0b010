"""Post-processing of sound event detectors: exact, fast, and tuned by reinforcement learning.

The names below are what most programs need. Each is imported when it is first used, so that ``import rl_postproc`` costs
next to nothing. The core lives in the rooms of this package; ``rl_postproc.envs`` holds the Gymnasium environments,
``rl_postproc.agents`` what learns or searches and the command line.

Example:
    Arrays of one's own are tuned, applied and evaluated in a few lines. ``grid_search`` is exact and quick, ``ppo`` learns
    what suits each clip:

    >>> import numpy as np
    >>> from rl_postproc import ScoreSet, evaluate, tune
    >>> arrays = {"a": np.full((100, 2), 0.1), "b": np.full((80, 2), 0.1)}  # [frame, class]
    >>> arrays["a"][20:50, 0] = 0.4  # a cat, of which the detector is less than half certain
    >>> rows = [("a", 1.28, 3.2, "Cat")]
    >>> scores = ScoreSet.from_arrays(arrays, hop=0.064, classes=["Cat", "Dog"], references=rows)
    >>> best = tune(scores, "grid_search")
    >>> best.apply(scores).to_rows()
    [('a', 1.28, 3.2, 'Cat')]
    >>> evaluate(scores.references, best.apply(scores)).score.macro
    1.0
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_here = Path(__file__).resolve().parent
if not (_here / "envs").is_dir() and (_here.parent / "envs" / "__init__.py").is_file():
    # A plain checkout: envs/, agents/ and configs/ stand beside this folder and are its subpackages.
    __path__.append(str(_here.parent))

from rl_postproc.utils.after_import import after_import  # noqa: E402

_FACE = {
    "Events": "rl_postproc.data.events",
    "PostProcessor": "rl_postproc.pipeline.postprocessor",
    "ScoreSet": "rl_postproc.data.scores",
    "SimulationConfig": "rl_postproc.simulation.config",
    "Stack": "rl_postproc.pipeline.stack",
    "TuningTask": "rl_postproc.task",
    "UserError": "rl_postproc.utils.errors",
    "benchmark": "rl_postproc.agents.compare",
    "data_report": "rl_postproc.data.report",
    "evaluate": "rl_postproc.metrics.certify",
    "read_events": "rl_postproc.formats",
    "read_scores": "rl_postproc.formats",
    "simulate": "rl_postproc.simulation.data_set",
    "tune": "rl_postproc.agents.tune",
    "write_events": "rl_postproc.formats",
    "write_scores": "rl_postproc.formats",
}
"""Where each public name lives."""

if TYPE_CHECKING:
    from rl_postproc.agents.compare import benchmark
    from rl_postproc.agents.tune import tune
    from rl_postproc.data.events import Events
    from rl_postproc.data.report import data_report
    from rl_postproc.data.scores import ScoreSet
    from rl_postproc.formats import read_events, read_scores, write_events, write_scores
    from rl_postproc.metrics.certify import evaluate
    from rl_postproc.pipeline.postprocessor import PostProcessor
    from rl_postproc.pipeline.stack import Stack
    from rl_postproc.simulation.config import SimulationConfig
    from rl_postproc.simulation.data_set import simulate
    from rl_postproc.task import TuningTask
    from rl_postproc.utils.errors import UserError

__all__ = [
    "Events",
    "PostProcessor",
    "ScoreSet",
    "SimulationConfig",
    "Stack",
    "TuningTask",
    "UserError",
    "benchmark",
    "data_report",
    "evaluate",
    "read_events",
    "read_scores",
    "simulate",
    "tune",
    "write_events",
    "write_scores",
]


def __getattr__(name: str) -> Any:
    if name not in _FACE:
        raise AttributeError(f"module 'rl_postproc' has no attribute '{name}'")
    value = globals()[name] = getattr(import_module(_FACE[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_FACE})


# `gymnasium.make("rl_postproc:…")` imports this package to have its environments registered, whichever came first.
after_import("gymnasium.envs.registration", lambda: import_module("rl_postproc.envs"))
