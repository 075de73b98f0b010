"""Tuning on more clips than fit into memory: what needs sums over clips alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NoReturn

import torch

from rl_postproc.candidates.features import FeatureGrid
from rl_postproc.candidates.pool import PoolBounds
from rl_postproc.counts.divided import Workers, divided_totals
from rl_postproc.counts.grid import Progress
from rl_postproc.counts.level_counts import sweep_levels
from rl_postproc.counts.table import CountTable
from rl_postproc.counts.threshold_counts import ThresholdCounts
from rl_postproc.data.scores import ScoreSet
from rl_postproc.data.streamed import StreamedScores
from rl_postproc.metrics.objectives import Objective
from rl_postproc.pipeline.stack import Stack
from rl_postproc.stages.base import Parameter, Stage
from rl_postproc.task import TuningTask
from rl_postproc.utils.errors import UserError, warn


class StreamedTask(TuningTask):
    """A task whose scores are read in parts, as often as something is counted; only sums over clips are kept.

    The stack's lowest thresholds are raised to the floor of the scores, below which these tell nothing.
    """

    scores: StreamedScores
    workers: Workers | None = None
    progress: Progress | None = None

    @staticmethod
    def _suited(stack: Stack, scores: ScoreSet) -> Stack:
        assert isinstance(scores, StreamedScores)
        return above_floor(stack, scores.floor)

    @property
    def table(self) -> CountTable:
        """Refuses: a table of all clips is what these are too many for."""
        self._refuse("the counts of each clip")

    @property
    def has_large_table(self) -> bool:
        """Whether the count table is not made without need: always."""
        return True

    def _group_totals(self, group: torch.Tensor, n_groups: int) -> list[CountTable]:
        return divided_totals(self.scores, self.stack, self.metric, group, n_groups, workers=self.workers,
                              progress=self.progress)  # fmt: skip

    def threshold_counts(self, n_levels: int = 512) -> ThresholdCounts:
        """Returns counts at evenly spaced thresholds from the floor on, summed over clips; the scores are read once."""
        return sweep_levels(self.scores, self.stack, self.metric, n_levels, floor=self.scores.floor,
                            workers=self.workers, progress=self.progress)  # fmt: skip

    @property
    def decoded(self) -> NoReturn:
        """Refuses: decoded events are held for all clips."""
        self._refuse("the events of each clip")

    @property
    def event_features(self) -> NoReturn:
        """Refuses: features are held for all clips."""
        self._refuse("the events of each clip")

    def _read_scores(self) -> Iterator[torch.Tensor]:
        yield torch.tensor(self.scores.floor)
        for _, read in self.scores.pieces():
            part = read()
            yield part.track
            yield part.scores

    def on(self, scores: StreamedScores) -> StreamedTask:
        """Returns the same task on other scores, such as the same ones in smaller parts."""
        return self._with(None, scores)

    def counted_by(self, workers: Workers | None, progress: Progress | None = None) -> StreamedTask:
        """Returns the same task, whose clips are counted by workers of `divided_totals`, with the same results.

        Args:
            workers: who counts; this process when None.
            progress: called during each count with the number of clips that are done, and of all.
        """
        task = self._with(None)
        task.workers, task.progress = workers, progress
        return task

    def in_memory(self) -> TuningTask:
        """Returns the same task with its scores in memory.

        Raises:
            UserError: they would take more than half the memory.
        """
        return TuningTask(self.scores.join(), self.stack, self.metric, None, self.objective, self.bounds, self.grid)

    def to(self, device: str | torch.device) -> TuningTask:
        """Returns the task itself, on the CPU.

        Raises:
            UserError: another device is asked for.
        """
        if torch.device(device).type != "cpu":
            raise UserError(
                f"Scores that are read in parts are counted on the CPU, not on '{device}'; leave out the device."
            )
        return self

    def _with(
        self,
        table: Callable[[], CountTable] | None,
        scores: ScoreSet | None = None,
        bounds: PoolBounds | None = None,
        grid: FeatureGrid | None = None,
        objective: Objective | None = None,
    ) -> StreamedTask:
        task = StreamedTask(self.scores if scores is None else scores, self.stack, self.metric, None,
                            objective or self.objective, bounds or self.bounds, grid or self.grid)  # fmt: skip
        task.workers, task.progress = self.workers, self.progress
        return task

    def _refuse(self, what: str) -> NoReturn:
        raise UserError(f"This needs {what}, but {self.scores.n_clips} clips are read in parts and never held; use an "
                        "agent that needs sums over clips alone, such as 'grid_search', or 'few_clips' with another "
                        "one.")  # fmt: skip


def above_floor(stack: Stack, floor: float) -> Stack:
    """Returns the stack with no threshold below the floor of sparse scores, at and above which they tell all.

    Warns:
        DataWarning: so many thresholds are raised.

    Raises:
        UserError: the stack may make events of scores that never exceed the floor.
    """
    if stack.is_choice:
        raise UserError("Sparse scores are tuned one stack at a time; choose one of those of 'one_of'.")
    sure = len(stack.after) == 1 and stack.after[0].sure_as_scores and stack.least_sure is not None
    if not all(stage.monotone for stage in stack.filters) or (stack.threshold is None and not sure):
        raise UserError(f"The stack may make events of scores below {floor:g}, and tracks that never exceed it are left out "
                        "of these shards; use a stack of medians and a threshold, or shards without a floor.")  # fmt: skip
    place = len(stack.filters) if stack.threshold is not None else len(stack.stages) - 1
    stages = list(stack.stages)
    deciding = stages[place]
    name = stack.sure.kept_above if stack.sure is not None else deciding.decides_at
    stages[place], n_raised = _raised(deciding, str(name), floor)
    if n_raised:
        warn(f"Of the candidates of '{deciding.name}' {n_raised} below {floor:g} are replaced by {floor:g}, since tracks "
             "that never exceed it are left out of the scores.")  # fmt: skip
    return Stack(stages) if n_raised else stack


def _raised(stage: Stage, name: str, floor: float) -> tuple[Stage, int]:
    """Returns the stage with candidates from the floor on, and how many were below."""
    parameter = stage.parameters[name]
    low = [value for value in parameter.candidates if value < floor]
    if not low:
        return stage, 0
    candidates = (floor, *(value for value in parameter.candidates if value > floor))
    changed = Parameter(candidates=candidates, default=max(parameter.default, floor), scope=parameter.scope)
    return stage.model_copy(update={name: changed}), len(low)
