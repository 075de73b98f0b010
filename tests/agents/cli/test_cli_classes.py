"""Class names: from a file, from the command line, with commas, through every table that is read and written."""

from __future__ import annotations

import csv
import io
import json
import os
import shlex
from pathlib import Path

import numpy as np
import pytest
from program import STACK, Run, assert_one_sentence, config_file

from rl_postproc.formats import read_events, read_scores, write_scores
from rl_postproc.formats.scores.shards import write_shards

CLASSES = ["Male speech, man speaking", "Dog", 'Bell; "ding", etc.']
LISTED = '"Male speech, man speaking",Dog,"Bell; ""ding"", etc."'


@pytest.fixture
def arrays(tmp_path: Path) -> Path:
    """A folder ``arrays`` of six clips whose references are what thresholding at 0.5 finds, and ``classes.list``."""
    (tmp_path / "arrays").mkdir()
    rows, generator = [], np.random.default_rng(0)
    for i in range(6):
        scores = generator.uniform(0, 0.4, (50, 3))
        for column, name in enumerate(CLASSES):
            start = int(generator.integers(0, 30))
            scores[start : start + 15, column] += 0.5
            rows.append([f"c{i}.wav", start / 10, (start + 15) / 10, name])
        np.save(tmp_path / "arrays" / f"c{i}.npy", scores)
    with (tmp_path / "r.csv").open("w", newline="") as handle:
        csv.writer(handle).writerows([["filename", "onset", "offset", "event_label"], *rows])
    (tmp_path / "classes.list").write_text("\n".join(CLASSES) + "\n")
    return tmp_path


@pytest.mark.parametrize("given", ["classes.list", LISTED])
def test_names_with_commas_pass_from_training_to_figures(run: Run, arrays: Path, given: str) -> None:
    scores = ["--scores", "arrays", "--hop", 0.1, "--classes", given, "--references", "r.csv"]
    config_file(arrays, stack=STACK)
    code, out, _ = run("train", "--agent", "default", *scores, "--out", "run")
    assert code == 0
    _, *following = shlex.split(out[out.index("rl-postproc apply") :])
    assert run(*following)[0] == 0
    assert {row.label for row in read_events(arrays / "events.tsv")} == set(CLASSES)
    code, out, _ = run("evaluate", "events.tsv", "--references", "r.csv", "--classes", given, "--json")
    assert code == 0
    assert list(json.loads(out)["classes"]) == CLASSES


def test_names_with_commas_survive_every_format(arrays: Path) -> None:
    given = {"references": arrays / "r.csv"}
    found = read_scores(arrays / "arrays", hop=0.1, classes=arrays / "classes.list", **given)
    write_scores(found, arrays / "tables")
    write_shards(found, arrays / "shards")
    for again in (read_scores(arrays / "tables", **given), read_scores(arrays / "shards")):
        assert again.classes == tuple(CLASSES)
        assert again.require_references().to_rows() == found.require_references().to_rows()
    np.savez(arrays / "tags.npz", scores=found.scores[:, :, 0].numpy(), clip_ids=found.clip_ids)
    (arrays / "labels.tsv").write_text("filename\tevent_labels\n" + "".join(f"{c}\t{LISTED}\n" for c in found.clip_ids))
    tags = read_scores(arrays / "tags.npz", references=arrays / "labels.tsv", classes=CLASSES)
    assert bool((tags.require_references().counts() == 1).all())


def test_a_benchmark_writes_them_into_its_tables(run: Run, arrays: Path) -> None:
    scores = ["--scores", "arrays", "--hop", 0.1, "--classes", "classes.list", "--references", "r.csv"]
    assert run("benchmark", config_file(arrays), *scores, "--agents", "default", "--out", "out")[0] == 0
    results = json.loads((arrays / "out" / "results.json").read_text())
    assert list(results["rows"][0]["classes"]) == CLASSES


@pytest.mark.skipif(not Path("/dev/fd").is_dir(), reason="needs /dev/fd, where shells keep their streams")
def test_streams_of_the_shell_are_read(run: Run, arrays: Path) -> None:
    table = io.StringIO()
    csv.writer(table, delimiter="\t").writerows(csv.reader((arrays / "r.csv").read_text().splitlines()))
    ends = []
    for text in (table.getvalue(), (arrays / "classes.list").read_text()):
        end, start = os.pipe()
        os.write(start, text.encode())
        os.close(start)
        ends.append(f"/dev/fd/{end}")
    given = ["--scores", "arrays", "--hop", 0.1, "--references", ends[0], "--classes", ends[1]]
    assert run("train", "--agent", "default", *given, "--out", "run")[0] == 0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("absent.txt", r"--classes: there is no file 'absent\.txt'; give a text file with one name a line"),
        ("Cat,,Dog", r"--classes lists names .* empty in 'Cat,,Dog'"),
        ("Speech,man speaking,Dog,man speaking", r"'man speaking' occurs twice; .* into a file"),
        (",".join(f"class {i}" for i in range(999)), r"shape \[50, 3\] where \[frame, 999\] is expected"),
        ("twice.txt", r"twice\.txt', row 3: the class 'Cat' occurs twice"),
        ("empty.txt", r"empty\.txt' is empty; name one class a row"),
    ],
)
def test_lists_that_cannot_be_meant_are_refused(run: Run, arrays: Path, given: str, message: str) -> None:
    (arrays / "twice.txt").write_text("Cat\nDog\nCat\n")
    (arrays / "empty.txt").write_text("\n")
    options = ["--scores", "arrays", "--hop", 0.1, "--references", "r.csv", "--classes", given]
    assert_one_sentence(run("train", "--agent", "default", *options, "--out", "run"), message)
    assert not (arrays / "run").exists()
