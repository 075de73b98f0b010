"""Stages of post-processing, one file each; every file in this folder is found by itself."""

from __future__ import annotations

import importlib
import pkgutil

from rl_postproc.kinds import kinds_by_name
from rl_postproc.stages.base import Parameter, Stage

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")


def stage_types() -> dict[str, type[Stage]]:
    """Returns every known stage by its name in configs, those of importing programs included."""
    return kinds_by_name(Stage, "stage")


__all__ = ["Parameter", "Stage", "stage_types"]
