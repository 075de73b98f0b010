"""Tuning in one call, for programs that use this package as a library."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from rl_postproc.metrics.base import Metric, total_counts
from rl_postproc.metrics.objectives import Objective
from rl_postproc.pipeline.postprocessor import PostProcessor
from rl_postproc.pipeline.stack import Stack
from rl_postproc.task import Source, TuningTask
from rl_postproc.utils.errors import UserError, warn

from .base import Agent, FitResult, ProgressCallback, check_agent, make_agent, silent


def tune(
    scores: Source,
    agent: str | Agent = "ppo",
    *,
    stack: Stack | list[dict[str, Any]] | str | None = None,
    metric: Metric | str | dict[str, Any] | None = None,
    objective: Objective | str | dict[str, Any] | None = None,
    seed: int = 0,
    progress: bool | ProgressCallback = False,
    **settings: Any,
) -> PostProcessor:
    """Tunes a post-processor on all clips given.

    What it reaches on these clips is optimistic; tune on some and evaluate on others, or run ``rl-postproc benchmark``.

    Args:
        scores: a `ScoreSet` with references, or whatever `TuningTask.build` takes.
        agent: name of an agent (``rl-postproc list agents`` shows them with their settings), or one that is built.
        stack: a `Stack`, its list form, or the name of one (``rl-postproc list stacks``); the default one when None.
        metric: what is counted, a metric, its name or a mapping; event-based with DCASE's collars when None.
        objective: what is maximised; the mean over classes of the metric's score when None.
        seed: the same seed gives the same post-processor.
        progress: True shows a bar on the terminal; a callback takes fractions of the work and the newest figures.
        **settings: of the agent, such as ``steps`` of ``ppo``.

    Raises:
        UserError: data, a setting, or the agent on this task cannot be used.

    Example:
        >>> from rl_postproc import ScoreSet, evaluate, tune
        >>> arrays = {"a": [[0.1], [0.4], [0.4], [0.1]], "b": [[0.3], [0.2], [0.1], [0.1]]}
        >>> scores = ScoreSet.from_arrays(arrays, hop=0.5, classes=["Dog"], references=[("a", 0.5, 1.5, "Dog")])
        >>> stack = [{"stage": "threshold", "threshold": [0.2, 0.35, 0.5]}]
        >>> best = tune(scores, "grid_search", stack=stack)
        >>> best.apply(scores).to_rows()
        [('a', 0.5, 1.5, 'Dog')]
        >>> evaluate(scores.references, best.apply(scores)).score.macro
        1.0
    """
    learner = _built_agent(agent, settings)
    task = TuningTask.build(scores, stack, metric, objective=objective)
    check_agent(learner, task)
    with _reporting(learner, progress) as report:
        fit = learner.fit(task, seed, report)
    fit.post_processor.about |= about(learner, seed, task)
    if task.objective.constrained:
        tell_unmet(task, fit)
    return fit.post_processor


def tell_unmet(task: TuningTask, fit: FitResult) -> None:
    """Says which classes miss the objective's minimum, if it has one and any do: on inner folds left out, else where tuned.

    Args:
        task: the training clips.
        fit: what has been tuned on them.

    Warns:
        DataWarning: some do.
    """
    counts, where = fit.held_out, "inner folds of the training clips"
    if counts is None:
        events, where = fit.post_processor.apply(task.scores), "the training clips"
        counts = total_counts(task.metric.count(task.scores.require_references(), events))
    sentence = task.objective.unmet(task.metric, counts, task.scores.classes, where)
    if sentence:
        warn(sentence)


def about(agent: Agent, seed: int, task: TuningTask) -> dict[str, Any]:
    """Returns how a post-processor came to be, as its file tells."""
    return {
        "agent": agent.model_dump(mode="json"),
        "seed": seed,
        "n_clips": task.scores.n_clips,
        "metric": task.metric.model_dump(mode="json"),
        "objective": task.objective.model_dump(mode="json"),
    }


def _built_agent(agent: str | Agent, settings: dict[str, Any]) -> Agent:
    if isinstance(agent, str):
        return make_agent({"agent": agent, **settings})
    if settings:
        raise UserError(f"The agent '{agent.name}' is built already; leave out '{next(iter(settings))}', or name the "
                        "agent instead of building it.")  # fmt: skip
    return agent


@contextlib.contextmanager
def _reporting(agent: Agent, progress: bool | ProgressCallback) -> Iterator[ProgressCallback]:
    """Yields what takes the agent's progress."""
    if not isinstance(progress, bool):
        yield progress
    elif not progress:
        yield silent
    else:
        from .cli.output import progress as bar

        with bar() as show:
            yield lambda fraction, figures: show(f"tuning with {agent.name}", fraction, figures)
