"""Collars: how far onset and offset of an event may lie from those of its reference."""

from __future__ import annotations

from abc import ABC
from typing import Literal

import torch
from pydantic import Field, model_validator
from typing_extensions import Self

from rl_postproc.data.events import Events
from rl_postproc.metrics.f1 import F1Metric


class CollarMetric(F1Metric, ABC):
    """A metric that compares onsets and offsets within collars."""

    t_collar: float = Field(
        default=0.2, gt=0, le=3600, description="collar of onsets in seconds, and the least of offsets"
    )
    percentage_of_length: float = Field(default=0.2, ge=0, le=1, description="offset collar as a share of the length")
    evaluate_onset: bool = Field(default=True, description="whether onsets are compared")
    evaluate_offset: bool = Field(default=True, description="whether offsets are compared")
    comparison: Literal["exact", "tolerant"] = Field(
        default="exact", description="compare doubles as sed_eval does, or round to 6 decimals as sed_scores_eval does"
    )

    @model_validator(mode="after")
    def _compares_something(self) -> Self:
        if not self.evaluate_onset and not self.evaluate_offset:
            raise ValueError("either 'evaluate_onset' or 'evaluate_offset' must stay true")
        return self

    def within(self, difference: torch.Tensor, collar: torch.Tensor | float) -> torch.Tensor:
        """Whether differences in seconds (float64) lie within a collar."""
        difference = difference.abs()
        if self.comparison == "tolerant":
            return (difference - collar).round(decimals=6) <= 0
        return difference <= collar

    def offset_collar(self, references: Events) -> torch.Tensor:
        """Returns the offset collar of each reference in seconds, float64 ``[reference]``."""
        length = references.offset - references.onset
        return (self.percentage_of_length * length).clamp(min=self.t_collar)
