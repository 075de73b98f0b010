"""An error in a value that an option gave names the option, not a config file."""

from __future__ import annotations

from pathlib import Path

import pytest
from program import Run, assert_one_sentence, config_file, sources


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--folds", 1], r"^Error: --folds: 'folds' is 1: Input should be greater than or equal to 2"),
        (["--seeds", "0,0"], r"^Error: --seeds: .*seed 0 stands there twice"),
        (["--hop", -1], r"^Error: --hop: 'data\.hop' is -1"),
        (["--set", "folds=1"], r"^Error: --set folds=1: 'folds' is 1"),
        (["--set", "folds=1", "--set", "folds=0"], r"^Error: --set folds=0: 'folds' is 0"),
        (["--set", "metric.t_collar=-1"], r"^Error: .*config\.yaml with --set metric\.t_collar=-1: .*'t_collar' is -1"),
        (["--set", "baseline=foo"], r"^Error: .*config\.yaml with --set baseline=foo: the baseline 'foo'"),
        (["--set", "fold=3"], r"^Error: --set fold=3: unknown key 'fold'; did you mean 'folds'"),
        (["--seeds", 0], r"^Error: [^ ]*config\.yaml: 'title' is 5"),
    ],
)
def test_the_option_that_gave_a_value_is_named(
    run: Run, simulated: Path, tmp_path: Path, options: list[object], message: str
) -> None:
    config = config_file(tmp_path, **({"title": 5} if "'title'" in message else {}))
    assert_one_sentence(run("benchmark", config, *sources(simulated), *options, "--out", "out"), message)
    assert not (tmp_path / "out").exists()


def test_train_and_apply_name_it_too(run: Run, simulated: Path, tmp_path: Path) -> None:
    bad = ["--hop", -1]
    refused = r"^Error: --hop: 'data\.hop' is -1"
    assert_one_sentence(run("train", "--agent", "default", *sources(simulated), *bad, "--out", "run"), refused)
    assert run("train", "--agent", "default", *sources(simulated), "--out", "run")[0] == 0
    assert_one_sentence(run("apply", "run", simulated / "scores", *bad, "--out", "events.tsv"), refused)
