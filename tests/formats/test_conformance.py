"""The formats of this package pass the check for formats that others add."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rl_postproc.formats import Format, read_scores
from rl_postproc.formats.scores.npy_folder import NpyFolder
from rl_postproc.testing import NonConformant, check_format


@pytest.mark.parametrize("name", ["npy", "operating_points", "sed_scores", "shards", "tags"])
def test_formats_of_this_package_conform(folders: dict[str, Path], name: str) -> None:
    given: dict[str, Any] = {"hop": 0.5} if name == "npy" else {}
    check_format(Format.types()[name](), folders[name], read_scores(folders[name], **given), **given)


class Greedy(NpyFolder):
    @classmethod
    def recognises(cls, path: Path) -> bool:
        return True


class Shadowing(NpyFolder):
    hop: float = 0.5


class Silent(NpyFolder):
    looks_like = ""


@pytest.mark.parametrize(
    ("kind", "message"),
    [(Greedy, "recognises 'empty'"), (Shadowing, r"the options \['hop'\]"), (Silent, "what it looks like")],
)
def test_a_format_that_breaks_the_rules_is_refused(folders: dict[str, Path], kind: type[Format], message: str) -> None:
    with pytest.raises(NonConformant, match=message):
        check_format(kind(), folders["npy"], hop=0.5)
