"""What post-processors have chosen, as tables of a report: constants by class and fold, or how choices spread over clips."""

from __future__ import annotations

from typing import Any

import numpy as np

from rl_postproc.pipeline.policy import Constant
from rl_postproc.report.contents import Column, Section, Table, Text
from rl_postproc.results.chosen import chosen_parameters, with_stack_names
from rl_postproc.task import TuningTask

from .runs import Run


def parameters_section(run: Run, most: int = 12) -> Section | None:
    """Returns the parameters of the systems that have some; None where none do.

    Constants are listed by class: one value, or the median over folds and the range. Of policies that choose parameters
    for each clip, the most frequent value, and the 10th and 90th percentile over clips, medians over folds.

    Args:
        run: with post-processors.
        most: systems that are listed.
    """
    if run.task is None:
        return None
    tables, without = list[Table | Text](), list[str]()
    for name, made in list(run.made_by.items())[:most]:
        spread, folds = not all(isinstance(processor.policy, Constant) for processor, _ in made), []
        if spread and run.task.scores.references is None:
            tables.append(Text(f"How the choices of {name} are spread over clips is told where there are references."))
            continue
        for processor, clips in made:
            scores = run.task.scores if len(clips) == run.task.scores.n_clips else run.task.scores.select(clips)
            task = TuningTask(scores, processor.stack, run.task.metric)
            chosen = chosen_parameters(processor, task, run.systems[name].select(clips))
            folds.append(with_stack_names(chosen, processor))
        names = list(dict.fromkeys(key for fold in folds for row in fold.values() for key in row))
        if set(names) <= {"events_per_minute"}:
            without.append(name)
            continue
        said = "most frequent over clips (10 % to 90 % of them)" if spread else "constants"
        said += f", medians of {len(folds)} folds" if len(folds) > 1 else ""
        columns = [Column("class"), *(Column(key.replace("_", " "), "number") for key in names)]
        rows = [[label, *(_cell([fold[label].get(key) for fold in folds]) for key in names)] for label in folds[0]]
        tables.append(Table(f"{name}: {said}", columns, rows))
    if without:
        tables.append(Text(f"Without parameters, since they choose events: {', '.join(without)}."))
    if len(run.made_by) > most:
        tables.append(Text(f"Of {len(run.made_by)} systems the first {most} are listed."))
    return Section("Parameters", tables) if tables else None


def chosen_thresholds(run: Run) -> dict[str, dict[str, list[float]]]:
    """Returns the thresholds of the systems that have constants, by class, one a fold."""
    found: dict[str, dict[str, list[float]]] = {}
    for name, made in run.made_by.items():
        for processor, _ in made:
            places = [i for i, own in enumerate(processor.stack.space.names) if own.startswith("threshold")]
            if not isinstance(processor.policy, Constant) or len(places) != 1:
                continue
            values = processor.policy.values[:, places[0]].tolist()
            for label, value in zip(processor.classes or run.systems[name].classes, values, strict=True):
                found.setdefault(name, {}).setdefault(label, []).append(round(value, 6))
    return found


def _cell(values: list[Any]) -> Any:
    """Returns the median over folds, with the range where folds differ, or with the spread over clips."""
    known = [own for own in values if own is not None]
    if any(isinstance(own, dict) for own in known):
        # A fold may have ended at constants where the others did not.
        spreads = [
            own if isinstance(own, dict) else dict.fromkeys(("most_frequent", "low", "high"), own) for own in known
        ]
        middle, low, high = (_median([own[key] for own in spreads]) for key in ("most_frequent", "low", "high"))
        return None if middle is None else (middle, _shown(middle, low, high))
    if not known or any(isinstance(own, str) for own in known):
        return ", ".join(dict.fromkeys(map(str, known))) or None
    middle = _median(known)
    return middle if min(known) == max(known) else (middle, _shown(middle, min(known), max(known)))


def _median(values: list[float | None]) -> float | None:
    known = [own for own in values if own is not None]
    return float(np.median(known)) if known else None


def _shown(middle: float | None, low: float | None, high: float | None) -> str:
    return f"{middle:.4g}" if low is None or low == high else f"{middle:.4g} ({low:.4g} to {high:.4g})"
