"""Sparse shards through the commands: what is tuned on them, and the events, are those of the dense set."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from program import SIMULATED, STACK, Run, assert_one_sentence, sources
from sparse_cases import sparse_set

from rl_postproc.counts.memory_need import resident
from rl_postproc.formats import read_events


@pytest.fixture
def data(run: Run) -> Path:
    """A simulated data set, and its sparse shards, in the working folder."""
    more = ["--set", "n_clips=40"]
    assert run("simulate", "--out", "data", *SIMULATED, *more)[0] == 0
    _, references, durations = (sources(Path("data"))[i] for i in (1, 3, 5))
    given = ["--references", references, "--durations", durations]
    assert run("convert", "data/scores", "shards", "--floor", "0.2", *given)[0] == 0
    Path("stack.yaml").write_text(yaml.safe_dump({"stack": STACK}))
    return Path("data")


def told(folder: str) -> dict:
    return json.loads(Path(folder, "report.json").read_text())


def test_constants_of_shards_are_those_of_the_dense_set_and_so_are_their_events(run: Run, data: Path) -> None:
    train = ["train", "--config", "stack.yaml", "--agent", "grid_search"]
    assert run(*train, "--out", "dense", *sources(data))[0] == 0
    code, out, err = run(*train, "--out", "sparse", "--scores", "shards")
    assert code == 0, err
    assert "not certified: the clips are scored in parts" in " ".join(out.split())
    one, other = (json.loads(Path(name, "postprocessor.json").read_text()) for name in ("dense", "sparse"))
    assert other["policy"] == one["policy"]
    dense, sparse = told("dense"), told("sparse")
    assert {**dense, "certified_by": ""} == {**sparse, "certified_by": ""}
    assert run("apply", "dense", "data/scores", "--durations", data / "durations.tsv", "--out", "one.tsv")[0] == 0
    code, _, err = run("apply", "sparse", "shards", "--out", "other.tsv")
    assert code == 0, err
    assert read_events("one.tsv") == read_events("other.tsv")


def test_an_event_policy_learns_from_a_stated_sample_and_is_applied_to_all_clips(run: Run, data: Path) -> None:
    pytest.importorskip("lightgbm")
    sample = ["--set", "agent.of={agent: event_value, rounds: 10, fallback: false}", "--set", "agent.clips=25"]
    train = ["train", "--config", "stack.yaml", "--agent", "few_clips", "--seed", "3", *sample]
    code, _, err = run(*train, "--out", "run", "--scores", "shards")
    assert code == 0, err
    assert "'event_value' is tuned on a sample of 25 of 40 clips, drawn with the seed 3." in " ".join(err.split())
    stated = {"clips": 25, "of": 40, "seed": 3}
    assert told("run")["sample"] == stated
    assert json.loads(Path("run", "postprocessor.json").read_text())["about"]["sample"] == stated
    assert run("apply", "run", "shards", "--out", "events.tsv")[0] == 0
    found = read_events("events.tsv")
    assert len({row.filename for row in found}) == 40
    counts = told("run")["classes"].values()
    assert sum(row.onset is not None for row in found) == sum(row["estimated"] for row in counts)


def test_agents_that_need_all_clips_are_told_what_to_do(run: Run, data: Path) -> None:
    train = ["train", "--config", "stack.yaml", "--scores", "shards", "--out", "run"]
    assert_one_sentence(run(*train, "--agent", "few_clips", "--set", "agent.clips=41"), "41 clips of 40")
    assert not Path("run", "postprocessor.json").exists()


def test_memory_is_stated_before_work_and_can_be_bounded(run: Run, data: Path) -> None:
    train = ["train", "--config", "stack.yaml", "--agent", "grid_search", "--out", "run"]
    for memory in ([], ["--memory", "64GiB"]):
        code, _, err = run(*train, "--scores", "shards", *memory)
        assert code == 0, err
        assert "Memory: at most about" in err and "of 40 clips are read at a time" in " ".join(err.split())
    assert_one_sentence(
        run(*train, "--scores", "shards", "--memory", "much"), "a size such as 4GiB or 500MB, not 'much'"
    )
    result = run(*train, "--scores", "shards", "--memory", "1MB")
    assert_one_sentence(result, "is too little: clip by clip this takes .* 'few_clips'")


def test_workers_count_the_clips_with_the_same_result(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sparse_set(tmp_path / "shards")  # three of them, each a task
    monkeypatch.setattr("rl_postproc.counts.divided.TASK_BYTES", 1)
    train = ["train", "--agent", "sgl_thresh", "--scores", "shards"]
    assert run(*train, "--out", "one")[0] == 0
    code, _, err = run(*train, "--out", "two", "--jobs", "2")
    assert code == 0, err
    assert "Of 2 workers and this process: at most about" in " ".join(err.split())
    for name in ("postprocessor.json", "report.json", "curve.json"):
        assert Path("two", name).read_bytes() == Path("one", name).read_bytes()


def test_workers_that_would_have_nothing_to_do_are_refused(run: Run, data: Path) -> None:
    train = ["train", "--config", "stack.yaml", "--out", "run", "--jobs", "2"]
    for agent in (["ppo"], ["few_clips", "--set", "agent.clips=10"]):
        result = run(*train, "--agent", *agent, "--scores", "shards")
        assert_one_sentence(result, f"and '{agent[0]}' does not; leave them out")
    dense = run(*train, "--agent", "grid_search", *sources(data))
    assert_one_sentence(
        dense, "held in memory as a whole; leave them out, or make sparse shards with `convert --floor`"
    )
    assert not Path("run", "postprocessor.json").exists()
    few = run(*train, "--agent", "grid_search", "--scores", "shards", "--memory", int(2.5 * resident()), "--jobs", 200)
    assert_one_sentence((few[0], few[1], few[2][few[2].index("Error: ") :]), "200 workers .* a smaller --jobs")
    both = run(*train, "--agent", "grid_search", "--scores", "shards", "--cluster", "local")
    assert_one_sentence(both, "give one of them")


def test_the_memory_of_a_sample_is_stated_and_can_be_bounded(run: Run, data: Path) -> None:
    train = ["train", "--config", "stack.yaml", "--scores", "shards", "--out", "run", "--agent", "few_clips"]
    train += ["--set", "agent.of={agent: random_search, trials: 5}", "--set", "agent.clips=25"]
    assert_one_sentence(run(*train, "--memory", "1MB"), "is too little: this takes up to about .* fewer clips")
    assert not Path("run", "postprocessor.json").exists()
    code, _, err = run(*train, "--memory", "64GiB")
    assert code == 0, err
    assert "Memory: at most about" in err
