"""Several benchmarks by one name."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from rl_postproc.config import read_yaml
from rl_postproc.utils.checked import build


class Suite(BaseModel):
    """Benchmarks that run one after another, each in a folder of its own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    benchmarks: list[str] = Field(min_length=1, description="configs, relative to this file, or names of packaged ones")


def find_suite(path: Path) -> Suite | None:
    """Returns the suite that a YAML file holds, None where it holds a single benchmark.

    Raises:
        UserError: the file cannot be read, or is no valid suite.
    """
    values = read_yaml(path)
    return build(Suite, values, str(path)) if "benchmarks" in values else None
