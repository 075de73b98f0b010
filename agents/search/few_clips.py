"""Another agent on few of the clips, for learning curves."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from rl_postproc.data.folds import drawn_clips
from rl_postproc.task import TuningTask
from rl_postproc.utils.errors import UserError

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
        check_agent(make_agent(self.of), task)

    def fit_parts(self, task: TuningTask, seed: int, report: ProgressCallback, parts: Parts) -> FitResult:
        """Fits the agent on the clips drawn."""
        few = task.select(drawn_clips(task.scores.clip_ids, self.clips, seed))
        return fit_within(make_agent(self.of), few, seed, report, parts)
