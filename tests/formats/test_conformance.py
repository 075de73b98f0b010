"""The formats of this package pass the check for formats that others add."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rl_postproc.data.scores import ScoreSet
from rl_postproc.formats import Format, read_scores
from rl_postproc.formats.scores.npy_folder import NpyFolder
from rl_postproc.formats.scores.tags import Tags
from rl_postproc.testing import NonConformant, check_format


@pytest.mark.parametrize("name", ["arrays", "npy", "operating_points", "score_table", "sed_scores", "shards", "tags"])
def test_formats_of_this_package_conform(folders: dict[str, Path], name: str) -> None:
    given: dict[str, Any] = {"hop": 0.5} if name == "npy" else {}
    check_format(Format.types()[name](), folders[name], read_scores(folders[name], **given), **given)


def test_written_tags_conform(tmp_path: Path) -> None:
    np.savez(tmp_path / "s.npz", scores=np.array([[0.1, 0.2]], dtype=np.float32), target=np.array([[0, 1]]))
    check_format(Tags(), tmp_path / "s.npz", read_scores(tmp_path / "s.npz"))


class Greedy(NpyFolder):
    @classmethod
    def recognises(cls, path: Path) -> bool:
        return True


class Shadowing(NpyFolder):
    hop: float = 0.5


class Rounding(NpyFolder):
    def write(self, scores: ScoreSet, path: Path) -> None:
        super().write(replace(scores, scores=scores.scores.round(decimals=1) * 0.5), path)


class Silent(NpyFolder):
    looks_like = ""


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (Rounding, "is not read back equal"),
        (Greedy, "recognises 'empty'"),
        (Shadowing, r"the options \['hop'\]"),
        (Silent, "what it looks like"),
    ],
)
def test_a_format_that_breaks_the_rules_is_refused(folders: dict[str, Path], kind: type[Format], message: str) -> None:
    with pytest.raises(NonConformant, match=message):
        check_format(kind(), folders["npy"], hop=0.5)
