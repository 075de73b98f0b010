"""The program answers at once: neither `import rl_postproc` nor `--help` loads what only work needs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from program import environment

HEAVY = (
    "torch", "gymnasium", "stable_baselines3", "matplotlib", "scipy", "lightgbm", "sed_eval", "numpy", "pandas", "soundfile",
)  # fmt: skip


def measure(code: str, folder: Path) -> tuple[float, set[str]]:
    """Runs code in a process of its own, and returns its processor time and the heavy packages that it imported."""
    report = (
        "import json, sys, time\nbegin = time.process_time()\n"
        f"{code}\n"
        f"found = [name for name in {HEAVY} if name in sys.modules]\n"
        "print(json.dumps([time.process_time() - begin, found]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", report], cwd=folder, env=environment(), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    seconds, found = json.loads(done.stdout.splitlines()[-1])
    return seconds, set(found)


def test_importing_the_package_costs_next_to_nothing(tmp_path: Path) -> None:
    seconds, found = measure("import rl_postproc\ndir(rl_postproc)\nrl_postproc.UserError", tmp_path)
    assert not found
    assert seconds < 0.3


@pytest.mark.parametrize(
    "command",
    ["", "demo", "benchmark", "train", "apply", "export", "evaluate", "simulate", "list", "datasets", "download", "scores",
     "scores panns", "scores python"],
)  # fmt: skip
def test_help_loads_nothing_heavy(command: str, tmp_path: Path) -> None:
    arguments = ["rl-postproc", *command.split(), "--help"]
    code = (
        f"sys.argv = {arguments}\nfrom rl_postproc.agents.cli import main\n"
        "try:\n    main()\nexcept SystemExit as stop:\n    assert not stop.code\n"
    )
    seconds, found = measure(code, tmp_path)
    assert not found
    assert seconds < 1.0


def test_a_usage_error_loads_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "sys.argv = ['rl-postproc', 'train', '--outt', 'x']\nfrom rl_postproc.agents.cli import main\n"
        "try:\n    main()\nexcept SystemExit as stop:\n    assert stop.code == 2\n"
    )
    assert not measure(code, tmp_path)[1]


def test_every_name_of_the_public_face_is_there() -> None:
    import rl_postproc

    for name in rl_postproc.__all__:
        assert getattr(rl_postproc, name).__name__ == name
    assert set(rl_postproc.__all__) <= set(dir(rl_postproc))
    with pytest.raises(AttributeError, match="no attribute 'tun'"):
        _ = rl_postproc.tun
