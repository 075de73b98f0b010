"""The command line on configs and options that cannot be used: one sentence, exit code 2, nothing half-written."""

from __future__ import annotations

from pathlib import Path

import pytest
from program import STACK, Run, assert_one_sentence, config_file, sources


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"fold": 3}, r"config\.yaml: unknown key 'fold'.*did you mean 'folds'"),
        ({"metric": {"t_colar": 1}}, r"t_colar.*did you mean 't_collar'"),
        ({"data": {"simulated": {"clips": 3}}}, r"'data\.simulated\.clips'.*did you mean 'n_clips'"),
        ({"stack": [{"stage": "threshold", "treshold": [0.5]}]}, r"treshold.*did you mean 'threshold'"),
        ({"stack": [{"stage": "threshold", "threshold": [0.5, 0.2]}]}, r"increase strictly"),
        ({"agents": ["grid"]}, r"config\.yaml.*unknown agent 'grid'"),
        ({"folds": 13}, r"13 folds.*12"),
        ({"folds": "three"}, r"'folds' is 'three'"),
    ],
)
def test_benchmark_refuses_a_bad_config(run: Run, tmp_path: Path, values: dict, message: str) -> None:
    assert_one_sentence(run("benchmark", config_file(tmp_path, **values), "--out", "out"), message)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"stak": STACK}, r"unknown key 'stak'.*did you mean 'stack'"),
        ({"metric": {"t_colar": 1}}, r"t_colar.*did you mean 't_collar'"),
        ({"stack": [{"stage": "medain"}]}, r"unknown stage 'medain'"),
    ],
)
def test_train_refuses_a_bad_config(run: Run, tmp_path: Path, values: dict, message: str) -> None:
    config = config_file(tmp_path, **values)
    assert_one_sentence(run("train", "--agent", "default", "--config", config, "--out", "out"), message)
    assert not (tmp_path / "out").exists()


def test_a_config_that_is_no_yaml_or_does_not_exist_is_named(run: Run, tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text("folds: 3\nagents: [default\n")
    assert_one_sentence(run("benchmark", "broken.yaml", "--out", "out"), r"broken\.yaml', line \d")
    assert_one_sentence(run("benchmark", "absent.yaml", "--out", "out"), r"absent\.yaml")
    assert_one_sentence(run("train", "--config", "absent.yaml", "--out", "out"), r"absent\.yaml")
    (tmp_path / "demo").mkdir()  # a folder hides no config that comes along
    assert_one_sentence(run("benchmark", "demo", "--out", "out", "--set", "folds=1"), r"'folds' is 1")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("nonsense", r"--set takes key\.subkey=value.*'nonsense'"),
        ("folds.deeper=3", r"folds\.deeper.*no such place"),
        ("foldss=3", r"'foldss'.*did you mean 'folds'"),
        ("stack.9.kernel=1", r"no such place"),
        ("title=[1", r"not a YAML value"),
        ("folds=-1", r"'folds' is -1"),
    ],
)
def test_settings_that_fit_nowhere_are_refused(run: Run, tmp_path: Path, setting: str, message: str) -> None:
    assert_one_sentence(run("benchmark", config_file(tmp_path), "--out", "out", "--set", setting), message)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--agent", "pppo"], r"unknown agent 'pppo'.*did you mean 'ppo'"),
        (["--set", "agent=3"], r"unknown agent '3'"),
        (["--set", "agent=[ppo]"], r"unknown agent '\['ppo'\]'"),
        (["--set", "metric=3"], r"'metric' is 3"),
        (["--set", "objective=[1]"], r"'objective' is \[1\]"),
        (["--set", "stack=3"], r"'stack' is 3"),
        (["--set", "stack.2.threshold=0.3"], r"'stack' is a list whose items are numbered 0 to 1"),
        (["--set", "stack.1.treshold=0.3"], r"'treshold'.*did you mean 'threshold'"),
        (["--agent", "ppo", "--set", "agent.rollout=3"], r"'rollout'.*did you mean 'rollouts'"),
        (["--format", "hdf"], r"no format 'hdf'"),
        (["--format", "npy"], r"npy"),
        (["--hop", 0.1], r"hop"),
        (["--hop", -1], r"'data\.hop' is -1"),
        (["--classes", "Cat,Cow"], r"'Cow'"),
    ],
)
def test_train_refuses_options_that_do_not_fit(
    run: Run, simulated: Path, tmp_path: Path, options: list, message: str
) -> None:
    assert_one_sentence(run("train", *sources(simulated), "--out", "out", "--agent", "default", *options), message)
    assert not (tmp_path / "out").exists()


def test_train_says_what_is_missing(run: Run, simulated: Path, tmp_path: Path) -> None:
    assert_one_sentence(run("train", "--out", "out"), r"nothing to train on.*--scores")
    assert_one_sentence(run("train", "--scores", simulated / "scores", "--out", "out"), r"reference.*--references")
    only = ["--references", simulated / "references.tsv", "--out", "out"]
    assert_one_sentence(run("train", *only), r"--scores")
    assert not (tmp_path / "out").exists()


def test_benchmark_refuses_unknown_agents_and_seeds(run: Run, tmp_path: Path) -> None:
    config = config_file(tmp_path)
    assert_one_sentence(
        run("benchmark", config, "--out", "out", "--agents", "default,pp0"), r"'pp0'.*did you mean 'ppo'"
    )
    assert_one_sentence(run("benchmark", config, "--out", "out", "--seeds", "0,one"), r"--seeds.*'0,one'")
    assert not (tmp_path / "out").exists()


def test_options_that_do_not_exist_are_a_usage_error_without_a_traceback(run: Run) -> None:
    for arguments in (["demo", "--outt", "x"], ["no-such-command"], ["train"], ["demo", "--threads", "0"]):
        code, _, err = run(*arguments)
        assert code == 2
        assert "Error" in err
        assert "Traceback" not in err


def test_a_folder_that_cannot_be_written_is_named(run: Run, simulated: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("here first")
    below = tmp_path / "file" / "deep"
    commands = [
        ["train", "--agent", "default", *sources(simulated), "--out", below],
        ["benchmark", config_file(tmp_path), "--out", below],
        ["simulate", "--out", below, "--set", "n_clips=1"],
    ]
    for arguments in commands:
        assert_one_sentence(run(*arguments), r"Cannot write '.*file/deep.*folder that can be written")
    assert run("train", "--agent", "default", *sources(simulated), "--out", "run")[0] == 0
    result = run("apply", "run", simulated / "scores", "--out", below / "events.tsv")
    assert_one_sentence(result, r"Cannot write '.*file/deep/events\.tsv'")
    assert (tmp_path / "file").read_text() == "here first"
