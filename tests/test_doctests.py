"""The examples in docstrings run, and every name of the public face that a program calls has one."""

from __future__ import annotations

import doctest
import importlib
from operator import attrgetter

import pytest
import rl_postproc.envs
from program import ROOT

import rl_postproc

ENVIRONMENTS = [name for name in rl_postproc.envs.__all__ if name.startswith("PostProcessing")]


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


@pytest.mark.parametrize("name", [*rl_postproc.__all__, *(f"envs.{name}" for name in ENVIRONMENTS)])
def test_every_public_name_shows_an_example(name: str) -> None:
    assert ">>> " in (attrgetter(name)(rl_postproc).__doc__ or "")
