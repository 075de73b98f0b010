"""What `train` tells of clips that are too many to be held: figures summed part by part."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from rl_postproc.utils.errors import UserError

if TYPE_CHECKING:
    from rl_postproc.metrics.certify import CertifiedScores
    from rl_postproc.task import TuningTask

    from ..base import Agent, FitResult

UNCERTIFIED = "none: the clips are scored in parts"


def scored_in_parts(
    fit: FitResult, task: TuningTask, progress: Callable[[float], None]
) -> tuple[CertifiedScores, dict[str, dict[str, Any]]]:
    """Applies what was tuned to all clips of its task, and says what minimum is missed.

    Args:
        fit: what was tuned, perhaps on a sample of the clips.
        task: of all clips.
        progress: told the share that is done.

    Returns:
        The figures of all clips, and by class the constants that were chosen, none where a policy chooses.
    """
    from rl_postproc.data.streamed import StreamedScores
    from rl_postproc.metrics.certify import CertifiedScores
    from rl_postproc.pipeline.apply_parts import apply_parts
    from rl_postproc.pipeline.policy import Constant
    from rl_postproc.results.chosen import chosen_parameters
    from rl_postproc.utils.errors import warn

    assert isinstance(task.scores, StreamedScores)
    processor, metric = fit.post_processor, task.metric
    events, counts = apply_parts(processor, task.scores, metric, lambda done, of: progress(done / of))
    figures = CertifiedScores(task.scores.classes, counts, metric.summarise(counts), metric.score_name, UNCERTIFIED,
                              metric.summarise_rates(counts))  # fmt: skip
    if task.objective.constrained:
        sentence = task.objective.unmet(metric, fit.held_out or counts, task.scores.classes, "the training clips")
        if sentence:
            warn(sentence)
    constant = isinstance(processor.policy, Constant)
    return figures, chosen_parameters(processor, task, events) if constant else {}


def within_memory(task: TuningTask, learner: Agent, limit: int | None, until: ExitStack) -> TuningTask:
    """States the memory that tuning will take, and returns the task with parts, or chunks, that keep to a limit.

    Args:
        task: what is tuned on.
        learner: what tunes.
        limit: bytes, None for the usual parts.
        until: until when chunks keep to it.

    Raises:
        UserError: no parts are small enough, or the scores are not in this machine's own memory.
    """
    from rl_postproc.counts.memory_need import memory_need, within
    from rl_postproc.data.streamed import PART_BYTES
    from rl_postproc.streamed_task import StreamedTask
    from rl_postproc.utils.memory import shown

    from ..memory import agent_memory, innermost, within_bound
    from .output import notes

    if task.device.type != "cpu":
        if limit is not None:
            raise UserError(
                f"--memory bounds what is held by the CPU, not by '{task.device}'; leave out one of the two."
            )
        return task
    if not isinstance(task, StreamedTask) or not innermost(learner).streams:
        need = agent_memory(learner, task)
        until.enter_context(within_bound({learner.name: need}, task.scores.scores.nbytes, limit, notes.say))
        return task
    need = memory_need(task.scores, task.stack, innermost(learner).levels)
    part_bytes = PART_BYTES if limit is None else need.part_bytes(limit)
    clips = max(1, part_bytes // need.clip)
    notes.print(f"Memory: at most about {shown(need.of(part_bytes))}, of which {shown(need.held)} are held now; {clips} of "
                f"{task.scores.n_clips} clips are read at a time.")  # fmt: skip
    return task.on(within(task.scores, part_bytes))
