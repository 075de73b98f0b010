"""What an agent is: settings, and a fit that yields a post-processor."""

from __future__ import annotations

import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import torch
from pydantic import BaseModel, ConfigDict

from rl_postproc.config import build
from rl_postproc.errors import UserError, suggest
from rl_postproc.kinds import kinds_by_name
from rl_postproc.postprocessor import PostProcessor

from ..envs import TuningTask

Report = Callable[[float, dict[str, float]], None]
"""Called with the fraction of the work done, and the newest figures by name."""


def silent(fraction: float, figures: dict[str, float]) -> None:
    """Reports nothing."""


@dataclass
class Fit:
    """What a fit yields.

    Attributes:
        post_processor: the tuned post-processor.
        evaluations: reward evaluations: how often a parameter setting was scored on a clip, counting all classes of a
            clip as one.
        curve: figures along the way, one mapping a row.
    """

    post_processor: PostProcessor
    evaluations: int
    curve: list[dict[str, float]] = field(default_factory=list)


class Agent(BaseModel, ABC):
    """Tunes a stack on a task. Its settings are its fields; one file in this folder an agent."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, protected_namespaces=())

    agent: str
    description: ClassVar[str]

    @abstractmethod
    def fit(self, task: TuningTask, seed: int, report: Report = silent) -> Fit:
        """Tunes on every clip of the task; whatever must be chosen on unseen clips is split off inside.

        Args:
            task: scores with references, stack, metric and count table.
            seed: the same seed gives the same post-processor.
            report: takes progress.
        """

    def fit_in(self, task: TuningTask, seed: int, report: Report, folder: Path, resume: bool = False) -> Fit:
        """Tunes with a run folder at hand, for checkpoints and logs; most agents are too quick to need it.

        Args:
            task: as in `fit`.
            seed: as in `fit`.
            report: as in `fit`.
            folder: run folder, which exists.
            resume: whether to go on from a checkpoint in the folder.
        """
        return self.fit(task, seed, report)


def agent_types() -> dict[str, type[Agent]]:
    """Returns every agent by name: those of this folder, found by themselves, and those of importing programs."""
    package = __name__.rpartition(".")[0]
    folder = importlib.import_module(package)
    for module in pkgutil.iter_modules(folder.__path__):
        if not module.name.startswith(("cli", "benchmark")):
            importlib.import_module(f"{package}.{module.name}")
    return dict(sorted(kinds_by_name(Agent, "agent").items()))


def make_agent(settings: str | dict[str, Any]) -> Agent:
    """Builds an agent from its name or from a mapping with the key ``agent`` and its settings.

    Raises:
        UserError: an unknown agent or setting.
    """
    settings = {"agent": settings} if isinstance(settings, str) else settings
    kinds, name = agent_types(), str(settings.get("agent"))
    if name not in kinds:
        raise UserError(f"Unknown agent '{name}'{suggest(name, list(kinds))}.")
    return build(kinds[name], settings, f"agent '{name}'")


def constant_fit(task: TuningTask, values: torch.Tensor, evaluations: int, curve: list | None = None) -> Fit:
    """Wraps constant parameter values ``[class, parameter]`` into a fit."""
    return Fit(PostProcessor.constant(task.stack, task.scores, values), evaluations, curve or [])
