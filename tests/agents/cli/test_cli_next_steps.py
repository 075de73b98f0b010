"""No step that the program or its documentation names ends in a dead end."""

from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path

import numpy as np
import pytest
from page_blocks import with_program
from program import Run, assert_one_sentence, config_file, environment, sources

FILES = "--references data/references.tsv --durations data/durations.tsv"
COMMANDS = (
    "rl-postproc simulate --out data --set n_clips=40",
    f"rl-postproc benchmark compare --scores data/scores {FILES} --out runs/mine",
    f"rl-postproc train --agent event_value --scores data/scores {FILES} --out runs/tuned",
    "rl-postproc apply runs/tuned data/scores --durations data/durations.tsv --out events.tsv",
    f"rl-postproc evaluate events.tsv {FILES}",
)
"""The path that the documentation shows for files of one's own."""


def run_script(commands: list[str], folder: Path) -> str:
    """Runs commands as a shell script and returns what it wrote to standard output."""
    (folder / "bin").mkdir()
    script = "set -e\n" + "\n".join(commands) + "\n"
    done = subprocess.run(
        ["sh", "-c", script],
        cwd=folder,
        env=environment() | {"PATH": with_program(folder / "bin")["PATH"]},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "fewer", [True, pytest.param(False, marks=[pytest.mark.slow, pytest.mark.timeout(900)])], ids=["fewer", "all"]
)
def test_the_path_of_own_files_has_no_dead_end(tmp_path: Path, fewer: bool) -> None:
    commands = [*COMMANDS]
    if fewer:
        commands[1] += " --agents default,grid_search --folds 2"
        commands[2] = (
            commands[2].replace("event_value", "default") + " --set 'stack=[{stage: threshold, threshold: 0.02}]'"
        )
    out = run_script([*commands, commands[-1] + " --json"], tmp_path)
    evaluated = json.loads(out.splitlines()[-1])
    report = json.loads((tmp_path / "runs" / "tuned" / "report.json").read_text())
    blender = report["classes"]["Blender"]
    assert blender["reference"] == 0 and blender["f1"] is None
    assert evaluated["macro_f1"] == report["macro_f1"] > 0
    assert "no reference" in out
    if fewer:  # so low a threshold raises false alarms of the class without reference
        assert blender["estimated"] > 0 and evaluated["classes"] == report["classes"]
    assert (tmp_path / "runs" / "mine" / "results.json").is_file()


def arrays(data: Path) -> list[object]:
    """Writes arrays of half of the clips, which do not tell their hop, and returns the options that read them."""
    folder = data / "my arrays"
    folder.mkdir()
    for path in sorted((data / "scores").iterdir())[::2]:
        np.save(folder / f"{path.stem}.npy", np.loadtxt(path, skiprows=1)[:, 2:].astype(np.float32))
    files = ["--scores", folder, "--references", data / "references.tsv", "--durations", data / "durations.tsv"]
    return [*files, "--hop", 0.064, "--classes", "Cat,Dog,Speech", "--subset"]


def archive(data: Path) -> list[object]:
    """Writes tags whose array has to be named."""
    ids = [line.split("\t")[0] for line in (data / "durations.tsv").read_text().splitlines()[1:]]
    scores = np.random.default_rng(0).random((len(ids), 3))
    np.savez(data / "tags.npz", **{"my scores": scores, "clip_ids": np.array(ids), "other": 1 - scores})
    files = ["--scores", data / "tags.npz", "--references", data / "references.tsv"]
    format = ["--format", "tags", "--format-option", "array=my scores", "--classes", "Cat,Dog,Speech"]
    return [*files, *format, "--metric", "tagging", "--set", "stack=[{stage: threshold}]"]


@pytest.mark.parametrize("files", [sources, arrays, archive])
def test_the_next_step_of_train_works_as_printed(run: Run, data: Path, tmp_path: Path, files) -> None:
    options = files(data)
    code, out, err = run("train", "--agent", "grid_search", *options, "--out", "my run")
    assert code == 0, err
    (step,) = [line for line in out.splitlines() if line.startswith("rl-postproc apply ")]
    code, out, err = run(*shlex.split(step)[1:])
    assert code == 0, err
    references, subset = ["--references", data / "references.tsv"], ["--subset"] if "--subset" in options else []
    metric = options[options.index("--metric") :][:2] if "--metric" in options else []
    code, out, err = run(
        "evaluate", "events.tsv", *references, *subset, *metric, "--classes", "Cat,Dog,Speech", "--json"
    )
    assert code == 0, err
    assert json.loads(out)["classes"] == json.loads((tmp_path / "my run" / "report.json").read_text())["classes"]


def test_the_next_step_names_the_data_of_a_config_from_its_folder(run: Run, data: Path, tmp_path: Path) -> None:
    (tmp_path / "configs").mkdir()
    files = {"scores": "../data/scores", "references": "../data/references.tsv", "durations": "../data/durations.tsv"}
    config = config_file(tmp_path / "configs", data={**files, "format": {"format": "sed_scores"}})
    code, out, err = run("train", "--config", config, "--agent", "default", "--out", "run")
    assert code == 0, err
    assert (
        "rl-postproc apply run data/scores --durations data/durations.tsv --format sed_scores --out events.tsv" in out
    )
    _, out, _ = run("train", "--config", config_file(tmp_path), "--agent", "default", "--out", "run2")
    assert "rl-postproc apply run2 SCORES --out events.tsv" in out


def test_applying_depends_on_what_is_given_and_not_on_where_scores_lie(run: Run, data: Path, tmp_path: Path) -> None:
    assert run("train", "--agent", "default", *sources(data), "--out", "run")[0] == 0
    written = {}
    for scores in ("data/scores", "elsewhere"):
        if scores == "elsewhere":
            (data / "scores").rename(tmp_path / scores)
        for options in ([], ["--durations", data / "durations.tsv"]):
            assert run("apply", "run", scores, *options, "--out", "e.tsv")[0] == 0
            written[scores, bool(options)] = (tmp_path / "e.tsv").read_text()
    assert written["data/scores", False] == written["elsewhere", False]
    assert written["data/scores", True] == written["elsewhere", True]
    assert written["elsewhere", False] != written["elsewhere", True]


def test_apply_takes_durations_of_further_clips_with_subset(run: Run, data: Path, tmp_path: Path) -> None:
    assert run("train", "--agent", "default", *sources(data), "--out", "run")[0] == 0
    next(iter((data / "scores").iterdir())).unlink()
    applied = ["apply", "run", "data/scores", "--durations", "data/durations.tsv", "--out", "events.tsv"]
    assert_one_sentence(run(*applied), r"1 of 12 clips in the durations")
    assert not (tmp_path / "events.tsv").exists()
    assert run(*applied, "--subset")[0] == 0
