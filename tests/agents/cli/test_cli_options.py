"""Options of formats, metrics and objectives on the command line."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from program import Run, assert_one_sentence, config_file, sources


@pytest.fixture
def tags(tmp_path: Path) -> list[object]:
    """An archive whose array of probabilities has a name of its own, and a table of labels."""
    probabilities = np.array([[0.9, 0.1], [0.2, 0.7], [0.6, 0.4]], dtype=np.float32)
    np.savez(
        tmp_path / "tags.npz", mine=probabilities, other=1 - probabilities, clip_ids=np.array(["a", "b", "c"]),
        classes=np.array(["Cat", "Dog"]),
    )  # fmt: skip
    (tmp_path / "labels.tsv").write_text("filename\tevent_label\na\tCat\nb\tDog\nc\tCat\n")
    return ["--scores", "tags.npz", "--references", "labels.tsv"]


def test_options_of_a_format_reach_the_reader_and_the_resolved_config(
    run: Run, tmp_path: Path, tags: list[object]
) -> None:
    wanted = ["train", "--agent", "default", *tags, "--metric", "tagging", "--set", "stack=[{stage: threshold}]"]
    for out, format in (("named", ["--format", "tags"]), ("auto", [])):
        code, _, err = run(*wanted, *format, "--format-option", "array=mine", "--out", out)
        assert code == 0, err
        report = json.loads((tmp_path / out / "report.json").read_text())
        assert report["macro_f1"] == 1.0
        data = yaml.safe_load((tmp_path / out / "config.yaml").read_text())["data"]
        assert data["format"] == {"format": format[1] if format else "auto", "array": "mine"}
    # nothing is taken from the run's config
    assert_one_sentence(run("apply", "named", "tags.npz", "--out", "events.tsv"), r"holds no array called scores")
    assert run("apply", "named", "tags.npz", "--format-option", "array=mine", "--out", "events.tsv")[0] == 0
    assert "Cat" in (tmp_path / "events.tsv").read_text()
    run(*wanted, "--format-option", "array=other", "--out", "other")
    assert json.loads((tmp_path / "other" / "report.json").read_text())["macro_f1"] == 0.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--format", "tags", "--format-option", "aray=mine"], r"no option 'aray'.*did you mean 'array'"),
        (["--format-option", "aray=mine"], r"no option 'aray'.*did you mean 'array'"),
        (["--format", "tags", "--format-option", "array"], r"--format-option takes KEY=VALUE, but got 'array'"),
        (["--format", "tags", "--format-option", "array=[1"], r"--format-option array: '\[1' is not a YAML value"),
        (["--format", "tagz", "--format-option", "array=mine"], r"no format 'tagz'.*did you mean 'tags'"),
        (["--format", "tags", "--format-option", "array=absent"], r"absent"),
    ],
)
def test_options_that_the_format_has_not_are_refused(
    run: Run, tmp_path: Path, tags: list[object], options: list[object], message: str
) -> None:
    result = run("train", "--agent", "default", *tags, "--metric", "tagging", *options, "--out", "out")
    assert_one_sentence(result, message)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "options", [["--format", "npy"], ["--format-option", "a=b"], ["--hop", 0.1], ["--classes", "Cat"], ["--subset"]]
)
def test_options_that_describe_scores_need_scores(run: Run, tmp_path: Path, options: list[object]) -> None:
    for arguments in (["train"], ["benchmark", config_file(tmp_path)]):
        assert_one_sentence(run(*arguments, *options, "--out", "out"), r"describe --scores; give --scores too")
    assert not (tmp_path / "out").exists()


def test_a_metric_is_chosen_by_name_and_set_like_a_config(run: Run, simulated: Path) -> None:
    references = simulated / "references.tsv"
    evaluated = ["evaluate", references, "--references", references, "--json"]
    found = json.loads(run(*evaluated, "--metric", "tagging")[1])
    assert found["certified_by"].startswith("scikit-learn")
    assert found["macro_f1"] == 1.0
    with_collar = ["--set", "metric.t_collar=0.4", "--set", "metric.comparison=tolerant"]
    assert run(*evaluated, *with_collar)[0] == 0
    for options, message in (
        (["--metric", "taging"], r"unknown metric 'taging'.*did you mean 'tagging'"),
        (["--metric", "tagging", "--t-collar", 0.3], r"metric 'tagging': unknown key 't_collar'"),
        (["--set", "metric.t_colar=0.4"], r"'t_colar'.*did you mean 't_collar'"),
        (["--set", "t_collar=0.4"], r"--set metric\.KEY=VALUE, but got 't_collar'"),
        (["--set", "metric=tagging"], r"--set metric\.KEY=VALUE, but got 'metric'"),
        (["--scores", simulated / "scores"], r"holds events, so scores are not needed"),
    ):
        assert_one_sentence(run(*evaluated, *options), message)


def test_metric_and_objective_of_train_replace_those_of_the_config(run: Run, tmp_path: Path) -> None:
    config = config_file(tmp_path, metric={"t_collar": 0.3})
    tuned = ["train", "--config", config, "--agent", "default"]
    for out, options, metric in (
        ("kept", [], {"metric": "event_based", "t_collar": 0.3}),
        ("same", ["--metric", "event_based"], {"metric": "event_based", "t_collar": 0.3}),
        ("other", ["--metric", "tagging", "--objective", "macro"], {"metric": "tagging"}),
        ("set", ["--metric", "event_based", "--set", "metric.t_collar=0.5"], {"t_collar": 0.5}),
    ):
        code, _, err = run(*tuned, *options, "--out", out)
        assert code == 0, err
        resolved = yaml.safe_load((tmp_path / out / "config.yaml").read_text())
        assert {**resolved["metric"], **metric} == resolved["metric"]
        assert resolved["objective"] == {"objective": "macro"}
    assert_one_sentence(run(*tuned, "--metric", "tagginng", "--out", "out"), r"unknown metric.*did you mean 'tagging'")
    assert_one_sentence(run(*tuned, "--objective", "makro", "--out", "out"), r"unknown objective.*'macro'")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("device", ["abacus", "meta", "lazy", "hpu", "cpu:-1", ""])
def test_a_device_that_cannot_be_used_is_refused_before_anything_is_written(
    run: Run, simulated: Path, tmp_path: Path, device: str
) -> None:
    result = run("train", "--agent", "default", *sources(simulated), "--device", device, "--out", "out")
    assert_one_sentence(result, rf"device '{device}' cannot be used here")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("agent", ["ppo", "optuna_search", "heu_thresh"])
def test_seeds_that_no_library_takes_are_refused(run: Run, tmp_path: Path, agent: str) -> None:
    for seed in (-1, 4_000_001, 10**30):
        code, _, err = run("train", "--agent", agent, "--scores", "absent", "--seed", seed, "--out", "out")
        assert code == 2
        assert "--seed" in err
        config = config_file(tmp_path, agents=[agent], seeds=[seed])
        assert_one_sentence(run("benchmark", config, "--out", "out"), rf"'seeds\.0' is {seed}")
    assert not (tmp_path / "out").exists()


def test_more_threads_than_cores_are_bound_with_a_note(run: Run, simulated: Path, tmp_path: Path) -> None:
    before = torch.get_num_threads()
    try:
        code, _, err = run("train", "--agent", "default", *sources(simulated), "--threads", 100_000, "--out", "out")
        cores = torch.get_num_threads()
    finally:
        torch.set_num_threads(before)
    assert code == 0
    assert cores <= (os.cpu_count() or 1)
    assert f"Note: --threads 100000 is more than the {cores} cores here; {cores} are used." in err
    assert json.loads((tmp_path / "out" / "versions.json").read_text())["threads"] == cores


def test_any_value_of_the_config_can_be_set_those_of_defaults_too(run: Run, simulated: Path, tmp_path: Path) -> None:
    settings = ["--set", "stack.1.threshold=0.3", "--set", "stack.0.kernel=0.2", "--set", "metric.t_collar=0.3"]
    code, _, err = run("train", "--agent", "default", *sources(simulated), *settings, "--out", "out")
    assert code == 0, err
    resolved = yaml.safe_load((tmp_path / "out" / "config.yaml").read_text())
    assert resolved["stack"][1]["threshold"]["candidates"] == [0.3]
    assert resolved["stack"][0]["kernel"]["candidates"] == [0.2]
    assert resolved["metric"]["t_collar"] == 0.3
