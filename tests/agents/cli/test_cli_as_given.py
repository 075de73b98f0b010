"""What was given is what is used: data must be named, options must apply, a run is judged by its own metric."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from program import Run, assert_one_sentence, config_file, sources

from rl_postproc.pipeline.postprocessor import PostProcessor
from rl_postproc.task import TuningTask
from rl_postproc.utils.errors import UserError


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        (np.zeros((2, 3, 9)), r"of type numpy\.ndarray of shape \[2, 3, 9\]; make a ScoreSet .* ScoreSet\.from_arrays"),
        (torch.zeros(2, 3, 9), r"of type torch\.Tensor of shape \[2, 3, 9\]"),
        ([[0.1, 0.2]], r"of type list;"),
        (5, r"of type int;"),
        (None, r"No data are named.*scores='simulated'"),
        ({"stack": [{"stage": "threshold"}]}, r"No data are named"),
    ],
)
def test_scores_that_cannot_be_read_are_refused_and_never_replaced(scores: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        TuningTask.build(scores)
    with pytest.raises(UserError, match=message):
        gymnasium.make("rl_postproc:rl_postproc/PostProcessing-v0", scores=scores)


def test_the_simulated_data_set_is_used_where_it_is_named() -> None:
    assert TuningTask.build("simulated").scores.n_clips == 400
    env = gymnasium.make("rl_postproc:rl_postproc/PostProcessingPerClass-v0", scores="simulated", observation="summary")
    assert env.reset(seed=0)[1]["clip_id"].startswith("sim_")


def test_a_benchmark_needs_data_and_says_when_they_are_simulated(run: Run, tmp_path: Path) -> None:
    assert_one_sentence(run("benchmark", "compare", "--out", "out"), r"No data are named\. Give scores: --scores")
    assert not (tmp_path / "out").exists()
    code, out, _ = run("benchmark", config_file(tmp_path), "--out", "out")
    assert code == 0 and "12 simulated clips" in out
    assert json.loads((tmp_path / "out" / "results.json").read_text())["simulated"] is True


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--agents", ""], r"--agents lists names .* empty in ''"),
        (["--agents", "default,,ppo"], r"--agents .* empty in 'default,,ppo'"),
        (["--seeds", ""], r"--seeds takes whole numbers"),
        (["--seeds", "0,0"], r"seed 0 stands there twice"),
        (["--seeds", "-1"], r"-1"),
        (["--set", "baseline=foo"], r"baseline 'foo' is not among the agents \(default, grid_search\)"),
        (
            ["--set", "agents=[{agent: default, name: ../../evil}]"],
            r"cannot be called '\.\./\.\./evil'.*folder of that name",
        ),
    ],
)
def test_options_of_a_benchmark_that_cannot_be_meant_are_refused(
    run: Run, tmp_path: Path, options: list[str], message: str
) -> None:
    assert_one_sentence(run("benchmark", config_file(tmp_path), "--out", "out", *options), message)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("option", [["--scores", "nope"], ["--hop", "0.1"], ["--format", "sed_scores"]])
def test_events_are_scored_without_options_that_describe_scores(run: Run, simulated: Path, option: list[str]) -> None:
    references = simulated / "references.tsv"
    assert_one_sentence(run("evaluate", references, "--references", references, *option), r"holds events.*leave out")


def test_a_seed_lies_where_all_libraries_take_it(run: Run, simulated: Path) -> None:
    for seed, limit in ((-1, "greater than or equal to 0"), (4_000_001, "less than or equal to 4000000")):
        code, _, err = run("train", "--agent", "default", *sources(simulated), "--out", "out", "--seed", seed)
        assert code == 2 and "--seed" in err and limit in err


def test_a_run_is_scored_by_the_metric_that_it_was_tuned_for(run: Run, simulated: Path, tmp_path: Path) -> None:
    collars = ["--set", "metric.t_collar=0.5"]
    assert run("train", "--agent", "grid_search", *sources(simulated), "--out", "run", *collars)[0] == 0
    trained = json.loads((tmp_path / "run" / "report.json").read_text())["macro_f1"]
    evaluated = ["evaluate", "run", *sources(simulated)]

    def macro(*options: object) -> float:
        return json.loads(run(*evaluated, *options, "--json")[1])["macro_f1"]

    assert macro() == trained
    assert macro("--metric", "event_based") == trained
    assert macro("--t-collar", 0.2) < trained
    assert "t_collar 0.5" in run(*evaluated)[1]
    assert PostProcessor.load(tmp_path / "run").about["metric"]["t_collar"] == 0.5
