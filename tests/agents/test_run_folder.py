"""Run folders: of one run at a time, and with files of the newest alone."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import filelock
import pytest
import torch
import yaml
from event_agents import StopError, agent, small_task, stopping
from program import Run, assert_one_sentence, config_file, environment, sources
from rl_postproc.agents.run_folder import run_folder

from rl_postproc.utils.errors import DataWarning, UserError

HOLD = """
import sys, time
from pathlib import Path
from rl_postproc.agents.run_folder import run_folder
with run_folder(Path(sys.argv[1])):
    (Path(sys.argv[1]) / "held").touch()
    time.sleep(300)
"""


def holding(folder: Path) -> subprocess.Popen:
    """Starts a process that holds a folder."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, folder], env=environment())
    deadline = time.monotonic() + 60
    while not (folder / "held").exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    return process


def test_a_second_run_in_a_folder_is_told_who_holds_it(run: Run, simulated: Path, tmp_path: Path) -> None:
    process = holding(tmp_path / "out")
    try:
        message = rf"Another run is at work in '.*out' \(process {process.pid} on .*, since .*\); wait .*another --out"
        for arguments in (
            ["train", "--agent", "default", *sources(simulated)],
            ["benchmark", config_file(tmp_path)],
            ["simulate", "--set", "n_clips=2"],
        ):
            assert_one_sentence(run(*arguments, "--out", tmp_path / "out"), message)
        assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [".lock", ".lock.holder", "held"]
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    # What a killed process held is free.
    assert run("train", "--agent", "default", *sources(simulated), "--out", tmp_path / "out")[0] == 0
    assert not [path.name for path in (tmp_path / "out").iterdir() if path.name.startswith(".")]


def test_a_lock_ends_with_the_block_and_an_empty_folder_goes(tmp_path: Path) -> None:
    out = tmp_path / "a" / "b"
    with run_folder(out):
        with pytest.raises(UserError, match="Another run is at work"), run_folder(out):
            pass
        assert out.is_dir()
    assert not (tmp_path / "a").exists()
    with pytest.raises(KeyboardInterrupt), run_folder(out):
        (out / "result").touch()
        raise KeyboardInterrupt
    assert [path.name for path in out.iterdir()] == ["result"]
    with run_folder(out):
        pass


def test_a_file_system_without_locks_is_a_note_and_one_that_cannot_be_written_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(number: int) -> Any:
        def acquire(*_: object, **__: object) -> None:
            raise OSError(number, os.strerror(number))

        return acquire

    monkeypatch.setattr(filelock.FileLock, "acquire", failing(errno.ENOLCK))
    with pytest.warns(DataWarning, match=r"has no locks .*start only one"), run_folder(tmp_path / "out"):
        (tmp_path / "out" / "x").touch()
    monkeypatch.setattr(filelock.FileLock, "acquire", failing(errno.EROFS))
    with pytest.raises(UserError, match=r"Cannot write '.*out/\.lock': Read-only"), run_folder(tmp_path / "out"):
        pass


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_run_leaves_nothing_of_an_earlier_one(run: Run, simulated: Path, tmp_path: Path) -> None:
    settings = [f"agent.{k}={v}" for k, v in {"rollouts": 1, "visits": 2, "members": 1, "hidden": 8}.items()]
    options = [x for setting in settings for x in ("--set", setting)]
    assert run("train", "--agent", "ppo", *options, *sources(simulated), "--out", "out")[0] == 0
    assert {"postprocessor.safetensors", "checkpoint_0.safetensors"} <= names(tmp_path / "out")
    (tmp_path / "out" / "mine.txt").write_text("a note")
    assert run("train", "--agent", "grid_search", *sources(simulated), "--out", "out", "--seed", 3)[0] == 0
    left = names(tmp_path / "out") - {"tensorboard"}
    assert {"postprocessor.json", "config.yaml", "versions.json", "curve.json", "report.json", "mine.txt"} <= left
    assert not [name for name in left if name.endswith(".safetensors")]
    assert not list((tmp_path / "out").glob("tensorboard/*"))
    assert json.loads((tmp_path / "out" / "versions.json").read_text())["seeds"] == [3]


def test_a_benchmark_leaves_no_plot_of_an_earlier_one_and_keeps_its_folds(run: Run, tmp_path: Path) -> None:
    config, out = config_file(tmp_path), tmp_path / "out"
    learning = "agents=[default, {agent: random_search, trials: 9}]"
    assert run("benchmark", config, "--out", out, "--set", learning)[0] == 0
    assert "curves.png" in names(out)
    assert run("benchmark", config, "--out", out)[0] == 0
    assert "curves.png" not in names(out)
    assert any(path.name.startswith("random_search") for path in (out / "folds").iterdir())


