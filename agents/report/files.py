"""The files of runs that reports read, checked as a whole: they may have been cut or changed since they were written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from rl_postproc.utils.checked import build
from rl_postproc.utils.errors import UserError
from rl_postproc.utils.files import read_json

Figures = dict[str, float | None]


class _File(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True)


class _Difference(_File):
    over: str
    value: float
    low: float
    high: float
    low_adjusted: float
    high_adjusted: float


class _Agent(_File):
    agent: str
    value: float
    low: float
    high: float
    gain: _Difference | None = None


class _Pair(_Difference):
    agent: str


class _Row(_File):
    agent: str
    seed: int
    classes: dict[str, Figures]


class _Results(_File):
    title: str
    score: str
    folds: int
    n_clips: int
    simulated: bool
    rows: list[_Row] = Field(min_length=1)
    agents: list[_Agent] = Field(min_length=1)
    pairs: list[_Pair] = []
    skipped: dict[str, str] = {}


class _TrainingFigures(_File):
    classes: dict[str, Figures] = {}


class _Data(_File):
    clips: int
    classes: list[str]
    hop: float
    seconds: tuple[float, float]
    references: dict[str, int] | None = None
    notes: list[str] = []


def read_results(folder: Path) -> dict[str, Any]:
    """Returns the contents of ``results.json``.

    Raises:
        UserError: they are not as `benchmark` writes them.
    """
    results = _checked(_Results, folder / "results.json")
    ranked = {entry["agent"] for entry in results["agents"]}
    for i, row in enumerate(results["rows"]):
        for name in (f"macro_{results['score']}", f"micro_{results['score']}"):
            if not isinstance(row.get(name), int | float) or row["agent"] not in ranked:
                raise UserError(f"'{folder / 'results.json'}' is not as it was written: row {i + 1} lacks '{name}', or its "
                                "agent has no interval; run the benchmark again, which takes finished folds up.")  # fmt: skip
    return results


def read_figures(folder: Path) -> dict[str, Any]:
    """Returns the contents of ``report.json`` of a training, empty without."""
    return _optional(_TrainingFigures, folder / "report.json")


def read_data(folder: Path) -> dict[str, Any]:
    """Returns what the data of a run held, empty without."""
    return _optional(_Data, folder / "data.json")


def read_versions(folder: Path) -> dict[str, JsonValue]:
    """Returns the versions that a run depended on, empty without."""
    return _optional(_File, folder / "versions.json")


def read_curve(path: Path, key: str | None = None) -> list[dict[str, float]]:
    """Returns a learning curve, empty without.

    Args:
        path: a JSON file.
        key: where in its mapping the curve is; None where the file holds nothing else.

    Raises:
        UserError: it holds something else.
    """
    if not path.is_file():
        return []
    found = read_json(path)
    if key is not None:
        found = found.get(key, []) if isinstance(found, dict) else None
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise UserError(f"'{path}' holds no learning curve; it is not as it was written, run it again.")
    return found


def _optional(model: type[_File], path: Path) -> dict[str, Any]:
    return _checked(model, path) if path.is_file() else {}


def _checked(model: type[_File], path: Path) -> dict[str, Any]:
    values = read_json(path)
    if not isinstance(values, dict):
        raise UserError(f"'{path}' holds no mapping; it is not as it was written, run it again.")
    build(model, values, str(path))
    return values
