"""What an agent is: settings, a check of what it is given, and a fit that yields a post-processor."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch

from rl_postproc.data.streamed import StreamedScores
from rl_postproc.metrics.base import Counts
from rl_postproc.metrics.f1 import DETECTION
from rl_postproc.pipeline.postprocessor import PostProcessor
from rl_postproc.task import TuningTask
from rl_postproc.task_memory import Holds
from rl_postproc.utils.errors import UserError
from rl_postproc.utils.registry import Registered

Average = Literal["macro", "micro"]
"""Whether scores are averaged over classes, or taken of the counts summed over classes."""

ProgressCallback = Callable[[float, dict[str, float]], None]
"""Called with the fraction of the work done, and the newest figures by name: counts as int, shares of one as float."""

PARTS = "parts"
"""Folder, in a run folder, of the finished parts of a fit."""

LEFT_TO_RESUME = (
    "checkpoint_*.safetensors",
    f"{PARTS}/*.safetensors",
    "tensorboard/member_*",
    "tensorboard/refit_*",
)
"""Patterns of all that fits leave in a run folder to go on from; a run that starts anew removes it."""


def silent(fraction: float, figures: dict[str, float]) -> None:
    """Reports nothing."""


def share(report: ProgressCallback, begin: float, end: float) -> ProgressCallback:
    """Returns a callback that reports its fractions as the part of the work from ``begin`` to ``end``."""
    return lambda fraction, figures: report(begin + fraction * (end - begin), figures)


@dataclass
class FitResult:
    """What a fit yields.

    Attributes:
        post_processor: the tuned post-processor.
        evaluations: reward evaluations: how often a parameter setting was scored on a clip, counting all classes of a
            clip as one.
        curve: figures along the way, one mapping a row.
        held_out: counts ``[class]`` on the clips of inner folds that were left out, by what was chosen without them; None
            where the agent has none. What a minimum reaches there is no luck of the clips that it was sought on.
    """

    post_processor: PostProcessor
    evaluations: int
    curve: list[dict[str, float]] = field(default_factory=list)
    held_out: Counts | None = None


class Agent(Registered, ABC):
    """Tunes a stack on a task. Its settings are its fields."""

    noun: ClassVar[str] = "agent"
    rooms: ClassVar[tuple[str, ...]] = tuple(
        f"{__name__.rpartition('.')[0]}.{room}" for room in ("search", "thresholds", "events", "rl", "universal")
    )

    left_to_resume: ClassVar[tuple[str, ...]] = ()
    """What `fit_in` leaves in the run folder to go on from, out of `LEFT_TO_RESUME`; nothing where a fit takes seconds."""

    enumerates: ClassVar[bool] = True
    """Whether it needs all candidates of the stack listed, so that these must not be too many."""

    needs_labels: ClassVar[bool] = True
    """Whether it tunes on references; others can be asked for a post-processor on none of the clips, see `on_few`."""

    streams: ClassVar[bool] = False
    """Whether it needs sums over clips alone, so that the scores of many clips may be read in parts."""

    holds: ClassVar[Holds] = "table"
    """What it holds of the clips, beside their scores."""

    agent: str

    def check(self, task: TuningTask) -> None:
        """Says before any work what does not fit.

        Args:
            task: what the agent would be fitted on; its count table need not be counted for this.

        Raises:
            UserError: one sentence: what of scores, stack, metric or objective does not fit, and what to do.
        """

    @abstractmethod
    def fit(self, task: TuningTask, seed: int, report: ProgressCallback = silent) -> FitResult:
        """Tunes on every clip of the task; whatever must be chosen on unseen clips is split off inside.

        Args:
            task: scores with references, stack, metric, objective and count table.
            seed: the same seed gives the same post-processor.
            report: takes progress.
        """

    def fit_in(
        self, task: TuningTask, seed: int, report: ProgressCallback, folder: Path, resume: bool = False
    ) -> FitResult:
        """Tunes with a run folder at hand, for checkpoints and logs; most agents are too quick to need it.

        Args:
            task: as in `fit`.
            seed: as in `fit`.
            report: as in `fit`.
            folder: run folder, which exists.
            resume: whether to go on from a checkpoint in the folder.
        """
        return self.fit(task, seed, report)

    @property
    def levels(self) -> int | None:
        """Number of thresholds that are counted in place of the candidates where scores are read in parts, if any."""
        return None

    def on_few(self, n_clips: int) -> Agent:
        """Returns the agent that gets so many of the task's clips, drawn by its seed, for learning curves.

        Raises:
            UserError: it learns nothing from so few.
        """
        return make_agent({"agent": "few_clips", "of": self.model_dump(mode="json"), "clips": n_clips})


def check_agent(agent: Agent, task: TuningTask) -> None:
    """Says before any work what of a task does not fit an agent.

    Raises:
        UserError: the objective does not fit the metric or the classes, the stack has too many candidates for the agent, or
            something else that `Agent.check` finds.
    """
    task.objective.check(task.metric, task.scores.classes)
    if isinstance(task.scores, StreamedScores) and not agent.streams:
        raise UserError(f"The agent '{agent.name}' needs the scores of all {task.scores.n_clips} clips in memory, and sparse "
                        "shards are read in parts; use 'grid_search' or 'sgl_thresh', or draw a sample for it with "
                        "'few_clips'.")  # fmt: skip
    if agent.enumerates:
        task.stack.check_candidates()
    agent.check(task)


def make_agent(settings: str | dict[str, Any]) -> Agent:
    """Builds an agent from its name or from a mapping with the key ``agent`` and its settings.

    Raises:
        UserError: an unknown agent or setting.

    Example:
        >>> from rl_postproc.agents import make_agent
        >>> make_agent({"agent": "grid_search", "selection": "smoothed"}).selection
        'smoothed'
    """
    return Agent.make(settings)


def constant_fit(task: TuningTask, values: torch.Tensor, evaluations: int, curve: list | None = None) -> FitResult:
    """Wraps constant parameter values ``[class, parameter]`` into a fit."""
    return FitResult(PostProcessor.constant(task.stack, task.scores, values), evaluations, curve or [])


def fit_best_constants(task: TuningTask, evaluations: int = 0, curve: list | None = None) -> FitResult:
    """Wraps the best constants of the task into a fit, with what was spent beside the search."""
    searched = task.stack.space.n_candidates * task.scores.n_clips
    return constant_fit(task, task.stack.space.values[task.best_constants.cpu()], searched + evaluations, curve)


def require_classes_apart(agent: Agent, task: TuningTask, remedy: str, ratio: bool = False) -> None:
    """Checks that the objective splits by class, for agents that search each class by itself.

    Args:
        agent: which one does.
        task: what it is to be tuned on.
        remedy: what to do.
        ratio: whether a ratio of sums will do too, see `Objective.pooled`.

    Raises:
        UserError: it does not.
    """
    none = {name: torch.zeros(1, dtype=torch.float64) for name in task.metric.columns}
    if task.objective.class_terms(task.metric, none) is None and not (ratio and task.objective.pooled):
        raise UserError(f"The agent '{agent.name}' searches each class by itself, but the objective "
                        f"'{task.objective.name}' does not split by class; {remedy}.")  # fmt: skip


def require_f1(agent: Agent, task: TuningTask) -> None:
    """Checks that the metric counts true positives, estimates and references.

    Raises:
        UserError: it does not.
    """
    missing = [name for name in DETECTION if name not in task.metric.columns]
    if missing:
        raise UserError(f"The agent '{agent.name}' follows F1, but the metric '{task.metric.name}' does not count "
                        f"{missing[0]}; use an agent for any metric, such as 'grid_search'.")  # fmt: skip


def require_own_parameters(agent: Agent, task: TuningTask) -> None:
    """Checks that no parameter is shared by all classes, for agents that treat each class by itself.

    Raises:
        UserError: one is of global scope.
    """
    shared = task.stack.space.shared
    if shared:
        raise UserError(f"The agent '{agent.name}' chooses for each class by itself, but the scope of '{shared[0]}' is "
                        "global; remove the scope, or use 'grid_search'.")  # fmt: skip


def require_one_stack(agent: Agent, task: TuningTask) -> None:
    """Checks that the stack is no choice of several, for agents that choose the value of each parameter by itself.

    Raises:
        UserError: it is one.
    """
    if task.stack.is_choice:
        raise UserError(f"The agent '{agent.name}' chooses the value of each parameter by itself, which says nothing where "
                        "the stack is a choice of several ('one_of'); use one of its stacks, or another agent.")  # fmt: skip


def require_clips(agent: Agent, n: int, task: TuningTask) -> None:
    """Checks that a task has as many clips as an agent is to get.

    Raises:
        UserError: it has fewer.
    """
    if n > task.scores.n_clips:
        raise UserError(f"The agent '{agent.name}' is to get {n} clips of {task.scores.n_clips}; ask for fewer.")
