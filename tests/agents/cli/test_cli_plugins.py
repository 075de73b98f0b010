"""Plug-ins on the command line: a stage, a metric and an agent of the user's own go through every command.

What a plug-in brings along stays known for the rest of a process, so each command here runs in one of its own.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from program import STACK, Run, assert_one_sentence, config_file, process, sources

MINE = '''
from typing import ClassVar, Literal

import torch
from pydantic import Field
from rl_postproc.agents.base import Agent, FitResult, constant_fit, silent

from rl_postproc.metrics import Metric
from rl_postproc.stages import Kind, Parameter, Probability, Stage
from rl_postproc.utils.errors import UserError


class Gate(Stage):
    """Silences tracks with few active frames."""

    stage: Literal["gate"] = "gate"
    share: Probability = Parameter(candidates=(0.0, 0.05), default=0.0)
    takes: ClassVar[Kind] = "decisions"
    gives: ClassVar[Kind] = "decisions"

    def __call__(self, x, frames, **values):
        return x & (x.sum(0) >= values["share"] * frames.n_frames)


class Presence(Metric):
    """Share of clips and classes about which presence is right."""

    metric: Literal["presence"] = "presence"
    columns: ClassVar[tuple[str, ...]] = ("wrong", "cells")
    score_name: ClassVar[str] = "accuracy"
    broken: bool = Field(default=False, description="whether certifying fails")

    def count(self, references, estimates):
        wrong = (references.counts() > 0) != (estimates.counts() > 0)
        return {"wrong": wrong.long(), "cells": torch.ones_like(wrong, dtype=torch.int64)}

    def score(self, counts):
        return 1 - counts["wrong"] / counts["cells"]

    def output(self, counts):
        return counts["wrong"]

    def certify(self, references, estimates, counts):
        if self.broken:
            raise TypeError("planted")
        return "none: presence needs no other tool"


class Middle(Agent):
    """The middle candidate of each parameter."""

    agent: Literal["middle"] = "middle"
    least_clips: int = 1

    def check(self, task):
        if task.scores.n_clips < self.least_clips:
            raise UserError(f"The agent 'middle' needs {self.least_clips} clips; give more.")

    def fit(self, task, seed, report=silent):
        values = [p.candidates[len(p.candidates) // 2] for p in task.stack.space.parameters]
        return constant_fit(task, torch.tensor(values).expand(task.scores.n_classes, -1), 1)
'''

GATED = ["--set", "stack=[{stage: median}, {stage: threshold}, {stage: gate}]"]


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    """A plug-in file in the working folder."""
    path = tmp_path / "mine.py"
    path.write_text(MINE)
    return path


def succeed(*arguments: object, cwd: Path) -> str:
    done = process(*arguments, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_plug_in_goes_through_train_apply_and_evaluate(
    run: Run, plugin: Path, simulated: Path, tmp_path: Path
) -> None:
    tuned = ["train", "--agent", "middle", "--metric", "presence", *GATED, *sources(simulated), "--out", "run"]
    assert_one_sentence(run(*tuned), "unknown agent 'middle'")
    assert not (tmp_path / "run").exists()
    out = succeed(*tuned, "--plugin", plugin.name, cwd=tmp_path)
    assert "not certified: presence needs no other tool" in out
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert set(report) >= {"macro_accuracy", "micro_accuracy", "classes"}
    assert yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["plugins"] == [str(plugin)]
    applied = ["apply", "run", simulated / "scores", "--durations", simulated / "durations.tsv", "--out", "events.tsv"]
    unknown = r"postprocessor\.json' cannot be used .*unknown stage 'gate'.*--plugin"
    assert_one_sentence(run(*applied), unknown)
    evaluated = ["evaluate", "run", *sources(simulated), "--json"]
    assert_one_sentence(run(*evaluated), unknown)
    assert not (tmp_path / "events.tsv").exists()
    succeed(*applied, "--plugin", plugin, cwd=tmp_path)
    found = json.loads(succeed(*evaluated, "--plugin", "mine", "--metric", "presence", cwd=tmp_path))
    assert found["classes"] == report["classes"]
    events = ["evaluate", "events.tsv", "--references", simulated / "references.tsv", "--json", "--plugin", "mine"]
    assert json.loads(succeed(*events, "--metric", "presence", cwd=tmp_path)) == found


def test_a_plug_in_beside_a_config_goes_through_the_benchmark_and_its_resolved_config(
    plugin: Path, tmp_path: Path
) -> None:
    own = {"plugins": ["mine"], "metric": {"metric": "presence"}, "stack": [*STACK, {"stage": "gate"}]}
    config = config_file(tmp_path, agents=["middle", "grid_search"], folds=2, **own)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert "middle" in succeed("benchmark", config, "--out", "first", cwd=elsewhere)
    succeed("benchmark", elsewhere / "first" / "config.yaml", "--out", "second", cwd=tmp_path)
    first, second = (
        json.loads((folder / "results.json").read_text())["rows"]
        for folder in (elsewhere / "first", tmp_path / "second")
    )
    assert [row["agent"] for row in first] == ["middle", "grid_search"]
    assert [row["classes"] for row in first] == [row["classes"] for row in second]
    assert all(0 <= row["macro_accuracy"] <= 1 for row in first)


def test_a_result_is_saved_before_it_is_certified(plugin: Path, simulated: Path, tmp_path: Path) -> None:
    settings = ["--metric", "presence", "--set", "metric.broken=true", "--plugin", plugin]
    done = process("train", "--agent", "middle", *sources(simulated), *settings, "--out", "run", cwd=tmp_path)
    assert done.returncode != 0
    assert "planted" in done.stderr
    assert {path.name for path in (tmp_path / "run").iterdir()} >= {"postprocessor.json", "curve.json", "config.yaml"}
    assert not (tmp_path / "run" / "report.json").exists()
    succeed("apply", "run", simulated / "scores", "--out", "events.tsv", cwd=tmp_path)


@pytest.mark.parametrize("command", ["train", "benchmark"])
def test_an_agent_that_does_not_fit_says_so_before_any_work(plugin: Path, tmp_path: Path, command: str) -> None:
    config = config_file(tmp_path, plugins=[plugin.name], agents=["default", {"agent": "middle", "least_clips": 99}])
    if command == "train":
        arguments = ["train", "--config", config, "--agent", "middle", "--set", "agent.least_clips=99"]
    else:
        arguments = ["benchmark", config, "--strict"]
    done = process(*arguments, "--out", "out", cwd=tmp_path)
    assert_one_sentence((done.returncode, done.stdout, done.stderr), "needs 99 clips; give more")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("broken.py", "1 / 0\n", r"'.*broken\.py' cannot be imported \(ZeroDivisionError: division by zero\)"),
        ("typo.py", "def (:\n", r"'.*typo\.py' cannot be imported \(SyntaxError"),
        ("absent.py", None, r"no Python file '.*absent\.py'"),
        ("absent_module", None, r"'absent_module' cannot be imported \(ModuleNotFoundError"),
    ],
)
def test_a_plug_in_that_fails_says_which_and_why(
    run: Run, simulated: Path, tmp_path: Path, name: str, text: str | None, message: str
) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    references = simulated / "references.tsv"
    for arguments in (
        ["benchmark", "demo", "--out", "out"],
        ["train", "--agent", "default", *sources(simulated), "--out", "out"],
        ["apply", "run", simulated / "scores", "--out", "out/events.tsv"],
        ["evaluate", references, "--references", references],
    ):
        assert_one_sentence(run(*arguments, "--plugin", name), message)
    assert_one_sentence(run("benchmark", config_file(tmp_path, plugins=[name]), "--out", "out"), message)
    assert not (tmp_path / "out").exists()


def test_plugins_that_are_no_list_are_refused(run: Run, tmp_path: Path) -> None:
    config = config_file(tmp_path, plugins="mine.py")
    assert_one_sentence(run("benchmark", config, "--out", "out"), r"config\.yaml: 'plugins' is 'mine\.py'")
