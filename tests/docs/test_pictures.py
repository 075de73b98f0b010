"""The pictures of the concepts: their script makes them, and they show what the page says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from program import ROOT, environment

PICTURES = ROOT / "docs" / "pictures"
CONCEPTS = (ROOT / "docs" / "concepts.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    done = subprocess.run(
        [sys.executable, ROOT / "docs" / "pictures.py", "--out", folder],
        env=environment(), capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


def texts(path: Path) -> list[str]:
    """The words and numbers in a picture, which is whole XML."""
    return [node.text or "" for node in ElementTree.parse(path).iter("{http://www.w3.org/2000/svg}text")]


def test_the_script_makes_the_pictures_that_are_shown(made: Path) -> None:
    names = {path.name for path in made.iterdir()}
    assert names == {path.name for path in PICTURES.iterdir()} == set(re.findall(r"\(pictures/(\w+\.svg)\)", CONCEPTS))
    for name in names:
        assert texts(made / name) == texts(PICTURES / name), name
        assert (PICTURES / name).stat().st_size < 200_000


def test_the_figures_that_the_page_names_are_in_the_pictures() -> None:
    def said(pattern: str) -> list[str]:
        found = re.search(pattern, CONCEPTS)
        assert found, pattern
        return list(found.groups())

    def shown(name: str) -> str:
        return " ".join(texts(PICTURES / f"{name}.svg"))

    candidates, best = said(r"best of (\d+) candidates, ([\d.]+) %")
    assert f"{candidates} candidates, the best {best} %" in shown("candidate")
    assert f"decode {said(r'below them ([0-9]+) distinct events')[0]} distinct events" in shown("decoded_event")
    assert f"highest F1 = {said(r'λ = ([0-9.]+), the highest F1')[0]}" in shown("lambda")
    assert "60 frames, 60 distinct runs" in shown("level")


def test_an_unknown_picture_is_named() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "docs" / "pictures.py", "clip", "tune"],
        env=environment(), capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 2
    assert "no such picture: tune" in done.stderr
