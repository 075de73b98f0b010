"""Another agent on few of the clips, for learning curves."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from pydantic import Field, model_validator

from rl_postproc.data.folds import drawn_clips
from rl_postproc.streamed_task import StreamedTask
from rl_postproc.task import TuningTask
from rl_postproc.utils.errors import UserError, warn

from ..base import FitResult, ProgressCallback, check_agent, make_agent, require_clips
from ..parts import Parts, ResumableAgent, fit_within


class FewClips(ResumableAgent):
    """Another agent that gets only some of the clips, drawn by the seed; of a seed, more clips hold the fewer ones."""

    streams: ClassVar[bool] = True

    agent: Literal["few_clips"] = "few_clips"
    of: str | dict[str, Any] = Field(default="grid_search", description="the agent, by name or with settings")
    clips: int = Field(default=10, ge=1, description="how many clips it gets")

    @model_validator(mode="after")
    def _builds(self) -> FewClips:
        try:
            make_agent(self.of)
        except UserError as error:
            raise ValueError(str(error)) from error
        return self

    def check(self, task: TuningTask) -> None:
        """Needs so many clips, and what the agent needs."""
        require_clips(self, self.clips, task)
        learner = make_agent(self.of)
        # Of scores that are read in parts two clips tell what the agent minds; the sample is read when it is drawn.
        part = task.select(torch.arange(min(2, self.clips))) if isinstance(task, StreamedTask) else task
        check_agent(learner, part.in_memory() if isinstance(part, StreamedTask) and not learner.streams else task)

    def fit_parts(self, task: TuningTask, seed: int, report: ProgressCallback, parts: Parts) -> FitResult:
        """Fits the agent on the clips drawn; of scores that are read in parts these alone are held, unless it needs none.

        Warns:
            DataWarning: how many of how many clips were drawn, where scores are read in parts.
        """
        learner, n_clips = make_agent(self.of), task.scores.n_clips
        few = task.select(drawn_clips(task.scores.clip_ids, self.clips, seed))
        if not isinstance(few, StreamedTask):
            return fit_within(learner, few, seed, report, parts)
        warn(f"'{learner.name}' is tuned on a sample of {self.clips} of {n_clips} clips, drawn with the seed {seed}.")
        fit = fit_within(learner, few if learner.streams else few.in_memory(), seed, report, parts)
        fit.post_processor.about["sample"] = {"clips": self.clips, "of": n_clips, "seed": seed}
        return fit
