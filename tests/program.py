"""Calling the program, and small inputs for it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]

SIMULATED = ["--set", "n_clips=12", "--set", "classes=[Cat, Dog, Speech]", "--set", "clip_seconds=5", "--set", "seed=4"]

STACK = [{"stage": "median", "kernel": [0, 0.3]}, {"stage": "threshold", "threshold": [0.3, 0.5, 0.7]}]

Run = Callable[..., tuple[int, str, str]]


def process(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Runs the program in a process of its own."""
    return subprocess.run(command(*arguments), cwd=cwd, env=environment(), capture_output=True, text=True, timeout=300)


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "rl_postproc", *map(str, arguments)]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def sources(data: Path) -> list[object]:
    return ["--scores", data / "scores", "--references", data / "references.tsv", "--durations", data / "durations.tsv"]


def config_file(folder: Path, **values: object) -> Path:
    """Writes a small benchmark config."""
    config = {
        "title": "small",
        "data": {"simulated": {"n_clips": 12, "classes": ["Cat", "Dog", "Speech"], "clip_seconds": 5}},
        "stack": STACK,
        "agents": ["default", "grid_search"],
        "folds": 3,
        **values,
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def assert_one_sentence(result: tuple[int, str, str], message: str) -> None:
    """Asserts exit code 2 and one sentence on the error output that fits the pattern."""
    code, out, err = result
    # Where no terminal shows a bar, lines of progress come before it on a slow machine.
    sentence = re.sub(r"(?m)^\[\d+:\d\d\] .*\n", "", err).strip()
    # Work that fails later, such as writing, has told its data before.
    sentence = re.sub(r"(?s)^Data  .*(?=^Error: )", "", sentence, flags=re.MULTILINE)
    assert code == 2, (out, err)
    assert not out.strip()
    assert sentence.startswith("Error: ")
    assert "\n" not in sentence
    assert "Traceback" not in err
    assert re.search(message, sentence), sentence
    assert sentence.endswith(".")
