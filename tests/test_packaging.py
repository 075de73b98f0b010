"""The wheel: built from a copy of the tree, installed elsewhere, and used beside folders that bear its names."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.slow


def call(*arguments: object, cwd: Path, path: Path | None = None) -> str:
    """Runs Python with arguments in a folder; ``path`` takes the place of PYTHONPATH."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"OMP_NUM_THREADS": "1"}
    if path is not None:
        environment["PYTHONPATH"] = str(path)
    done = subprocess.run(
        [sys.executable, *map(str, arguments)], cwd=cwd, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of a copy of the tree."""
    folder = tmp_path_factory.mktemp("wheel")
    unwanted = shutil.ignore_patterns(".*_cache", ".git", ".hypothesis", "__pycache__", "*.egg-info", "runs", "build")
    shutil.copytree(ROOT, folder / "tree", ignore=unwanted)
    call("-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-w", folder, folder / "tree", cwd=folder)
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which the wheel is installed."""
    target = tmp_path_factory.mktemp("installed") / "site"
    call("-m", "pip", "install", "--no-deps", "--target", target, wheel, cwd=target.parent)
    return target


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A user's folder with an ``envs`` and an ``agents`` of their own, which must be left alone."""
    for name in ("envs", "agents"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise RuntimeError('the wrong folder was imported')\n")
    return tmp_path


def test_the_wheel_holds_every_module_and_config_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    expected = {
        f"{package}/{path.relative_to(folder)}"
        for package, folder in {
            "rl_postproc": ROOT / "rl_postproc",
            "rl_postproc/envs": ROOT / "envs",
            "rl_postproc/agents": ROOT / "agents",
            "rl_postproc/configs": ROOT / "configs",
        }.items()
        for path in folder.rglob("*")
        if path.suffix in (".py", ".yaml", ".csv")
        or path.name == "py.typed"
        or path.parent.name == "page"
        or path.parent.parent.name == "trained"
    }
    assert {name for name in names if ".dist-info/" not in name} == expected
    assert any(name.endswith("LICENSE") for name in names)


def test_the_subpackages_come_from_the_wheel_beside_folders_of_the_same_name(installed: Path, elsewhere: Path) -> None:
    code = (
        "import json, rl_postproc, rl_postproc.envs, rl_postproc.agents, gymnasium\n"
        "env = gymnasium.make('rl_postproc/PostProcessing-v0', scores={'data': {'simulated': {'n_clips': 2}}})\n"
        "env.reset(seed=0); env.step(env.action_space.sample())\n"
        "modules = (rl_postproc, rl_postproc.envs, rl_postproc.agents)\n"
        "print(json.dumps([m.__file__ for m in modules] + sorted(rl_postproc.agents.Agent.types())))\n"
    )
    found = json.loads(call("-c", code, cwd=elsewhere, path=installed).splitlines()[-1])
    assert all(Path(file).is_relative_to(installed) for file in found[:3])
    assert {"default", "grid_search", "ppo", "sgl_thresh"} <= set(found[3:])


def test_the_demo_runs_from_the_wheel(installed: Path, elsewhere: Path) -> None:
    settings = [
        "data.simulated.n_clips=10", "folds=2",
        "agents=[default, grid_search, {agent: ppo, rollouts: 1}]",
    ]  # fmt: skip
    options = [x for setting in settings for x in ("--set", setting)]
    out = call("-m", "rl_postproc", "demo", "--out", "run", "--threads", "1", *options, cwd=elsewhere, path=installed)
    assert "grid_search" in out
    results = json.loads((elsewhere / "run" / "results.json").read_text())
    assert [row["agent"] for row in results["rows"]] == ["default", "grid_search", "ppo"]
    assert (elsewhere / "run" / "clip.png").exists()


def test_what_comes_trained_is_applied_from_the_wheel(installed: Path, elsewhere: Path) -> None:
    for command in (["simulate", "--out", "data", "--set", "n_clips=4"],
                    ["apply", "universal", "data/scores", "--out", "events.tsv"]):  # fmt: skip
        call("-m", "rl_postproc", *command, cwd=elsewhere, path=installed)
    assert len((elsewhere / "events.tsv").read_text().splitlines()) > 4


def test_the_console_command_is_installed(installed: Path, elsewhere: Path) -> None:
    assert "rl-postproc" in call(installed / "bin" / "rl-postproc", "--version", cwd=elsewhere, path=installed)


def test_a_plain_checkout_imports_from_its_own_folders(elsewhere: Path) -> None:
    code = "import rl_postproc.envs, rl_postproc.agents; print(rl_postproc.envs.__file__, rl_postproc.agents.__file__)"
    found = call("-c", code, cwd=elsewhere, path=ROOT).split()
    assert [Path(file) for file in found] == [ROOT / "envs" / "__init__.py", ROOT / "agents" / "__init__.py"]
