"""The examples in docstrings run, and every name of the public face that a program calls has one."""

from __future__ import annotations

import doctest
import importlib

import pytest
from program import ROOT

import rl_postproc


def modules_with_examples() -> list[str]:
    """Returns the modules whose docstrings hold examples."""
    found = []
    for folder in ("rl_postproc", "envs", "agents"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if ">>> " in path.read_text(encoding="utf-8"):
                parts = path.relative_to(ROOT).with_suffix("").parts
                name = ".".join(part for part in parts if part != "__init__")
                found.append(name if folder == "rl_postproc" else f"rl_postproc.{name}")
    return found


@pytest.mark.parametrize("name", modules_with_examples())
def test_the_examples_of_a_module_give_what_they_show(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize("name", ["evaluate", "read_scores", "simulate", "tune"])
def test_every_public_function_shows_an_example(name: str) -> None:
    assert ">>> " in (getattr(rl_postproc, name).__doc__ or "")


@pytest.mark.parametrize("name", rl_postproc.__all__)
def test_every_public_name_is_there_and_documented(name: str) -> None:
    assert getattr(rl_postproc, name).__doc__
