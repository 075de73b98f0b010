"""Stages of post-processing, one file each; every file in this room is found by itself."""

from rl_postproc.stages.base import Data, Kind, Parameter, Probability, Seconds, Stage

__all__ = ["Data", "Kind", "Parameter", "Probability", "Seconds", "Stage"]
