"""Every block of code in the documentation runs, page by page, or says why it does not.

python -m pytest tests/docs                       # without the blocks that take more than seconds
python -m pytest -m slow tests/docs               # with them, and the tutorials as notebooks
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import page_blocks
import pytest
import yaml
from page_blocks import SHELL, Block, blocks_of, runs
from program import ROOT, environment, process
from rl_postproc.agents.benchmark.config import BenchmarkConfig
from rl_postproc.agents.universal.make import Recipe

from rl_postproc.config import build_config

PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "rl_postproc").rglob("*.md"))
)
REASONS = (
    r"installs the package",
    r"takes (an hour|hours)",
    r"needs (a download|a cluster|a detector|recordings|an account)",
    r"needs (torchrl|tianshou|pettingzoo|RLlib); tests/test_examples\.py runs it",
)
"""Why a block may not be run."""
MOST_NOT_RUN = 18


def blocks(page: str) -> list[Block]:
    return blocks_of(ROOT / page)


def pages_with(slow: bool) -> list[str]:
    """Returns the pages that have something to run, or something slow."""
    return [page for page in PAGES if any(runs(block, slow) and block.slow >= slow for block in blocks(page))]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the pages call ``data``."""
    folder = tmp_path_factory.mktemp("files")
    done = process("simulate", "--out", "data", "--set", "n_clips=20", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "data"


def run(page: str, files: Path, folder: Path, slow: bool) -> None:
    shutil.copytree(files, folder / "data")
    done = subprocess.run(
        [sys.executable, page_blocks.__file__, str(ROOT / page), *(["--slow"] if slow else [])],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-1500:] + done.stderr[-3000:]


@pytest.mark.parametrize("page", pages_with(slow=False))
def test_the_blocks_of_a_page_run_one_after_another(page: str, files: Path, tmp_path: Path) -> None:
    run(page, files, tmp_path, slow=False)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("page", pages_with(slow=True))
def test_the_slow_blocks_of_a_page_run_with_the_others(page: str, files: Path, tmp_path: Path) -> None:
    run(page, files, tmp_path, slow=True)


def test_a_block_that_is_not_run_has_one_of_few_reasons() -> None:
    reasons = {f"{page}:{block.line}": block.not_run for page in PAGES for block in blocks(page) if block.not_run}
    unknown = {place: why for place, why in reasons.items() if not any(re.search(known, why) for known in REASONS)}
    assert not unknown
    assert len(reasons) <= MOST_NOT_RUN, "\n".join(f"{place}: {why}" for place, why in reasons.items())


@pytest.mark.parametrize("page", PAGES)
def test_every_marker_stands_before_a_block_that_it_can_speak_of(page: str) -> None:
    markers = re.findall(r"(?m)^ *<!-- *(?:slow|not run)\b.*-->", (ROOT / page).read_text(encoding="utf-8"))
    marked = [block for block in blocks(page) if block.slow or block.not_run]
    assert len(markers) == len(marked)
    assert {block.language for block in marked} <= {"python", *SHELL}


@pytest.mark.parametrize("page", [page for page in PAGES if any(b.language in ("yaml", "json") for b in blocks(page))])
def test_settings_that_a_page_shows_can_be_read(page: str) -> None:
    for block in blocks(page):
        if block.language == "json":
            json.loads(block.code)
        if block.language != "yaml":
            continue
        values = yaml.safe_load(block.code)
        for config in (BenchmarkConfig, Recipe):
            if values.keys() <= config.model_fields.keys():
                build_config(config, values, f"{page}, line {block.line}")


def test_blocks_are_found_with_their_lines_and_markers(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A page\n\n```python\na = 1\n```\n<!-- slow -->\n```sh\nls\n```\n\n"
        "1. in a list\n\n   <!-- not run: takes hours -->\n   ```console\n   $ ls\n   a\n   ```\n```\nplain\n```\n"
    )
    python, shell, console, plain = blocks_of(page)
    assert python == Block("python", "a = 1\n", 4, False, None)
    assert shell == Block("sh", "ls\n", 8, True, None)
    assert (console.code, console.not_run, console.slow) == ("$ ls\na\n", "takes hours", False)
    assert plain.language == "" and not runs(plain, slow=True)


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ("```python\nb = a + 1\nassert b == 3\n```\n", "line 6, in <module>"),
        ("```sh\nrl-postproc evaluate nothing.tsv --references nothing.tsv\n```\n", "line 5 ended with 2"),
        ("```console\n$ false\n```\n", "line 5 ended with 1"),
    ],
)
def test_a_block_that_fails_is_named_by_its_line(block: str, message: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```python\na = 1\n```\n" + block)
    done = subprocess.run(
        [sys.executable, page_blocks.__file__, page], cwd=tmp_path, env=environment(), capture_output=True, text=True
    )
    assert done.returncode != 0
    assert message in done.stderr
