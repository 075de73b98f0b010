"""Lists of classes."""

from __future__ import annotations

from pathlib import Path

import pytest

from rl_postproc.formats.folder import read_classes
from rl_postproc.utils.errors import UserError


def test_classes_come_from_a_list_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("Cat\n\n Bell, alarm \n")
    assert read_classes(tmp_path / "classes.txt") == ["Cat", "Bell, alarm"]
    assert read_classes(str(tmp_path / "classes.txt")) == ["Cat", "Bell, alarm"]
    assert read_classes(("Dog", "Cat")) == ["Dog", "Cat"]
    assert read_classes(None) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [(b"Cat\n\nDog\nCat\n", "classes.txt', row 4: the class 'Cat' occurs twice"), (b"\n", "classes.txt' is empty"),
     (b"Caf\xe9", "not a text file in UTF-8"), (None, "Cannot read '.*classes.txt'")],
)  # fmt: skip
def test_bad_list_of_classes_is_refused(tmp_path: Path, text: bytes | None, message: str) -> None:
    if text is not None:
        (tmp_path / "classes.txt").write_bytes(text)
    with pytest.raises(UserError, match=message):
        read_classes(tmp_path / "classes.txt")
