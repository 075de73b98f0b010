"""The memory that agents are said to take is about what they take, and a bound makes chunks smaller or refuses."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from cases import small_simulation
from program import Run, assert_one_sentence, config_file, environment, sources
from rl_postproc.agents import make_agent
from rl_postproc.agents.memory import Workers, agent_memory, within_bound

from rl_postproc import task as module
from rl_postproc.counts.grid import CHUNK_BYTES, chunks_of
from rl_postproc.task import TuningTask
from rl_postproc.task_memory import most_events
from rl_postproc.work import Processes, Serial

FACTOR = 2.0
"""By how much a statement may exceed what is taken."""
STACK = [
    {"stage": "median", "kernel": [0, 0.2, 0.4, 0.6, 0.8]},
    {"stage": "threshold", "threshold": [i / 1000 for i in range(1, 1000)]},
]
UNITS = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


MEASURED = """
import atexit, re, sys
from pathlib import Path
from rl_postproc.__main__ import main
# Not ru_maxrss, which takes over what the process that began this one has held.
atexit.register(lambda: Path("peak").write_text(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]))
main()
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc tells the peak of the memory")
def test_the_memory_stated_is_about_what_is_taken(tmp_path: Path) -> None:
    data = {"simulated": {"n_clips": 3000, "n_classes": 6, "clip_seconds": 3}}
    stated = config_file(tmp_path, data=data, stack=STACK, agents=["grid_search"])
    program = [sys.executable, "-c", MEASURED, "benchmark", stated]
    done = subprocess.run(program, cwd=tmp_path, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = re.search(r"Memory: at most about ([\d.]+) (\w+), .* takes ([\d.]+) (\w+) for counts", done.stderr)
    assert found is not None, done.stderr
    total, counts = float(found[1]) * UNITS[found[2]], float(found[3]) * UNITS[found[4]]
    assert counts > 300 << 20  # so that the program itself is not most of it
    peak = 1024 * int((tmp_path / "peak").read_text())
    assert peak < total < FACTOR * peak


def test_a_bound_is_kept_with_smaller_chunks_or_refused_before_any_fold(run: Run, tmp_path: Path) -> None:
    benchmark = ["benchmark", config_file(tmp_path), "--out", "run"]
    refused = run(*benchmark, "--memory", "100MB", "--jobs", "2")
    assert_one_sentence(refused, "is too little: .* \\(2 counted\\).* fewer --jobs, fewer candidates .*'few_clips'")
    assert not list(Path("run").glob("folds/*"))
    code, _, err = run(*benchmark, "--memory", "64GiB")
    assert code == 0, err
    assert err.count("Memory: at most about") == 1
    assert_one_sentence(run(*benchmark, "--memory", "much"), "a size such as 4GiB or 500MB, not 'much'")


def test_train_in_memory_states_and_bounds_too(run: Run) -> None:
    assert run("simulate", "--out", "data", "--set", "n_clips=8", "--set", "n_classes=2")[0] == 0
    train = ["train", "--agent", "random_search", "--set", "agent.trials=5", "--out", "run", *sources(Path("data"))]
    assert_one_sentence(run(*train, "--memory", "1MB"), "is too little: this takes up to about .* sparse shards")
    assert not Path("run", "postprocessor.json").exists()
    code, _, err = run(*train, "--memory", "64GiB")
    assert code == 0, err
    assert "Memory: at most about" in err


def test_chunks_are_as_small_as_the_bound_asks_until_the_end_of_the_block() -> None:
    task, said = TuningTask.build(small_simulation(400, 3)), list[str]()
    need = agent_memory(make_agent("grid_search"), task)
    usual, size = need.clips, task.scores.scores.nbytes
    with chunks_of(usual):
        with within_bound({"grid_search": need}, size, None, said.append):
            assert CHUNK_BYTES["cpu"] == usual
        smaller = need.of(usual) - need.of(usual // 8)
        assert smaller > 0
        limit = _bytes(said[0]) - smaller / 2
        with within_bound({"grid_search": need}, size, int(limit), said.append):
            assert CHUNK_BYTES["cpu"] < usual
        assert CHUNK_BYTES["cpu"] == usual
    assert _bytes(said[1]) <= 1.01 * limit


def test_workers_hold_program_and_scores_of_their_own() -> None:
    task, said = TuningTask.build(small_simulation(5, 3)), list[str]()
    need = {"grid_search": agent_memory(make_agent("grid_search"), task, 3)}
    for engine in (Serial(), Processes(2), Processes(4)):
        with within_bound(need, task.scores.scores.nbytes, None, said.append, Workers.of(engine, 3)):
            pass
    alone, two, four = map(_bytes, said)
    assert two > 2 * alone
    assert four == pytest.approx(two * 4 / 3, rel=0.1)  # there are but three tasks
    assert "(3 counted)" in said[2]


def test_no_more_events_are_decoded_than_stated() -> None:
    task = TuningTask.build(small_simulation(30, 3))
    most = most_events(task, 3000)
    assert len(task.decoded) <= most <= task.scores.scores.numel()
    assert most_events(task, 60) <= min(most, 30 * 3 * 10)
    value, grid = (agent_memory(make_agent(name), task) for name in ("event_value", "grid_search"))
    assert value.events > 0 == grid.events


@pytest.mark.parametrize(
    "settings",
    [
        {"agent": "random_search", "trials": 5},
        {"agent": "tuned"},
        "grid_search",
        "sgl_thresh",
        "exact_search",
        "default",
    ],
    ids=str,
)
def test_agents_hold_no_table_of_many_clips_that_are_said_to_hold_none(
    settings: str | dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rl_postproc.agents.memory import innermost

    monkeypatch.setattr(module, "LARGE_TABLE", 10)
    monkeypatch.setattr(module, "sweep", lambda *_: pytest.fail("a whole table is counted"))
    monkeypatch.setattr(module, "decode_candidates", lambda *_: pytest.fail("events are decoded"))
    agent = make_agent(settings)
    assert innermost(agent).holds in ("nothing", "sums", "thresholds")
    agent.fit(TuningTask.build(small_simulation(12, 3)), 0)


def _bytes(sentence: str) -> float:
    """Returns the memory that a sentence states."""
    found = re.search(r"at most about ([\d.]+) (\w+),", sentence)
    assert found is not None
    return float(found[1]) * UNITS[found[2]]
