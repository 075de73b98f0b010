"""An agent that cannot run is named with its reason, and takes no other along."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from cases import small_simulation
from event_agents import AGENTS, STACK
from program import Run, assert_one_sentence, config_file
from rl_postproc.agents.base import Agent, FitResult, ProgressCallback, constant_fit, silent
from rl_postproc.agents.benchmark.config import BenchmarkConfig
from rl_postproc.agents.benchmark.run import run_benchmark

from rl_postproc.data.scores import ScoreSet
from rl_postproc.task import TuningTask
from rl_postproc.utils.checked import build
from rl_postproc.utils.errors import DataWarning, UserError

TAGS = [{"stage": "threshold", "threshold": [0.3, 0.5, 0.7]}]
VALUE = {**AGENTS["boosted"], "name": "value"}


class Crashes(Agent):
    """An agent with a mistake in it, which shows with its second seed."""

    agent: Literal["test_crashes"] = "test_crashes"
    at_once: bool = False

    def check(self, task: TuningTask) -> None:
        if self.at_once:
            raise KeyError("nothing of that name")

    def fit(self, task: TuningTask, seed: int, report: ProgressCallback = silent) -> FitResult:
        if seed:
            raise ValueError("a mistake\nof two lines")
        return constant_fit(task, task.stack.space.defaults, 0)


def events() -> ScoreSet:
    return small_simulation(12, 3)


def tags() -> ScoreSet:
    scores = torch.rand(12, 2, 1, generator=torch.Generator().manual_seed(0)).numpy()
    names = [f"clip{i}" for i in range(12)]
    arrays = {name: x.T for name, x in zip(names, scores, strict=True)}
    rows = [(name, 0.0, 1.0, "Cat") for name in names[:5]] + [(name, 0.0, 1.0, "Dog") for name in names[3:9]]
    return ScoreSet.from_arrays(arrays, hop=1.0, classes=["Cat", "Dog"], references=rows)


def silence() -> ScoreSet:
    own = events()
    return ScoreSet(
        torch.zeros_like(own.scores), own.n_frames, own.edges, own.durations, own.clip_ids, own.classes, own.references
    )


CASES: dict[str, tuple[Any, dict[str, Any], str, str]] = {
    "tags": (tags, {"stack": TAGS, "metric": {"metric": "tagging"}}, "value", r"metric event_based"),
    "one frame": (tags, {"stack": TAGS}, "value", r"one frame each"),
    "zeros": (silence, {}, "value", r"seed 0, fold 1/2: No candidate .* decodes any event"),
    "mistake": (
        events, {"agents": ["default", {"agent": "test_crashes", "name": "wrong"}], "seeds": [0, 1]}, "wrong",
        r"seed 1, fold 1/2: ValueError: a mistake; the traceback is in '.*wrong_seed1_fold0\.txt'",
    ),
    "mistake at once": (
        events, {"agents": ["default", {"agent": "test_crashes", "at_once": True, "name": "wrong"}]}, "wrong",
        r"before its first fold: KeyError: 'nothing of that name'; the traceback is in '.*wrong\.txt'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_an_agent_that_cannot_run_is_left_out_and_named(case: str, tmp_path: Path) -> None:
    make, settings, name, message = CASES[case]
    values = {"agents": ["default", VALUE], "stack": STACK, "folds": 2, **settings}
    config, out = build(BenchmarkConfig, values, "test"), tmp_path / "out"
    with pytest.warns(DataWarning, match=rf"The agent '{name}' is skipped: .*{message}"):
        results = run_benchmark(config, make(), out, lambda *_: None)
    assert {row["agent"] for row in results["rows"]} == {entry["agent"] for entry in results["agents"]} == {"default"}
    assert json.loads((out / "results.json").read_text())["skipped"] == results["skipped"]
    assert list(results["skipped"]) == [name]
    for file in (out / "failures").glob("*"):
        assert "raise " in file.read_text()
    assert (out / "failures").exists() == ("mistake" in case)
    with pytest.raises(UserError, match=rf"The agent '{name}' cannot run: .*{message}"):
        run_benchmark(config, make(), tmp_path / "strict", lambda *_: None, strict=True)
    alone = config.model_copy(update={"agents": config.agents[1:]})
    message = rf"None of the agents can run \('{name}': .*{message.removesuffix('.')}"
    with pytest.raises(UserError, match=message), pytest.warns(DataWarning):
        run_benchmark(alone, make(), tmp_path / "alone", lambda *_: None)
    assert not (tmp_path / "alone" / "results.json").exists()


def test_a_disk_that_is_full_is_no_failure_of_the_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise UserError("Cannot write.")

    monkeypatch.setattr("rl_postproc.pipeline.postprocessor.PostProcessor.save", full)
    config = build(BenchmarkConfig, {"agents": ["default"], "stack": STACK, "folds": 2}, "test")
    with pytest.raises(UserError, match=r"^Cannot write\.$"):
        run_benchmark(config, events(), tmp_path / "out", lambda *_: None)


def test_the_table_names_skipped_agents_and_the_exit_code_tells(run: Run, tmp_path: Path) -> None:
    stack = [{"stage": "threshold", "threshold": {"candidates": [0.3, 0.7], "scope": "global"}}]
    config = config_file(tmp_path, stack=stack, agents=["default", VALUE])
    code, out, err = run("benchmark", config, "--out", "out")
    assert code == 1
    assert "Note: The agent 'value' is skipped: " in err and "Traceback" not in err
    said = " ".join(out.split())
    assert "'value' is skipped: " in said and "scope of 'threshold.threshold' is global" in said
    assert any("value" in line and "skipped" in line for line in out.splitlines())
    assert "Results and plots are in out" in said
    strict = run("benchmark", config, "--out", "strict", "--strict")
    assert_one_sentence(strict, r"^Error: The agent 'value' cannot run: .*is global")
    assert not (tmp_path / "strict").exists()
