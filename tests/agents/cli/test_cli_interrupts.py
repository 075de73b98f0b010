"""Ctrl-C: one sentence on what is kept, and the command that goes on, wherever it falls."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cases import small_simulation
from program import Run, command, environment, sources
from rl_postproc.agents.search.default import Default

from rl_postproc.formats import write_scores
from rl_postproc.formats.scores import sed_scores
from rl_postproc.pipeline.postprocessor import PostProcessor
from rl_postproc.pipeline.stack import Stack

IMPORTING = """
import os, runpy, signal, sys
def interrupt(event, arguments):
    if event == "import" and arguments[0] == {module!r}:
        os.kill(os.getpid(), signal.SIGINT)
sys.addaudithook(interrupt)
runpy.run_module("rl_postproc", run_name="__main__", alter_sys=True)
"""


def started(words: list[str], folder: Path, own_group: bool = False) -> subprocess.Popen[str]:
    return subprocess.Popen(
        words, cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=own_group,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # background jobs of a shell ignore it
    )  # fmt: skip


def told(code: int, err: str) -> tuple[str, str]:
    """Returns the sentence and the command with which an interrupt is told, after notes and lines of progress."""
    assert code == 130 and "Traceback" not in err, (code, err)
    *_, sentence, again = err.splitlines()
    assert sentence.startswith("Stopped; "), err
    return sentence, again


@pytest.mark.parametrize("module", ["typer", "torch", "torch.nn", "stable_baselines3"])
def test_in_the_slow_start_nothing_was_written(module: str, simulated: Path, tmp_path: Path) -> None:
    words = [sys.executable, "-c", IMPORTING.format(module=module), "train", "--out", "run"]
    process = started([*words, *map(str, sources(simulated))], tmp_path)
    _, err = process.communicate(timeout=120)
    sentence, again = told(process.returncode, err)
    assert sentence == "Stopped; nothing half-written was left. The same command starts anew:"
    assert again.startswith(f"rl-postproc train --out run --scores {simulated}/scores ")
    assert not (tmp_path / "run").exists()


def test_an_interrupted_training_goes_on_with_the_command_that_is_told(
    run: Run, simulated: Path, tmp_path: Path
) -> None:
    rest = ["--agent", "event_value", "--set", "agent.rounds=800", "--set", "agent.fallback=false"]
    arguments: list[Any] = ["train", "--out", "run", *rest, *sources(simulated)]
    process = started(command(*arguments), tmp_path)
    deadline = time.monotonic() + 120
    while not list((tmp_path / "run").glob("parts/*_0.safetensors")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    sentence, again = told(process.returncode, err)
    assert sentence == "Stopped; what is finished is kept in 'run'. Go on from there with:"
    assert again.startswith("rl-postproc train ") and again.endswith(" --resume")
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"parts"}
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "run" / "parts").iterdir()}
    assert 0 < len(before) < 4
    assert run(*again.split()[1:])[0] == 0
    assert before.items() <= {path: path.stat().st_mtime_ns for path in (tmp_path / "run" / "parts").iterdir()}.items()
    assert run("train", "--out", "whole", *rest, *sources(simulated))[0] == 0
    for name in ("postprocessor.json", "postprocessor.safetensors", "curve.json", "report.json"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Tests may run in the background, where interrupts are ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("disguised", [False, True])
@pytest.mark.usefixtures("interruptible")
def test_an_agent_that_takes_seconds_starts_anew(
    run: Run, simulated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, disguised: bool
) -> None:
    def stop(*_: object, **__: object) -> None:
        if not disguised:
            raise KeyboardInterrupt
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1)
        except KeyboardInterrupt:
            raise ImportError("as imports of compiled modules do") from None

    train = ["train", "--agent", "default", "--out", "run", *sources(simulated)]
    with monkeypatch.context() as patch:
        patch.setattr(Default, "fit", stop)
        code, _, err = run(*train)
        for more in (["demo", "--out", "demo"], ["benchmark", "demo", "--out", "demo", "--agents", "default"]):
            sentence, again = told(*run(*more, "--set", "data.simulated.n_clips=6")[::2])
            assert sentence == (
                "Stopped; finished folds, if any, are kept in 'demo/folds'. The same command goes on from there:"
            )
    sentence, again = told(code, err)
    assert sentence == "Stopped; nothing was written, since 'default' keeps no parts. The same command starts anew:"
    assert again.startswith("rl-postproc train --agent default") and "--resume" not in again
    assert not (tmp_path / "run").exists()
    code, _, err = run(*train, "--resume")
    assert code == 0 and "Note: The agent 'default' keeps no parts of an interrupted run" in err


def test_an_interrupted_simulation_says_what_is_there(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulate = ["simulate", "--out", "data", "--set", "n_clips=3"]
    assert run(*simulate)[0] == 0
    expected = {path.relative_to(tmp_path): path.read_bytes() for path in (tmp_path / "data").rglob("*.tsv")}
    real = sed_scores.write_whole_text

    def stop(path: Path, text: str) -> None:
        real(path, text)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(sed_scores, "write_whole_text", stop)
        sentence, again = told(*run(*simulate)[::2])
    assert sentence.startswith("Stopped; 'data' holds a part of the score files, and no tables.")
    assert not list((tmp_path / "data").glob("*.tsv"))
    assert run(*again.split()[1:])[0] == 0
    assert {path.relative_to(tmp_path): path.read_bytes() for path in (tmp_path / "data").rglob("*.tsv")} == expected


def test_ignored_interrupts_stay_ignored(run: Run) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert run("--version")[0] == 0
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
    assert run("--version")[0] == 0
    assert signal.getsignal(signal.SIGINT) is before


def test_several_processes_end_with_the_first(tmp_path: Path) -> None:
    scores = small_simulation(60, 3)
    write_scores(scores, tmp_path / "scores")
    PostProcessor.constant(Stack.default(), scores, Stack.default().space.defaults).save(tmp_path / "run")
    process = started(command("apply", "run", "scores", "--jobs", 2, "--out", "new/events.tsv"), tmp_path, True)

    def workers() -> list[int]:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        return [int(pid) for pid in children.read_text().split()] if children.exists() else []

    deadline = time.monotonic() + 60
    while len(found := workers()) < 3 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(found) == 3, "two processes have begun, and what looks after shared memory"
    time.sleep(0.3)  # they are importing
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    _, err = process.communicate(timeout=60)
    sentence, _ = told(process.returncode, err)
    assert sentence == "Stopped; nothing half-written was left. The same command starts anew:"
    assert not (tmp_path / "new").exists()
    while any(Path(f"/proc/{pid}").exists() for pid in found) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(Path(f"/proc/{pid}").exists() for pid in found)
