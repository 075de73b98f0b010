"""The version of the code: the same for the same files wherever they stand, another for any change."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from program import ROOT

from rl_postproc.utils.code_version import code_version

SOURCES = shutil.ignore_patterns("__pycache__")


def version_in(place: Path) -> str:
    """The version that a process of its own finds with the package in a folder."""
    code = "from rl_postproc.utils.code_version import code_version; print(code_version())"
    # -I keeps other copies of the package out of the way
    code = f"import sys; sys.path.insert(0, {str(place)!r}); {code}"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True, cwd=place)
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy with envs/ and agents/ beside the package."""
    for name in ("rl_postproc", "envs", "agents", "configs"):
        shutil.copytree(ROOT / name, tmp_path / "checkout" / name, ignore=SOURCES)
    return tmp_path / "checkout"


def test_an_installed_package_and_a_checkout_have_the_same_version(checkout: Path, tmp_path: Path) -> None:
    shutil.copytree(checkout / "rl_postproc", tmp_path / "installed" / "rl_postproc")
    for name in ("envs", "agents", "configs"):
        shutil.copytree(checkout / name, tmp_path / "installed" / "rl_postproc" / name)
    assert version_in(checkout) == version_in(tmp_path / "installed") == code_version()
    assert len(code_version()) == 12


@pytest.mark.parametrize(
    "file", ["rl_postproc/metrics/f1.py", "envs/engine.py", "agents/rl/ppo.py", "agents/search/brand_new.py"]
)
def test_any_change_of_any_source_file_makes_another_version(checkout: Path, file: str) -> None:
    with (checkout / file).open("a") as handle:
        handle.write("# a change\n")
    assert version_in(checkout) != code_version()


def test_a_file_that_moves_makes_another_version(checkout: Path) -> None:
    (checkout / "envs" / "rendering.py").rename(checkout / "envs" / "drawing.py")
    assert version_in(checkout) != code_version()


def test_what_is_no_source_of_the_package_does_not_count(checkout: Path) -> None:
    (checkout / "configs" / "mine.yaml").write_text("title: mine\n")
    (checkout / "notes.py").write_text("x = 1\n")
    (checkout / "envs" / "notes.txt").write_text("x\n")
    assert version_in(checkout) == code_version()
