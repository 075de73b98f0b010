"""SGL-Thresh: thresholds by surrogate gradients, on tags as published and, through the metric's own counts, on events.

Source: Pellegrini and Masquelier, "Fast threshold optimization for multi-label audio tagging using surrogate gradient
learning" (ICASSP 2021, arXiv:2103.00833).
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from rl_postproc.data.streamed import StreamedScores
from rl_postproc.task import TuningTask
from rl_postproc.task_memory import Holds
from rl_postproc.utils.errors import UserError

from ..base import Agent, FitResult, ProgressCallback, constant_fit, silent
from .filters import check_thresholds, keep_best_filters
from .frame_counts import frame_counts
from .surrogate import learn_thresholds

PRESETS: dict[str, dict[str, Any]] = {
    name: {"average": "micro", "start": start, "sigma": 50.0, "learning_rate": 1e-2, "epochs": 100}
    for name, start in (("dcase2017", 0.3), ("dcase2019", 0.5), ("audioset", 0.3))
}
"""The settings of the paper by data set; only the first threshold differs."""


class SGLThresh(Agent):
    """Thresholds by surrogate gradients on the metric's own counts, each class with its best filter.

    ``objective`` names the F1 whose gradient is followed: of the metric's own counts (``event``; always so where these
    depend on a clip's highest score alone, as tags do), of frames, or of 1 s segments. The filter of a class is chosen
    by the metric. ``preset`` sets what the paper used on a data set (`PRESETS`). Of scores that are read in parts the counts
    are those at ``bins`` thresholds, and the thresholds are among these.
    """

    streams: ClassVar[bool] = True
    holds: ClassVar[Holds] = "thresholds"

    agent: Literal["sgl_thresh"] = "sgl_thresh"
    preset: Literal["dcase2017", "dcase2019", "audioset"] | None = Field(
        default=None, description="settings of the paper"
    )
    objective: Literal["event", "segment", "frame"] = Field(
        default="event", description="F1 of events (tags), 1 s segments or frames"
    )
    average: Literal["macro", "micro"] = Field(default="macro", description="mean over classes, or of all counts")
    epochs: int = Field(default=100, ge=1, description="steps of Adam")
    learning_rate: float = Field(default=1e-2, gt=0, description="of Adam")
    sigma: float = Field(default=50.0, gt=0, description="first steepness of the surrogate")
    start: float = Field(default=0.5, ge=0, le=1, description="first threshold")
    bins: int = Field(default=512, ge=2, description="cells in which steps are summed where there are too many")

    @model_validator(mode="before")
    @classmethod
    def _apply_preset(cls, values: Any) -> Any:
        name = values.get("preset") if isinstance(values, dict) else None
        return {**PRESETS[name], **values} if isinstance(name, str) and name in PRESETS else values

    def check(self, task: TuningTask) -> None:
        """Needs a threshold of each class at the end, and F1 counts at all thresholds."""
        check_thresholds(self, task)
        if self.objective != "event" and isinstance(task.scores, StreamedScores):
            raise UserError(f"The agent 'sgl_thresh' follows F1 of {self.objective}s on scores in memory alone, and these "
                            "are read in parts; set objective: event.")  # fmt: skip

    @property
    def levels(self) -> int:
        """See `Agent.levels`."""
        return self.bins

    def fit(self, task: TuningTask, seed: int, report: ProgressCallback = silent) -> FitResult:
        """Learns thresholds for every filter and keeps the best filter of each class."""
        counts = task.threshold_counts(self.bins)
        followed, n_settings = counts.by_column, len(counts.settings)
        if self.objective != "event" and not counts.peaks_only:
            followed = frame_counts(task.scores, task.stack, 1.0 if self.objective == "segment" else None)
        report(0.3, {})
        thresholds, curve = learn_thresholds(
            followed,
            groups=n_settings,
            average=self.average,
            epochs=self.epochs,
            learning_rate=self.learning_rate,
            sigma=self.sigma,
            start=self.start,
            bins=self.bins,
        )
        values, quality = keep_best_filters(task, counts, thresholds, self.average)
        report(1.0, {f"train_{self.average}_f1": quality})
        rows = [{"epoch": float(i), f"{self.objective}_f1": value} for i, value in enumerate(curve)]
        return constant_fit(task, values, (self.epochs + 1) * n_settings * task.scores.n_clips, rows)
