"""What every agent that judges decoded events needs of its task."""

from __future__ import annotations

from rl_postproc.task import TuningTask
from rl_postproc.utils.errors import UserError

from ..base import Agent, require_own_parameters


def check_events(agent: Agent, task: TuningTask) -> None:
    """Insists that a task is one of events, without decoding any.

    Raises:
        UserError: its metric looks at tags, its clips have one frame, its stack places events off the frames, or a
            parameter is shared by all classes.
    """
    require_own_parameters(agent, task)
    prepared = task.metric.prepare(task.scores.select([0]))
    if prepared is None or not prepared.judges_events or "estimated" not in task.metric.columns:
        raise UserError(f"Event policies judge when events begin and end, which the metric '{task.metric.metric}' does not "
                        "look at; use the metric event_based, or an agent with constant parameters.")  # fmt: skip
    if task.scores.width == 1:
        raise UserError("Event policies judge when events begin and end, but these clips have one frame each; use an agent "
                        "with constant parameters.")  # fmt: skip
    if not task.stack.on_frames:
        raise UserError("Event policies judge runs of frames, but the stack places events between them; leave out stages "
                        "that move boundaries, such as 'padding', or use an agent with constant parameters.")  # fmt: skip


def require_events(agent: Agent, task: TuningTask) -> None:
    """Insists that a task has events that can be judged.

    Raises:
        UserError: as `check_events`, or no candidate decodes anything.
    """
    check_events(agent, task)
    if not len(task.decoded):
        raise UserError("No candidate of the stack decodes any event on these clips, so there is nothing to judge; lower the "
                        "thresholds.")  # fmt: skip
