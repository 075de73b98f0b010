"""Other metrics that judge every row's held-out events, and rows that are tuned for another metric than the benchmark's."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rl_postproc.data.events import Events
from rl_postproc.metrics import Metric
from rl_postproc.metrics.certify import evaluate
from rl_postproc.metrics.ranking import RankingMetric
from rl_postproc.metrics.ranking.evaluate import evaluate_ranking
from rl_postproc.task import TuningTask
from rl_postproc.utils.errors import UserError, suggest, unwarned

Judge = Metric | RankingMetric


def make_judge(value: Any) -> Judge:
    """Returns a metric or a ranking from its name or its mapping.

    Raises:
        UserError: there is none of that name, or a setting is wrong.
    """
    values = {"metric": value} if isinstance(value, str) else dict(value) if isinstance(value, Mapping) else {}
    name = str(values.pop("metric", values.pop("ranking", None)))
    metrics, rankings = Metric.types(), RankingMetric.types()
    if name in metrics:
        return Metric.make({"metric": name, **values}, "judged_by")
    if name in rankings:
        return RankingMetric.make({"ranking": name, **values}, "judged_by")
    raise UserError(f"judged_by: there is no metric or ranking '{name}'{suggest(name, [*metrics, *rankings])}.")


def own_metric(row: str | dict[str, Any], given: Metric) -> Metric:
    """Returns the metric that a row is tuned for: its own, or the config's."""
    wanted = row.get("metric") if isinstance(row, dict) else None
    return given if wanted is None else Metric.make(wanted, "the agent's metric")


def judge_names(judges: Sequence[Judge]) -> list[str]:
    """Returns what the judges are called, each by another name."""
    names: list[str] = []
    for judge in judges:
        number = sum(name.split(" ")[0] == judge.name for name in names)
        names.append(f"{judge.name} {number + 1}" if number else judge.name)
    return names


def judged(judges: Sequence[Judge], task: TuningTask, events: Events) -> dict[str, dict[str, Any]]:
    """Returns what each judge says of held-out events.

    Args:
        judges: metrics, of which the macro score counts, and rankings, of which the overall value does.
        task: the clips that were scored.
        events: the held-out events of all folds.

    Returns:
        By judge: ``figure``, what it is called, ``value`` (None where it is not defined), ``by_class``, ``certified_by``, and
        for rankings ``ranked``: whether the events have any order.
    """
    found: dict[str, dict[str, Any]] = {}
    references, durations = task.scores.require_references(), task.scores.durations
    for name, judge in zip(judge_names(judges), judges, strict=True):
        if isinstance(judge, Metric):
            report = evaluate(references, events, judge)
            figure, value, classes = f"macro_{judge.score_name}", report.score.macro, report.score.by_class
            own: dict[str, Any] = {"certified_by": report.certified_by}
        else:
            with unwarned():
                ranking = evaluate_ranking(references, events, judge, durations)
            figure, value, classes = judge.value_name, ranking.score.overall, ranking.score.by_class
            ranked = len(events) > 0 and bool((events.confidence != events.confidence[0]).any())
            own = {"certified_by": ranking.certified_by, "ranked": ranked}
        by_class = {label: _known(x) for label, x in zip(task.scores.classes, classes.tolist(), strict=True)}
        found[name] = {"figure": figure, "value": _known(value), "by_class": by_class, **own}
    return found


def judged_rows(
    judges: Sequence[Judge], task: TuningTask, events: Mapping[tuple[str, int], Events]
) -> list[dict[str, Any]]:
    """Returns a row for each agent and seed: ``agent``, ``seed`` and what `judged` says under ``judges``."""
    return [
        {"agent": agent, "seed": seed, "judges": judged(judges, task, own)} for (agent, seed), own in events.items()
    ]


def _known(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
