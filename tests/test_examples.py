"""What pages show of optional libraries has run (the rest: tests/docs), and every example learns.

python -m pytest tests/test_examples.py            # the code of docs/reinforcement_learning.md
python -m pytest -m slow tests/test_examples.py    # the scripts in examples/
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from page_blocks import blocks_of

ROOT = Path(__file__).resolve().parents[1]
GUIDE = ROOT / "docs" / "reinforcement_learning.md"
LIBRARIES = {"stable_baselines3": "rl-postproc", "torchrl": "rl-postproc[torchrl]", "tianshou": "rl-postproc[tianshou]",
             "pettingzoo": "rl-postproc[pettingzoo]", "ray": "rl-postproc[rllib]"}  # fmt: skip
ADAPTERS = {"rllib": "ray"}
SHARED = "event_policy"
"""Module of the examples that is no script."""
SCRIPTS = sorted(path.stem for path in (ROOT / "examples").glob("*.py") if path.stem != SHARED)


def blocks() -> list[tuple[int, str]]:
    """The code of the guide that tests/docs leaves to this file, each block with its line."""
    return [(block.line, block.code) for block in blocks_of(GUIDE) if "tests/test_examples.py" in (block.not_run or "")]


def skip_without_libraries(code: str) -> None:
    names = set(re.findall(r"(?m)^(?:from|import) (\w+)", code))
    adapters = re.findall(r"rl_postproc\.envs\.adapters\.(\w+)", code)
    names |= {ADAPTERS.get(name, name) for name in adapters}
    for name in sorted(names & LIBRARIES.keys()):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"needs {name}: pip install '{LIBRARIES[name]}'")


def run(arguments: list[str], cwd: Path = ROOT) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, timeout=500
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.parametrize(("line", "code"), blocks(), ids=lambda value: str(value).split("\n")[0][:30])
def test_the_code_of_the_guide_runs(line, code, tmp_path):
    skip_without_libraries(code)
    run(["-c", "import torch\ntorch.set_num_threads(1)\n" + code], tmp_path)


def test_the_guide_has_code_for_every_adapter():
    shown = {
        name for block in blocks_of(GUIDE) for name in re.findall(r"rl_postproc\.envs\.adapters\.(\w+)", block.code)
    }
    adapters = {p.stem for p in (ROOT / "envs" / "adapters").glob("*.py")} - {"__init__"}
    assert shown == adapters


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_example_uses_the_shared_network_and_settings(script):
    code = (ROOT / "examples" / f"{script}.py").read_text(encoding="utf-8")
    for name in ("EventPolicy", "SETTINGS", "load_tasks", "parser_of", "report"):
        assert re.search(rf"from {SHARED} import .*\b{name}\b", code)


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS)
def test_the_example_learns_more_than_grid_search_and_is_applied_from_its_file(script, tmp_path):
    skip_without_libraries((ROOT / "examples" / f"{script}.py").read_text(encoding="utf-8"))
    printed = run([f"examples/{script}.py", "--out", str(tmp_path / "run")])
    found = re.search(r"policy ([\d.]+), grid search ([\d.]+), threshold 0.5 ([\d.]+)", printed)
    assert found, printed
    policy, grid_search, half = (float(number) for number in found.groups())
    assert policy > grid_search > half
    run(["-m", "rl_postproc", "simulate", "--out", "data", "--set", "n_clips=8", "--set", "seed=7"], tmp_path)
    plugin = str(ROOT / "examples" / f"{SHARED}.py")
    run(["-m", "rl_postproc", "apply", "run", "data/scores", "--out", "events.tsv", "--plugin", plugin], tmp_path)
    assert "sim_00000" in (tmp_path / "events.tsv").read_text(encoding="utf-8")


@pytest.mark.slow
def test_rllib_learns_with_two_rollout_workers(tmp_path):
    skip_without_libraries("import ray")
    printed = run(["examples/rllib_ppo.py", "--runners", "2", "--steps", "40000"])
    policy, grid_search = re.search(r"policy ([\d.]+), grid search ([\d.]+)", printed).groups()
    assert float(policy) > float(grid_search)


def test_the_throughput_table_has_a_row_for_every_route():
    printed = run(["benchmarks/route_throughput.py", "--num-envs", "8", "--seconds", "0.01"])
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        import route_throughput
    finally:
        sys.path.pop(0)
    rows = [line.split(" | ")[0].removeprefix("| ") for line in printed.splitlines()[2:]]
    assert rows == list(route_throughput.ROUTES)
    guide = GUIDE.read_text(encoding="utf-8")
    assert all(f"| {name} |" in guide for name in rows)
