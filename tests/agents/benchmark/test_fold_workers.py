"""A benchmark on several processes: the files and figures of one, and no finished fold is lost whatever dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from cases import small_simulation
from event_agents import AGENTS
from program import Run, command, config_file, environment
from rl_postproc.agents.benchmark.config import BenchmarkConfig
from rl_postproc.agents.benchmark.run import run_benchmark
from rl_postproc.agents.compare import benchmark
from work_cases import PLUGIN, notes

from rl_postproc.config import build_config
from rl_postproc.utils.errors import DataWarning
from rl_postproc.work import Engine, Processes, Serial

TWO = {"median": [{"stage": "median", "kernel": [0, 0.3]}, {"stage": "threshold", "threshold": [0.3, 0.5, 0.7]}],
       "threshold": [{"stage": "threshold", "threshold": [0.2, 0.5]}]}  # fmt: skip


def results(folder: Path) -> dict[str, Any]:
    """Returns the results of a run folder without what takes its time."""
    found = json.loads((folder / "results.json").read_text())
    for row in found["rows"]:
        del row["seconds"]
    return found


def fold_files(folder: Path) -> dict[str, bytes]:
    """Returns the files of all folds but those that tell the time."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted((folder / "folds").rglob("*"))
            if path.is_file() and path.name != "result.json"}  # fmt: skip


def waiting(folder: Path, **more: Any) -> BenchmarkConfig:
    """Returns a benchmark with an agent of a plug-in, whose notes are in a folder."""
    (folder / "notes").mkdir()
    values = {
        "stack": TWO["median"], "folds": 3, "seeds": [0, 1], "plugins": [PLUGIN],
        "agents": ["default", {"agent": "test_waits", "folder": str(folder / "notes"), "trials": 5}], **more,
    }  # fmt: skip
    return build_config(BenchmarkConfig, values, "test")


def run(config: BenchmarkConfig, out: Path, engine: Engine) -> dict[str, Any]:
    run_benchmark(config, small_simulation(12, 3), out, lambda *_: None, engine=engine)
    return results(out)


def test_stacks_agents_folds_and_seeds_are_equal_to_the_last_digit(tmp_path: Path) -> None:
    one = {"stacks": ["median"]}
    agents = ["grid_search", {**AGENTS["boosted"], **one}, {**AGENTS["joint"], **one}, {"agent": "random_search"}]
    values = {"stacks": TWO, "agents": agents, "folds": 2, "seeds": [0, 1], "baseline": "median grid_search",
              "objective": {"objective": "micro"}}  # fmt: skip
    config = build_config(BenchmarkConfig, values, "test")
    told: list[tuple[str, float]] = []
    serial = run(config, tmp_path / "serial", Serial())
    scores = small_simulation(12, 3)
    run_benchmark(
        config, scores, tmp_path / "two", lambda what, share, _: told.append((what, share)), engine=Processes(2)
    )
    assert len(serial["rows"]) == 12
    assert results(tmp_path / "two") == serial
    assert fold_files(tmp_path / "two") == fold_files(tmp_path / "serial")
    assert any(what.startswith("2 at work, ") for what, _ in told)
    assert all(0 <= share <= 1 for _, share in told) and told[-1] == ("done", 1.0)


def test_a_killed_process_loses_no_fold_and_plugins_and_notes_come_along(tmp_path: Path) -> None:
    config = waiting(tmp_path)
    with pytest.warns(DataWarning, match=r"^Seed \d waits\.$"):
        serial = run(config, tmp_path / "serial", Serial())
    assert set(notes(tmp_path / "notes").values()) == {1}
    for path in (tmp_path / "notes").iterdir():
        path.unlink()
    (tmp_path / "notes" / "die").touch()
    with pytest.warns(DataWarning, match=r"^Seed \d waits\.$"):
        assert run(config, tmp_path / "killed", Processes(2)) == serial
    assert sorted(notes(tmp_path / "notes").values()) == [1, 1, 1, 1, 1, 2]
    assert fold_files(tmp_path / "killed") == fold_files(tmp_path / "serial")


def test_an_agent_that_fails_is_named_as_by_one_process(tmp_path: Path) -> None:
    config, found = waiting(tmp_path), {}
    (tmp_path / "notes" / "fail").touch()
    for name, engine in (("serial", Serial()), ("two", Processes(2))):
        with pytest.warns(
            DataWarning, match=r"^Seed \d waits|The agent 'test_waits' is skipped: seed 1, fold 1/3: ValueError: a mist"
        ):
            found[name] = run(config, tmp_path / name, engine)
        assert [file.name for file in (tmp_path / name / "failures").iterdir()] == ["test_waits_seed1_fold0.txt"]
        assert "raise ValueError" in (tmp_path / name / "failures" / "test_waits_seed1_fold0.txt").read_text()
        found[name]["skipped"] = {k: v.replace(str(tmp_path / name), "") for k, v in found[name]["skipped"].items()}
    assert found["two"] == found["serial"] and {row["agent"] for row in found["two"]["rows"]} == {"default"}


def test_what_is_finished_when_the_first_process_ends_is_taken_up(run: Run, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    agent = {"agent": "test_waits", "folder": str(tmp_path / "notes"), "trials": 5, "seconds": 0.4}
    config = config_file(tmp_path, agents=["default", agent], seeds=[0, 1, 2], plugins=[PLUGIN])
    deadline, folds, taken_up = time.monotonic() + 500, tmp_path / "out" / "folds", {}
    for how, enough in ((signal.SIGKILL, 1), (signal.SIGINT, 4)):
        process = subprocess.Popen(
            command("benchmark", config, "--out", "out", "--jobs", 2), cwd=tmp_path, env=environment(), text=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip
        while len(list(folds.glob("test_waits_*/result.json"))) < enough:
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
        if how == signal.SIGKILL:
            process.kill()
        else:
            os.killpg(process.pid, how)  # as a terminal does
        _, err = process.communicate(timeout=60)
        assert not (tmp_path / "out" / "results.json").exists()
        assert {path: path.stat().st_mtime_ns for path in taken_up} == taken_up
        taken_up = {path: path.stat().st_mtime_ns for path in folds.glob("*/result.json")}
    assert process.returncode == 130 and "Traceback" not in err
    assert "Stopped; finished folds, if any, are kept in 'out/folds'. The same command goes on" in err
    before = notes(tmp_path / "notes")
    assert run("benchmark", config, "--out", "out", "--jobs", 2)[0] == 0
    assert {path: path.stat().st_mtime_ns for path in taken_up} == taken_up
    again = {name: n - before.get(name, 0) for name, n in notes(tmp_path / "notes").items()}
    assert sum(again.values()) == 9 - sum("test_waits" in str(path) for path in taken_up) < 6
    assert run("benchmark", config, "--out", "serial")[0] == 0
    assert results(tmp_path / "out") == results(tmp_path / "serial")


def test_programs_give_the_number_of_processes() -> None:
    scores = small_simulation(8, 2)
    one, two = (benchmark(scores, ["default", "grid_search"], folds=2, jobs=jobs) for jobs in (1, 2))
    for found in (one, two):
        for row in found["rows"]:
            del row["seconds"]
    assert one == two
