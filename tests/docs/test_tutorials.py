"""Each tutorial is a script, a notebook and a page that say the same, and the notebook runs as a reader would run it.

After changing a script, in docs/tutorials:
jupytext --sync NAME.py
jupytext --to md:markdown --opt notebook_metadata_filter=-all --opt cell_metadata_filter=-all -o NAME.md NAME.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from program import ROOT, environment

FOLDER = ROOT / "docs" / "tutorials"
TUTORIALS = sorted(path.stem for path in FOLDER.glob("*.py"))


def library(name: str) -> Any:
    return pytest.importorskip(name, reason=f"needs {name}: pip install 'rl-postproc[docs]'")


def cells(notebook: Any) -> list[tuple[str, str]]:
    return [(cell.cell_type, cell.source) for cell in notebook.cells]


def test_the_three_tutorials_are_there() -> None:
    assert TUTORIALS == ["train_ppo_in_my_library", "tune_my_scores", "write_a_stage"]
    for suffix in (".ipynb", ".md"):
        assert sorted(path.stem for path in FOLDER.glob(f"*{suffix}")) == TUTORIALS


@pytest.mark.parametrize("name", TUTORIALS)
def test_script_notebook_and_page_say_the_same(name: str) -> None:
    jupytext = library("jupytext")
    script = jupytext.read(FOLDER / f"{name}.py")
    notebook = jupytext.read(FOLDER / f"{name}.ipynb")
    assert cells(notebook) == cells(script)
    assert script.metadata["jupytext"]["formats"] == notebook.metadata["jupytext"]["formats"] == "ipynb,py:percent"
    outputs = [cell for cell in notebook.cells if cell.get("outputs") or cell.get("execution_count")]
    assert not outputs, "notebooks are kept without outputs: jupytext --sync"
    script.metadata["jupytext"] = {"notebook_metadata_filter": "-all", "cell_metadata_filter": "-all"}
    page = (FOLDER / f"{name}.md").read_text(encoding="utf-8")
    assert page == jupytext.writes(script, fmt="md:markdown"), "write the page anew"


@pytest.mark.slow
@pytest.mark.parametrize("name", TUTORIALS)
def test_the_notebook_runs_from_its_first_cell_to_its_last(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nbclient, _ = library("nbclient"), library("ipykernel")
    notebook = library("nbformat").read(FOLDER / f"{name}.ipynb", as_version=4)
    for variable, value in environment().items():
        monkeypatch.setenv(variable, value)
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code)
    assert any(output.get("name") == "stdout" for cell in code for output in cell.outputs)
