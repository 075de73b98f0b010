"""Drawing and printing of a decided clip."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from rl_postproc.task import TuningTask


def render(task: TuningTask, clip: int, label: int | None, values: torch.Tensor | None, mode: str) -> Any:
    """Shows a clip's scores, decisions and references.

    Args:
        task: what the environment plays on.
        clip: index of the clip.
        label: index of the one class to show, or None for all of them.
        values: parameter values ``[class, parameter]``, or None before the first decision.
        mode: ``rgb_array`` (uint8 ``[height, width, 3]``) or ``ansi`` (text).
    """
    scores = task.scores.select([clip])
    decided = None if values is None else task.stack.events(scores, values)
    shown = range(scores.n_classes) if label is None else [label]
    if mode == "rgb_array":
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        from rl_postproc.results.clips import plot_clip

        canvas = FigureCanvasAgg(plot_clip(scores, 0, {} if decided is None else {"decided": decided}, classes=shown))
        canvas.draw()
        return np.asarray(canvas.buffer_rgba())[..., :3].copy()
    lines = [f"clip {scores.clip_ids[0]}, {float(scores.durations[0]):.2f} s"]
    tables = {"reference": scores.require_references()}
    if decided is not None:
        tables["decided"] = decided
    names = {scores.classes[k] for k in shown}
    for name, events in tables.items():
        rows = [row for row in events.to_rows() if row[3] in names]
        lines += [f"  {name:9s} {on:8.3f} {off:8.3f}  {event}" for _, on, off, event in rows] or [f"  {name:9s} none"]
    return "\n".join(lines)