@pytest.mark.parametrize("command", ["train", "benchmark"])
def test_an_interrupted_run_leaves_config_and_versions_as_they_were(
    run: Run, simulated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    arguments: list[Any] = ["benchmark", config_file(tmp_path)]
    if command == "train":
        arguments = ["train", "--agent", "default", *sources(simulated)]
    assert run(*arguments, "--out", "out")[0] == 0
    before = {path: path.read_bytes() for path in Path("out").iterdir() if path.is_file()}

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("rl_postproc.agents.search.default.Default.fit", stop)
    other = ["--set", "metric.t_collar=0.4", "--set", "objective.objective=macro"]
    assert run(*arguments, *other, "--out", "out")[0] == 130
    assert {path: path.read_bytes() for path in Path("out").iterdir() if path.is_file()} == before
    assert run(*arguments, *other, "--out", "new")[0] == 130
    assert not Path("new").exists()
    assert yaml.safe_load(Path("out/config.yaml").read_text())["metric"]["t_collar"] == 0.2


def test_folders_of_other_commands_and_configs_of_the_user_are_refused(
    run: Run, simulated: Path, tmp_path: Path
) -> None:
    train = ["train", "--agent", "default", *sources(simulated)]
    assert run(*train, "--out", "trained")[0] == 0
    assert run("benchmark", config_file(tmp_path), "--out", "compared")[0] == 0
    assert_one_sentence(run(*train, "--out", "compared"), r"'compared' holds the folds of a benchmark")
    assert_one_sentence(
        run("benchmark", config_file(tmp_path), "--out", "trained"), r"'trained' holds a post-processor.*another --out"
    )
    own = (tmp_path / "config.yaml").read_text()
    for arguments in (train, ["benchmark", tmp_path / "config.yaml"]):
        assert_one_sentence(run(*arguments, "--out", tmp_path), r"config\.yaml' was not written by a run")
    assert (tmp_path / "config.yaml").read_text() == own


def test_simulate_refuses_clips_of_another_set(run: Run, tmp_path: Path) -> None:
    assert run("simulate", "--out", "data", "--set", "n_clips=3")[0] == 0
    assert run("simulate", "--out", "data", "--set", "n_clips=3", "--set", "seed=2")[0] == 0
    message = r"'data/scores/\S+\.tsv' is not of this data set; give another --out"
    assert_one_sentence(run("simulate", "--out", "data", "--set", "n_clips=2"), message)
    assert len(list((tmp_path / "data" / "scores").iterdir())) == 3
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "references.tsv").write_text("a.wav\t0\t1\tDog\n")
    assert_one_sentence(run("simulate", "--out", "mine"), r"'mine/references\.tsv' is not of this data set")


@pytest.mark.parametrize("what", ["checkpoint", "tensorboard"])
def test_a_full_disk_is_one_sentence_and_keeps_the_checkpoint(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = small_task(8)
    with pytest.raises(StopError):
        agent("tracks").fit_in(task, 1, stopping(2), tmp_path)
    before = (tmp_path / "checkpoint_0.safetensors").read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if what == "tensorboard":
        pytest.importorskip("tensorboard")
        monkeypatch.setattr("torch.utils.tensorboard.SummaryWriter.add_scalar", full)
    else:
        monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(UserError, match=rf"Cannot write '.*{what}.*': No space left on device; .*\.$"):
        agent("tracks").fit_in(task, 1, lambda *_: None, tmp_path, True)
    monkeypatch.undo()
    assert (tmp_path / "checkpoint_0.safetensors").read_bytes() == before
    assert not list(tmp_path.glob(".checkpoint*"))
    torch.manual_seed(0)
    assert len(agent("tracks").fit_in(task, 1, lambda *_: None, tmp_path, True).curve) == 5


def test_the_config_of_a_run_finds_its_data_from_anywhere(
    run: Run, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RL_POSTPROC_DATA", raising=False)
    names = {"scores": "scores", "references": "references.tsv", "durations": "durations.tsv"}
    beside = {key: f"data/{name}" for key, name in names.items()}
    for out, section in (("beside", beside), ("rooted", {**names, "root": "data"})):
        config = config_file(tmp_path, data=section, agents=["default"]).rename(tmp_path / f"{out}.yaml")
        assert run("benchmark", config.name, "--out", f"runs/{out}")[0] == 0
        (tmp_path / "elsewhere").mkdir(exist_ok=True)
        monkeypatch.chdir(tmp_path / "elsewhere")
        code, _, err = run("benchmark", f"../runs/{out}/config.yaml", "--out", "again")
        assert code == 0, err
        first, second = (
            json.loads(Path(path, "results.json").read_text())["rows"][0] for path in (f"../runs/{out}", "again")
        )
        assert first["macro_f1"] == second["macro_f1"]
        monkeypatch.chdir(tmp_path)
