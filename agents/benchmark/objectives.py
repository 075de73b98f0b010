"""Rows with objectives of their own, and what a minimum costs: each agent beside itself without the minimum."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rl_postproc.metrics import Macro, Objective
from rl_postproc.metrics.base import floating
from rl_postproc.results.bootstrap import bootstrap, interval
from rl_postproc.task import TuningTask
from rl_postproc.utils.files import read_json

from .folds import RESULT

WITHOUT = "without minimum"
"""What the row of an agent without the minimum is called beside its name."""


def with_twins(rows: list[str | dict[str, Any]], names: list[str]) -> list[str | dict[str, Any]]:
    """Returns rows, and each of them once more with the macro score as its objective.

    Args:
        rows: settings of agents; those with an objective of their own have no second one.
        names: what they are called.
    """
    twins: list[str | dict[str, Any]] = []
    for row, name in zip(rows, names, strict=True):
        own = {"agent": row} if isinstance(row, str) else row
        if "objective" not in own and twin_name(name) not in names:
            twins.append({**own, "name": twin_name(name), "objective": "macro"})
    return [*rows, *twins]


def twin_name(name: str) -> str:
    """Returns what the row of an agent without the minimum is called."""
    return f"{name} {WITHOUT}"


def objective_results(
    counts: Mapping[str, list[torch.Tensor]], folders: Mapping[str, Mapping[int, list[Path]]], task: TuningTask
) -> dict[str, Any]:
    """Returns what an objective other than the macro score comes to, held out.

    Args:
        counts: of each row's seeds, ``[column, clip, class]`` each.
        folders: of the folds of each row and seed.
        task: the clips that were scored, with the config's objective.

    Returns:
        ``name``; where it has a minimum, by agent, ``cost``: how much higher the macro score of the same agent is that was
        tuned for it alone, with its 95 % interval over clips and seeds; ``reached``: by class, what is reached held out of
        the minimum, means over seeds; and ``missed_in_training``: classes by the number of folds in which their minimum was
        missed on the training clips (on inner folds of them where an agent has some), and what was reached there.
    """
    metric, objective = task.metric, task.objective.reported()
    found: dict[str, Any] = {"name": objective.called(metric), "settings": task.objective.model_dump(mode="json")}
    if not objective.constrained:
        return found
    minima: dict[str, Any] = {}
    for name, own in counts.items():
        twin = counts.get(twin_name(name))
        if name.endswith(WITHOUT):
            continue
        entry = minima[name] = {"reached": _reached(own, task), "missed_in_training": _missed(folders[name])}
        if twin is not None:
            scores = [bootstrap(metric, Macro(), torch.stack(part), name) for part in (twin, own)]
            entry["cost"] = asdict(interval(scores[0] - scores[1]))
    return {**found, "minimum": minima}


def _reached(seeds: list[torch.Tensor], task: TuningTask) -> dict[str, dict[str, Any]]:
    """Returns, by class with references, what is reached of the minimum, and in how many seeds it is."""
    metric, objective, found = task.metric, task.objective.reported(), {}
    totals = [floating(dict(zip(metric.columns, own.sum(1), strict=True))) for own in seeds]
    rates = [objective.of_minimum(metric, own) for own in totals]
    for k, name in enumerate(task.scores.classes):
        own = [(float(reached[k]), float(minimum[k])) for reached, minimum in rates]
        if not np.isnan(own[0][0]) and own[0][1] > 0:
            met = sum(reached >= minimum - 1e-12 for reached, minimum in own)
            found[name] = {
                "value": float(np.mean([x for x, _ in own])),
                "minimum": own[0][1],
                "met": met,
                "of": len(own),
            }
    return found


def _missed(folders: Mapping[int, list[Path]]) -> dict[str, dict[str, Any]]:
    """Returns the classes whose minimum was missed on training clips, in how many folds, and what was reached."""
    found: dict[str, list[float]] = {}
    for folder in (folder for own in folders.values() for folder in own):
        for name, (reached, _) in read_json(folder / RESULT).get("missed", {}).items():
            found.setdefault(name, []).append(reached)
    return {name: {"folds": len(own), "least": min(own), "most": max(own)} for name, own in found.items()}


def own_objective(row: str | dict[str, Any], given: Objective) -> Objective:
    """Returns the objective of a row: its own, or the config's."""
    wanted = row.get("objective") if isinstance(row, dict) else None
    return given if wanted is None else Objective.make(wanted, "the agent's objective")
