"""The code blocks of a page of documentation: read, and run one after another as a reader would.

python tests/page_blocks.py README.md [--slow]    # in an empty folder, after `rl-postproc simulate --out data`

Python blocks share one namespace; blocks of the shell have the program as `rl-postproc`. On the line before a block may stand
``<!-- not run: REASON -->``, or ``<!-- slow -->`` for what takes more than seconds.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
import types
from dataclasses import dataclass
from pathlib import Path

SHELL = ("sh", "bash", "console")
_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>[\w-]*)[^\n]*\n(?P<code>.*?)^(?P=indent)```", re.M | re.S)
_MARKER = re.compile(r"<!-- *(slow|not run: *(?P<reason>[^>]*?)) *-->\s*$")


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        language: as the page names it, empty where it does not.
        code: what is inside.
        line: of the page, counted from 1, on which the code begins.
        slow: whether it takes more than seconds.
        not_run: why it is not run, None where it is.
    """

    language: str
    code: str
    line: int
    slow: bool
    not_run: str | None


def blocks_of(page: Path) -> list[Block]:
    """Returns the fenced blocks of a page, in order."""
    text, found = page.read_text(encoding="utf-8"), []
    for fence in _FENCE.finditer(text):
        indent = fence["indent"]
        code = "".join(line.removeprefix(indent) for line in fence["code"].splitlines(keepends=True))
        before = text[: fence.start()].rstrip("\n")
        marker = _MARKER.search(before[before.rfind("\n") + 1 :])
        line = text.count("\n", 0, fence.start("code")) + 1
        slow = marker is not None and marker["reason"] is None
        found.append(Block(fence["language"], code, line, slow, None if marker is None else marker["reason"]))
    return found


def runs(block: Block, slow: bool) -> bool:
    """Returns whether a block is run, with the slow ones or without."""
    return block.not_run is None and (slow or not block.slow) and block.language in ("python", *SHELL)


def with_program(folder: Path) -> dict[str, str]:
    """Puts the program into a folder as `rl-postproc`, and returns the environment of a shell that finds it there."""
    program = folder / "rl-postproc"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m rl_postproc "$@"\n')
    program.chmod(0o755)
    return {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


def run_page(page: Path, slow: bool) -> None:
    """Runs the blocks of a page in this process and this folder; an error names the line of the page."""
    sys.modules["__main__"] = program = types.ModuleType("__main__")
    with tempfile.TemporaryDirectory() as programs:
        environment = with_program(Path(programs))
        for block in blocks_of(page):
            if not runs(block, slow):
                continue
            print(f"{page.name}, line {block.line}", flush=True)
            if block.language == "python":
                source = "\n" * (block.line - 1) + block.code
                exec(compile(source, str(page), "exec", dont_inherit=True), vars(program))
                continue
            code = block.code
            if block.language == "console":
                code = "\n".join(re.findall(r"^\$ (.*)", code, re.M))
            done = subprocess.run(["sh", "-c", f"set -e\n{code}"], env=environment)
            if done.returncode != 0:
                sys.exit(f"The commands at {page}, line {block.line} ended with {done.returncode}.")


if __name__ == "__main__":
    # As the interpreter does for a script of the reader's own.
    sys.path[0] = ""
    run_page(Path(sys.argv[1]).resolve(), "--slow" in sys.argv[2:])
