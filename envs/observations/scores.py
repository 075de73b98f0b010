"""The frame-level scores themselves: as a table, in one row, or with a mask."""

from __future__ import annotations

from typing import Literal

import torch
from gymnasium import spaces

from rl_postproc.task import TuningTask

from .base import Observation, Observed, Observer, one_hot, unit_box


class Scores(Observation):
    """The frame-level scores; per class one track and, behind it, the class one-hot."""

    observation: Literal["scores"] = "scores"

    def prepare(self, task: TuningTask, per_class: bool) -> tuple[spaces.Space, Observer]:
        """See `Observation.prepare`."""
        scores = task.scores
        if per_class:
            return unit_box(scores.width + scores.n_classes), track_observer(task, scores.scores)
        return unit_box(scores.n_classes, scores.width), lambda clip, label: scores.scores[clip]


class Flat(Scores):
    """The frame-level scores in one row."""

    observation: Literal["flat"] = "flat"  # pyright: ignore[reportIncompatibleVariableOverride]

    def prepare(self, task: TuningTask, per_class: bool) -> tuple[spaces.Space, Observer]:
        """See `Observation.prepare`."""
        if per_class:
            return super().prepare(task, per_class)
        scores = task.scores
        return unit_box(scores.n_classes * scores.width), lambda clip, label: scores.scores[clip].flatten(1)


class ScoresWithMask(Observation):
    """The scores, and 1 for every frame that exists."""

    observation: Literal["dict"] = "dict"

    def prepare(self, task: TuningTask, per_class: bool) -> tuple[spaces.Space, Observer]:
        """See `Observation.prepare`."""
        scores, codes = task.scores, one_hot(task)
        frames = torch.arange(scores.width, device=task.device)

        def observe(clip: torch.Tensor, label: torch.Tensor | None) -> Observed:
            mask = (frames < scores.n_frames[clip, None]).float()
            if label is None:
                return {"scores": scores.scores[clip], "mask": mask}
            return {"scores": scores.scores[clip, label], "mask": mask, "class": codes[label]}

        shown = {"scores": unit_box(scores.width) if per_class else unit_box(scores.n_classes, scores.width)}
        shown["mask"] = unit_box(scores.width)
        if per_class:
            shown["class"] = unit_box(scores.n_classes)
        return spaces.Dict(shown), observe  # pyright: ignore[reportArgumentType]


def track_observer(task: TuningTask, source: torch.Tensor) -> Observer:
    """Returns what shows a row of ``[clip, class, value]`` with the class one-hot behind it."""
    codes = one_hot(task)

    def observe(clip: torch.Tensor, label: torch.Tensor | None) -> Observed:
        assert label is not None
        return torch.cat([source[clip, label], codes[label]], 1)

    return observe
