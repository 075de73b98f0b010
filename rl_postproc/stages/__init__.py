"""Stages of post-processing, one file each; every file in this folder is found by itself."""

from __future__ import annotations

import importlib
import pkgutil

from rl_postproc.stages.base import Parameter, Stage

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")


def stage_types() -> dict[str, type[Stage]]:
    """Returns every known stage by its name in configs, those of importing programs included."""
    pending, found = list(Stage.__subclasses__()), {}
    while pending:
        kind = pending.pop()
        pending += kind.__subclasses__()
        default = kind.model_fields["stage"].default
        if isinstance(default, str):
            found.setdefault(default, kind)  # a subclass that keeps the name does not take its place
    return found


__all__ = ["Parameter", "Stage", "stage_types"]
