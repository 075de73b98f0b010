"""What `train` shares out among workers: clips of sparse shards, to be counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rl_postproc.utils.errors import UserError

if TYPE_CHECKING:
    from rl_postproc.task import TuningTask
    from rl_postproc.work import Engine

    from ..base import Agent, ProgressCallback


def check_divisible(learner: Agent, engine: Engine) -> None:
    """Says before anything is read that workers would have nothing to do.

    Raises:
        UserError: they would not.
    """
    from ..search.few_clips import FewClips

    if engine.is_apart and (not learner.streams or isinstance(learner, FewClips)):
        raise UserError("--jobs and --cluster of `train` divide clips of sparse shards for agents that need sums over clips "
                        f"alone, such as 'grid_search', and '{learner.name}' does not; leave them out.")  # fmt: skip


def shared_out(
    task: TuningTask, learner: Agent, engine: Engine, limit: int | None, plugins: list[str], show: ProgressCallback
) -> TuningTask:
    """Returns the task whose clips are counted by workers where they are read in parts, and says how far they are.

    Args:
        task: what is tuned on, in parts that suit one process.
        learner: what tunes.
        engine: where the workers are.
        limit: bytes of memory that the workers of this machine and this process may take; those of a cluster each.
        plugins: that stages and metric come from.
        show: takes the progress of each count.

    Raises:
        UserError: there are several workers, but the clips are held here as a whole, or the memory does not suffice.
    """
    from rl_postproc.counts.divided import Workers
    from rl_postproc.counts.memory_need import memory_need, within
    from rl_postproc.streamed_task import StreamedTask
    from rl_postproc.utils.memory import shown
    from rl_postproc.work import Processes

    from .output import notes

    if not isinstance(task, StreamedTask):
        if engine.is_apart:
            raise UserError("--jobs and --cluster of `train` divide the clips of sparse shards, and these scores are held in "
                            "memory as a whole; leave them out, or make sparse shards with `convert --floor`.")  # fmt: skip
        return task
    if isinstance(engine, Processes):
        need, n = memory_need(task.scores, task.stack, learner.levels), engine.n + 1
        if limit is not None and n * need.of(need.clip) > limit:
            raise UserError(f"--memory {shown(limit)} is too little for {engine.n} workers and this one: clip by clip they "
                            f"take {shown(n * need.of(need.clip))}; allow more, or give a smaller --jobs.")  # fmt: skip
        part_bytes = task.scores.part_bytes if limit is None else need.part_bytes(limit / n)
        task = task.on(within(task.scores, part_bytes))
        notes.print(f"Of {engine.n} workers and this process: at most about {shown(n * need.of(part_bytes))}.")
    elif engine.is_apart:
        notes.print("Each worker takes as much memory.")
    return task.counted_by(Workers(engine, tuple(plugins)), lambda done, of: show(done / of, {"clips": done}))
