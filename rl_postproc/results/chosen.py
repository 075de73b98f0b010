"""What a post-processor has chosen: constants, or how its choices are spread over clips."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from rich.table import Table

from rl_postproc.data.events import Events
from rl_postproc.pipeline.policy import Constant
from rl_postproc.pipeline.postprocessor import PostProcessor
from rl_postproc.stages.one_of import OneOf
from rl_postproc.task import TuningTask
from rl_postproc.utils.errors import UserError
from rl_postproc.utils.tensors import decimals

MOST_ROWS = 40
"""Classes that a table lists at most."""


def chosen_parameters(processor: PostProcessor, task: TuningTask, events: Events) -> dict[str, dict[str, Any]]:
    """Returns by class what a post-processor has chosen on a task's clips, as plain values.

    Constants are numbers. Of a policy each parameter has ``most_frequent``, ``low`` and ``high``, from the 10th to the 90th
    percentile over the clips on which some candidate decodes an event of the class: elsewhere nothing is decided. Policies
    that choose events have no parameters but λ. ``events_per_minute`` is what comes of it.

    Args:
        processor: for the task's classes, in order, and its stack.
        task: the clips.
        events: what the post-processor has found on them.
    """
    rows = _parameters(processor, task)
    if processor.policy.lam is not None:
        for row, lam in zip(rows, decimals(processor.policy.lam), strict=True):
            row["λ"] = lam
    minutes = float(task.scores.durations.sum()) / 60
    n_events = torch.bincount(events.label, minlength=task.scores.n_classes)
    for row, n in zip(rows, n_events.tolist(), strict=True):
        row["events_per_minute"] = float(f"{n / minutes:.4g}")
    return dict(zip(task.scores.classes, rows, strict=True))


def chosen_table(chosen: Mapping[str, Mapping[str, Any]], processor: PostProcessor) -> Table:
    """Returns what `chosen_parameters` has found as a table: a row for all classes where they are alike.

    Of more than forty classes the first are listed.
    """
    units = processor.stack.units
    chosen = with_stack_names(chosen, processor)
    labels = {name: f"{name} in s" if unit.endswith("seconds") else name
              for name, unit in zip(processor.stack.space.names, units, strict=True)}  # fmt: skip
    rows = {name: dict(row) for name, row in chosen.items()}
    used = {name for row in rows.values() for name in row}
    names = [name for name in (*processor.stack.space.names, *next(iter(rows.values()))) if name in used]
    names = list(dict.fromkeys(names))
    parameters = [{key: value for key, value in row.items() if key != "events_per_minute"} for row in rows.values()]
    if parameters[0] and len(rows) > 1 and all(row == parameters[0] for row in parameters):
        rate = sum(row["events_per_minute"] for row in rows.values())
        rows = {f"all {len(rows)} classes": {**parameters[0], "events_per_minute": float(f"{rate:.4g}")}}
    spread = any(isinstance(value, Mapping) for row in rows.values() for value in row.values())
    title = (
        "Chosen parameters: most frequent on clips that decide (10 % to 90 % of them)"
        if spread
        else "Chosen parameters"
    )
    table = Table(title=title, title_justify="left")
    table.add_column("class")
    for name in names:
        table.add_column(labels.get(name, name.replace("_", " ")), justify="right")
    for name, row in list(rows.items())[:MOST_ROWS]:
        table.add_row(name, *(_shown(row.get(key, "")) for key in names))
    if len(rows) > MOST_ROWS:
        table.add_row(f"… and {len(rows) - MOST_ROWS} more", *[""] * len(names))
    return table


def with_stack_names(
    chosen: Mapping[str, Mapping[str, Any]], processor: PostProcessor
) -> Mapping[str, Mapping[str, Any]]:
    """Returns what `chosen_parameters` has found, with names in place of the numbers of constant choices of a stack."""
    choice = processor.stack.stages[0]
    if not isinstance(choice, OneOf):
        return chosen
    which, numbered = processor.stack.space.names[0], list(choice.stacks)
    return {
        name: {**row, which: numbered[int(row[which])]} if isinstance(row.get(which), int | float) else row
        for name, row in chosen.items()
    }


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return value
    if not isinstance(value, Mapping):
        return f"{value:.4g}"
    if value["most_frequent"] is None:
        return ""
    low, high = value["low"], value["high"]
    return f"{value['most_frequent']:.4g}" + ("" if low == high else f" ({low:.4g} to {high:.4g})")


def _parameters(processor: PostProcessor, task: TuningTask) -> list[dict[str, Any]]:
    """Returns of each class its parameters by name: numbers, or how they are spread."""
    names, policy = processor.stack.space.names, processor.policy
    if isinstance(policy, Constant):
        active = processor.stack.space.active(policy.values).tolist()
        return [
            {name: value for name, value, used in zip(names, row, own, strict=True) if used}
            for row, own in zip(decimals(policy.values), active, strict=True)
        ]
    try:
        values = processor.choose(task.scores).cpu()
    except UserError:  # it chooses events
        return [{} for _ in task.scores.classes]
    shape = task.scores.n_clips, task.scores.n_classes, len(names)
    spread = _spread(values.expand(shape), task.table.decides().cpu(), processor)
    return [
        {name: {what: column[k][i] for what, column in spread.items()} for i, name in enumerate(names)}
        for k in range(shape[1])
    ]


def _spread(
    values: torch.Tensor, decides: torch.Tensor, processor: PostProcessor
) -> dict[str, list[list[float | None]]]:
    """Returns the most frequent value and percentiles, None where there is nothing to decide, ``[class][parameter]`` each.

    Args:
        values: chosen values ``[clip, class, parameter]``.
        decides: where something is decided, bool ``[clip, class]``.
        processor: whose candidates the most frequent value is one of.
    """
    decided = decides[..., None] & processor.stack.space.active(values)
    known = values.masked_fill(~decided, torch.nan)
    low, high = (known.nanquantile(q, 0, interpolation="nearest") for q in (0.1, 0.9))
    columns = []
    for i, parameter in enumerate(processor.stack.space.parameters):
        grid = torch.tensor(parameter.candidates)
        nearest = torch.bucketize(values[..., i].contiguous(), (grid[1:] + grid[:-1]) / 2)
        times = torch.zeros(values.shape[1], len(grid), dtype=torch.int64).scatter_add(
            1, nearest.T, decided[..., i].long().T
        )
        columns.append(grid[times.argmax(1)])
    most = torch.stack(columns, 1).masked_fill(~decided.any(0), torch.nan)
    found = {"most_frequent": most, "low": low, "high": high}
    return {name: [[None if x != x else x for x in row] for row in decimals(part)] for name, part in found.items()}
