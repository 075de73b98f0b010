"""What is tuned on what: scores, stack, metric and objective, and all that follows from them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import torch

from rl_postproc import catalogue
from rl_postproc.candidates.events import DecodedEvents, decode_candidates
from rl_postproc.candidates.features import FeatureGrid, event_features
from rl_postproc.candidates.pool import PoolBounds, tell_left_out
from rl_postproc.config import SIMULATED, TaskConfig, load_config
from rl_postproc.counts.all_thresholds import sweep_all_thresholds
from rl_postproc.counts.grid import sweep
from rl_postproc.counts.table import CountTable
from rl_postproc.counts.threshold_counts import ThresholdCounts
from rl_postproc.counts.totals import added, group_totals
from rl_postproc.data.folds import fold_of_clips
from rl_postproc.data.report import data_problems
from rl_postproc.data.scores import ScoreSet
from rl_postproc.data.streamed import StreamedScores
from rl_postproc.metrics.base import Metric, total_counts
from rl_postproc.metrics.objectives import Linearisation, Macro, Objective
from rl_postproc.pipeline.stack import Stack
from rl_postproc.utils.checked import build
from rl_postproc.utils.errors import UserError, warn
from rl_postproc.utils.memory import memory, shown

LARGE_TABLE = 1 << 28
"""Entries beyond which a count table is made only where clips must be told apart; half a gigabyte at two bytes each."""

Source = Any
"""A `TuningTask`, a `ScoreSet`, the path of a YAML config, a mapping with its keys, or ``"simulated"``."""


class TuningTask:
    """Scores, stack, metric and objective; the count table of the four, and the objective's linearisation.

    Build it once and hand it to many environments to share the table. The table is counted when it is first asked for:
    it grows with clips, classes and candidates, and agents that search thresholds of their own never need it.

    Example:
        >>> from rl_postproc import ScoreSet, TuningTask
        >>> rows = [("a", 0.5, 1.5, "Dog")]
        >>> scores = ScoreSet.from_arrays({"a": [[0.1], [0.4], [0.4]]}, hop=0.5, classes=["Dog"], references=rows)
        >>> task = TuningTask.build(scores, [{"stage": "threshold", "threshold": [0.2, 0.5]}])
        >>> task.table.score(task.best_constants).macro
        1.0
    """

    def __init__(
        self,
        scores: ScoreSet,
        stack: Stack,
        metric: Metric,
        table: CountTable | Callable[[], CountTable] | None = None,
        objective: Objective | None = None,
        bounds: PoolBounds | None = None,
        grid: FeatureGrid | None = None,
    ):
        """Takes the parts.

        Args:
            scores: with references.
            stack: the stages with their candidates.
            metric: what is counted.
            table: the count table of the three, or what makes it; counted when None.
            objective: what tuning maximises; the mean over classes of the metric's score when None.
            bounds: of the decoded events; the usual ones when None.
            grid: where features of events are sampled; once a frame when None.
        """
        self.scores, self.stack, self.metric = scores, self._suited(stack, scores), metric
        self.objective, self.bounds = (objective or Macro()).on(scores), bounds or PoolBounds()
        self.grid = grid or FeatureGrid(scores.hop)
        self._table = (lambda: sweep(scores, self.stack, metric)) if table is None else table

    @staticmethod
    def _suited(stack: Stack, scores: ScoreSet) -> Stack:
        """Returns the stack for such scores."""
        return stack

    @classmethod
    def build(
        cls,
        scores: Source = None,
        stack: Stack | list | str | None = None,
        metric: Metric | str | dict | None = None,
        device: str | torch.device | None = None,
        objective: Objective | str | dict | None = None,
    ) -> TuningTask:
        """Builds the task from a score set, a config file or mapping (see `TaskConfig`), or a name.

        Args:
            scores: a `TuningTask` (used as it is), a `ScoreSet`, the path of a YAML config, a mapping with the keys of
                `TaskConfig`, ``"simulated"`` for the built-in simulated data set, or a name of the catalogue.
            stack: a `Stack`, its list form, or the name of one (``rl-postproc list stacks``); None takes
                the config's, or the default.
            metric: a metric, its name or its mapping; None takes the config's, or DCASE's collars.
            device: where the table lives and the environment runs; None leaves it where the scores are.
            objective: an objective, its name or its mapping; None takes the config's, or the mean over classes.

        Warns:
            DataWarning: something looks wrong in a score set, see `rl_postproc.data.report`.

        Raises:
            UserError: there are no data, or the config or the data cannot be used.
        """
        if device is not None:
            device = _device(device)
        if isinstance(scores, TuningTask):
            if stack is not None or metric is not None:
                raise UserError("A TuningTask has its stack and metric already; leave out 'stack' and 'metric'.")
            moved = scores if device is None else scores.to(device)
            if objective is None:
                return moved
            own = objective if isinstance(objective, Objective) else Objective.make(objective, "objective")
            own.check(moved.metric, moved.scores.classes)
            return moved.with_objective(own)
        config = TaskConfig()
        if isinstance(scores, str) and scores == SIMULATED:
            config = build(TaskConfig, {"data": {SIMULATED: {}}}, "scores")
        elif isinstance(scores, str | Path) and catalogue.is_named(scores):
            config = build(TaskConfig, {"data": {"scores": str(scores)}}, "scores")
        elif isinstance(scores, str | Path):
            config = load_config(TaskConfig, scores)
        elif isinstance(scores, dict):
            config = build(TaskConfig, scores, "scores")
        elif scores is not None and not isinstance(scores, ScoreSet):
            raise UserError(f"Scores cannot be {_called(scores)}; make a ScoreSet of arrays with ScoreSet.from_arrays, which "
                            "asks for what they lack (clip names, frame length, classes, references).")  # fmt: skip
        score_set = scores if isinstance(scores, ScoreSet) else config.load_data()
        if stack is None:
            stack = config.build_stack()
        elif isinstance(stack, list | str):
            stack = Stack.from_config(stack)
        if metric is None:
            metric = config.metric
        elif not isinstance(metric, Metric):
            metric = Metric.make(metric if isinstance(metric, str) else {"metric": "event_based", **metric}, "metric")
        if objective is None:
            objective = config.objective
        elif not isinstance(objective, Objective):
            objective = Objective.make(objective, "objective")
        objective.check(metric, score_set.classes)
        score_set = score_set if device is None else score_set.to(device)
        score_set.require_references()
        for sentence in data_problems(score_set):
            if sentence not in score_set.origin.notes:  # said when the set was made
                warn(sentence)
        return cls._of_kind(score_set)(score_set, stack, metric, objective=objective)

    @classmethod
    def of_config(cls, config: TaskConfig, scores: ScoreSet) -> TuningTask:
        """Builds the task of a config on scores that have been read, or are read in parts."""
        scores.require_references()
        return cls._of_kind(scores)(scores, config.build_stack(), config.metric, objective=config.objective)

    @classmethod
    def _of_kind(cls, scores: ScoreSet) -> type[TuningTask]:
        """Returns the class of a task of such scores."""
        if not isinstance(scores, StreamedScores):
            return cls
        from rl_postproc.streamed_task import StreamedTask

        return StreamedTask

    @property
    def table(self) -> CountTable:
        """Counts of every candidate for every clip and class."""
        if not isinstance(self._table, CountTable):
            self.stack.check_candidates()
            self._check_memory()
            self._table = self._table()
        return self._table

    def _check_memory(self) -> None:
        """Insists that the table, of at least a byte for each count that candidates change, fits into this machine's memory.

        Raises:
            UserError: it does not.
        """
        n_candidates, here = self.stack.space.n_candidates, memory()
        needed = self.scores.n_clips * self.scores.n_classes * n_candidates * max(1, len(self.metric.columns) - 1)
        if needed > here:
            raise UserError(f"The counts of {n_candidates} candidates for each of {self.scores.n_clips} clips take "
                            f"{shown(needed)}, and this machine has {shown(here)}; give fewer values, or use an agent that "
                            "needs sums over clips alone, such as 'grid_search'.")  # fmt: skip

    @property
    def has_large_table(self) -> bool:
        """Whether the count table would be, or is, larger than is made without need."""
        return self.scores.n_clips * self.scores.n_classes * self.stack.space.n_candidates > LARGE_TABLE

    @cached_property
    def summed(self) -> CountTable:
        """Counts of every candidate, of which only sums over clips matter: the table, or where it is large their sums alone.

        All that a search for constants needs, in memory that does not grow with the clips.
        """
        if isinstance(self._table, CountTable) or not self.has_large_table:
            return self.table
        return self._group_totals(torch.zeros(self.scores.n_clips, dtype=torch.int64), 1)[0]

    def folds(self, n_folds: int, sums: bool = True) -> Iterator[tuple[TuningTask, TuningTask]]:
        """Yields for each fold of the held-out protocol the task of the clips outside and that of the clips in it.

        Args:
            n_folds: number of folds.
            sums: whether their sums over clips are wanted: where the table is large, one pass counts those of all folds.
        """
        fold, parts = fold_of_clips(self.scores.clip_ids, n_folds), []
        if sums and not isinstance(self._table, CountTable) and self.has_large_table:
            parts = self._group_totals(fold, n_folds)
            self.__dict__.setdefault("summed", added(parts))
        for k in range(n_folds):
            train, held = self.select((fold != k).nonzero()[:, 0]), self.select((fold == k).nonzero()[:, 0])
            if parts:
                train.__dict__["summed"] = added([part for i, part in enumerate(parts) if i != k])
                held.__dict__["summed"] = parts[k]
            yield train, held

    def _group_totals(self, group: torch.Tensor, n_groups: int) -> list[CountTable]:
        """Returns counts of every candidate, summed over the clips of each group."""
        return group_totals(self.scores, self.stack, self.metric, group, n_groups)

    def threshold_counts(self, n_levels: int = 512) -> ThresholdCounts:
        """Returns counts at all thresholds; at so many levels where the scores are read in parts."""
        return sweep_all_thresholds(self.scores, self.stack, self.metric)

    @cached_property
    def best_constants(self) -> torch.Tensor:
        """The candidates, one a class, that maximise the objective, int64 ``[class]``."""
        return self.summed.best_per_class(self.objective)

    @cached_property
    def linearisation(self) -> Linearisation:
        """The objective's linearisation at the best constants."""
        reached = total_counts(self.summed.of_choice(self.best_constants))
        return self.objective.linearise(self.metric, reached, self.scores.n_clips)

    @cached_property
    def decoded(self) -> DecodedEvents:
        """The distinct events that the candidates decode on every clip and class, within the bounds.

        Warns:
            DataWarning: how many events are left out.
        """
        found = decode_candidates(self.scores, self.stack, self.bounds)
        lost = found.left_out
        if lost is not None:
            clips = lost.n_clips(self.scores.n_classes)
            tell_left_out(len(found), int(lost.events.sum()), clips, self.scores, self.bounds)
        return found

    @cached_property
    def event_features(self) -> torch.Tensor:
        """Features of the decoded events, sampled on the task's grid, float32 ``[event, feature]``."""
        return event_features(self.scores, self.decoded, self.grid)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of scores, references, stack, metric and objective, by which finished work is recognised."""
        scores, references = self.scores, self.scores.require_references()
        rules = (self.stack.to_config(), self.metric.model_dump_json(), self.objective.model_dump_json())
        digest = hashlib.sha256(repr((*rules, scores.clip_ids, scores.classes)).encode())
        events = (references.clip, references.label, references.onset, references.offset)
        for tensor in chain(self._read_scores(), (scores.n_frames, scores.edges, scores.durations, *events)):
            digest.update(tensor.cpu().numpy().tobytes())
        return digest.hexdigest()

    def _read_scores(self) -> Iterator[torch.Tensor]:
        """Yields all that the scores are."""
        yield self.scores.scores

    @property
    def device(self) -> torch.device:
        """Where the scores and the table live."""
        return self.scores.device

    def __getstate__(self) -> dict[str, Any]:
        """Returns the state for other processes, the table counted."""
        return {**self.__dict__, "_table": self.table}

    def select(self, clips: torch.Tensor) -> TuningTask:
        """Returns the task of the given clips (int64 indices), with its part of the table."""
        counted = isinstance(self._table, CountTable) or not self.has_large_table
        # Of a large table that nobody has counted, the part is counted by itself.
        return self._with((lambda: self.table.select(clips)) if counted else None, self.scores.select(clips))

    def to(self, device: str | torch.device) -> TuningTask:
        """Returns the task on another device, or this one where it is there already."""
        device = _device(device)
        if device == self.device:
            return self
        return self._with(lambda: self.table.to(device), self.scores.to(device))

    def bounded(self, bounds: PoolBounds) -> TuningTask:
        """Returns the task with other bounds of the decoded events, or this one where they are the same."""
        if bounds == self.bounds:
            return self
        return self._with(lambda: self.table, bounds=bounds)

    def on_grid(self, grid: FeatureGrid) -> TuningTask:
        """Returns the task with features of events sampled elsewhere, or this one where it is there already."""
        return self if grid == self.grid else self._with(lambda: self.table, grid=grid)

    def with_objective(self, objective: Objective) -> TuningTask:
        """Returns the task with another objective."""
        return self._with(lambda: self.table, objective=objective)

    def of_classes(self, classes: Sequence[str]) -> TuningTask:
        """Returns the task of some classes, whose table is counted anew."""
        return self._with(None, self.scores.of_classes(classes))

    def _with(
        self,
        table: Callable[[], CountTable] | None,
        scores: ScoreSet | None = None,
        bounds: PoolBounds | None = None,
        grid: FeatureGrid | None = None,
        objective: Objective | None = None,
    ) -> TuningTask:
        """Returns the task with another table and other parts."""
        return TuningTask(self.scores if scores is None else scores, self.stack, self.metric, table,
                          objective or self.objective, bounds or self.bounds, grid or self.grid)  # fmt: skip


def _called(value: Any) -> str:
    """Returns what a value is, for a message."""
    kind = type(value)
    shape = f" of shape {list(value.shape)}" if hasattr(value, "shape") else ""
    return f"of type {kind.__module__}.{kind.__qualname__}{shape}".replace("builtins.", "")


def _device(device: str | torch.device) -> torch.device:
    """Returns the device with its index.

    Raises:
        UserError: there is no such device here.
    """
    try:
        probe = torch.zeros(1, device=device)
        probe.tolist()  # the device 'meta' holds no values
        return probe.device
    except (RuntimeError, AssertionError, ImportError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise UserError(f"The device '{device}' cannot be used here ({reason}); use 'cpu'.") from error
