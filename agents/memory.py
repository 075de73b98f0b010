"""What memory agents will need, said before they start, and kept to a bound."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch

from rl_postproc.candidates.pool import PoolBounds
from rl_postproc.counts.grid import CHUNK_BYTES, chunks_of
from rl_postproc.counts.memory_need import resident
from rl_postproc.streamed_task import StreamedTask
from rl_postproc.task import TuningTask
from rl_postproc.task_memory import IMPORTED, TaskMemory, task_memory
from rl_postproc.utils.errors import UserError
from rl_postproc.utils.memory import shown
from rl_postproc.work import Engine, Processes

from .base import Agent, make_agent
from .search.few_clips import FewClips
from .search.tuned import Tuned


def agent_memory(agent: Agent, task: TuningTask, n_folds: int | None = None) -> TaskMemory:
    """Returns what an agent takes on a task beside the program and the scores; of scores in parts, on the sample it draws.

    Args:
        agent: what tunes.
        task: what it tunes on.
        n_folds: of the held-out protocol, None tunes on all clips.
    """
    learner, on = innermost(agent), task
    if isinstance(task, StreamedTask) and isinstance(agent, FewClips):
        on = task.select(torch.arange(min(agent.clips, task.scores.n_clips)))
    own = getattr(learner, "value", learner)
    most = getattr(own, "most_per_minute", PoolBounds.most_per_minute)
    need = task_memory(on, learner.holds, most, n_folds)
    if isinstance(on, StreamedTask):  # the sample is yet to be read, and all clips are scored in parts
        need = replace(need, copies=need.copies + on.scores.scores.nbytes + 2 * on.scores.part_bytes)
    return need


def innermost(agent: Agent) -> Agent:
    """Returns what learns: the agent itself, or the one that it gives few clips or tunes."""
    while isinstance(agent, FewClips | Tuned):
        agent = make_agent(agent.of)
    return agent


@dataclass(frozen=True)
class Workers:
    """Where tasks are worked on.

    Attributes:
        number: of processes that work at a time; those of a cluster count one by one.
        are_apart: whether they are other processes than this one, which hold libraries and scores of their own.
    """

    number: int = 1
    are_apart: bool = False

    @classmethod
    def of(cls, engine: Engine, n_tasks: int) -> Workers:
        """Returns those of an engine for so many tasks."""
        return cls(min(engine.n, n_tasks) if isinstance(engine, Processes) else 1, engine.is_apart)


@contextmanager
def within_bound(
    needs: dict[str, TaskMemory],
    scores_bytes: float,
    limit: int | None,
    say: Callable[[str], None],
    workers: Workers = Workers(),
) -> Iterator[None]:
    """States what agents will take, the one that takes the most, and has chunks be so small that it stays within a limit.

    Args:
        needs: of each agent, by name.
        scores_bytes: of the scores, which are in memory.
        limit: bytes; None bounds nothing.
        say: takes the sentence.
        workers: where the agents run.

    Raises:
        UserError: no chunks are small enough.
    """
    held = resident()

    def total(name: str, chunk_bytes: int) -> float:
        own = needs[name].of(chunk_bytes)
        if not workers.are_apart:
            return held + IMPORTED + own
        # Scores travel pickled: this process holds them twice more, each worker twice.
        return held + 2 * scores_bytes + workers.number * (held + scores_bytes + IMPORTED + own)

    chunk_bytes = CHUNK_BYTES["cpu"]
    largest = max(needs, key=lambda name: total(name, chunk_bytes))
    while limit is not None and total(largest, chunk_bytes) > limit and chunk_bytes > 1:
        chunk_bytes //= 2
        largest = max(needs, key=lambda name: total(name, chunk_bytes))
    own, taken = needs[largest], total(largest, chunk_bytes)
    apart = f" by this and as much by each worker ({workers.number} counted)" if workers.are_apart else ""
    what = f"{shown(held)} are held now{apart}, and '{largest}' takes {shown(own.counts)} for counts"
    what += f" and {shown(own.events)} for decoded events" if own.events else ""
    if limit is not None and taken > limit:
        fewer = "fewer --jobs, " if workers.number > 1 else ""
        raise UserError(f"--memory {shown(limit)} is too little: this takes up to about {shown(taken)} ({what}); allow more, "
                        f"give {fewer}fewer candidates or fewer clips (such as with 'few_clips'), or tune an agent such as "
                        "'grid_search' with `train` on sparse shards (`convert --floor`).")  # fmt: skip
    say(f"Memory: at most about {shown(taken)}, of which {what}.")
    with chunks_of(chunk_bytes):
        yield
