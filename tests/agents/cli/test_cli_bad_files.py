"""The command line on files that cannot be used: one sentence, exit code 2, nothing half-written."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from program import Run, assert_one_sentence, config_file, sources

from rl_postproc.metrics import certify


def edit(path: Path, row: int, text: str | None) -> None:
    """Replaces a line (counted from 1), drops it (None), or appends one (row 0)."""
    lines = path.read_text().splitlines()
    if row == 0:
        lines.append(str(text))
    elif text is None:
        del lines[row - 1]
    else:
        lines[row - 1] = text
    path.write_text("\n".join(lines) + "\n")


def score_file(data: Path) -> Path:
    return sorted((data / "scores").iterdir())[3]


def frame(data: Path, row: int, **cells: object) -> None:
    """Changes cells of a frame's row in a score file; the columns are onset, offset and the classes."""
    path = score_file(data)
    lines = path.read_text().splitlines()
    header, values = lines[0].split("\t"), lines[row - 1].split("\t")
    for name, value in cells.items():
        values[header.index(name)] = str(value)
    edit(path, row, "\t".join(values))


def swap(data: Path) -> None:
    lines = score_file(data).read_text().splitlines()
    edit(score_file(data), 6, lines[6])
    edit(score_file(data), 7, lines[5])


BAD_DATA: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing folder": (lambda d: shutil.rmtree(d / "scores"), r"no '.*scores'"),
    "empty folder": (
        lambda d: (shutil.rmtree(d / "scores"), (d / "scores").mkdir()),
        r"folder '.*scores' is empty",
    ),
    "no references": (lambda d: (d / "references.tsv").unlink(), r"references\.tsv"),
    "no durations": (lambda d: (d / "durations.tsv").unlink(), r"durations\.tsv"),
    "clip only in the references": (
        lambda d: edit(d / "references.tsv", 0, "extra.wav\t0.0\t1.0\tCat"),
        r"references\.tsv.*missing from the scores.*'extra\.wav'",
    ),
    "clip only in the scores": (
        lambda d: score_file(d).rename(d / "scores" / "new.tsv"),
        r"clips in the scores .* missing from the durations .* \('new'\)",
    ),
    "clip not in the references": (
        lambda d: (d / "references.tsv").write_text(
            "".join(x for x in (d / "references.tsv").read_text().splitlines(True) if "sim_00005" not in x)
        ),
        r"clips in the scores .* missing from the references .*'sim_00005'.*empty onset",
    ),
    "clip only in the durations": (
        lambda d: edit(d / "durations.tsv", 0, "extra.wav\t5.0"),
        r"durations\.tsv.*'extra\.wav'",
    ),
    "clip not in the durations": (lambda d: edit(d / "durations.tsv", 3, None), r"durations\.tsv' \('sim_00001'\)"),
    "unknown class": (
        lambda d: edit(d / "references.tsv", 2, "sim_00000.wav\t0.0\t1.0\tCot"),
        r"references\.tsv', row 2.*'Cot'.*did you mean 'Cat'",
    ),
    "NaN": (lambda d: frame(d, 5, Dog="nan"), r"sim_00003\.tsv', row 5.*nan.*'Dog'.*\[0, 1\]"),
    "above one": (lambda d: frame(d, 7, Cat=1.25), r"sim_00003\.tsv', row 7.*1\.25.*'Cat'"),
    "below zero": (lambda d: frame(d, 2, Cat=-0.01), r"sim_00003\.tsv', row 2.*-0\.01"),
    "unsorted frames": (swap, r"sim_00003\.tsv', row 6.*sort the frames"),
    "overlapping frames": (lambda d: frame(d, 6, onset=0.2), r"sim_00003\.tsv', row 6.*overlaps"),
    "frame that ends before it begins": (lambda d: frame(d, 6, offset=0.1), r"sim_00003\.tsv', row 6"),
    "truncated score file": (
        lambda d: score_file(d).write_bytes(score_file(d).read_bytes()[:-25]),
        r"sim_00003\.tsv', row \d+",
    ),
    "negative duration": (
        lambda d: edit(d / "durations.tsv", 4, "sim_00002.wav\t-5.0"), r"durations\.tsv', row 4.*-5\.0.*positive",
    ),
    "duration that is no number": (
        lambda d: edit(d / "durations.tsv", 4, "sim_00002.wav\tlong"), r"durations\.tsv', row 4.*'long'",
    ),
    "onset after offset": (
        lambda d: edit(d / "references.tsv", 3, "sim_00000.wav\t2.5\t1.0\tCat"),
        r"references\.tsv', row 3.*2\.5.*after.*1\.0",
    ),
    "onset that is NaN": (
        lambda d: edit(d / "references.tsv", 3, "sim_00000.wav\tnan\t1.0\tCat"), r"references\.tsv', row 3.*nan",
    ),
    "negative onset": (
        lambda d: edit(d / "references.tsv", 3, "sim_00000.wav\t-1.0\t1.0\tCat"), r"references\.tsv', row 3.*-1\.0",
    ),
    "missing column": (
        lambda d: edit(d / "references.tsv", 3, "sim_00000.wav\t1.0\tCat"), r"references\.tsv', row 3.*3 columns",
    ),
    "binary references": (
        lambda d: (d / "references.tsv").write_bytes(b"\xff\xfe\x00\x01"), r"references\.tsv.*UTF-8",
    ),
}  # fmt: skip


@pytest.mark.parametrize("command_name", ["train", "benchmark"])
@pytest.mark.parametrize("fault", sorted(BAD_DATA))
def test_bad_data_is_one_sentence_and_nothing_is_written(
    run: Run, data: Path, tmp_path: Path, fault: str, command_name: str
) -> None:
    spoil, message = BAD_DATA[fault]
    spoil(data)
    first = ["train", "--agent", "default"] if command_name == "train" else ["benchmark", config_file(tmp_path)]
    assert_one_sentence(run(*first, *sources(data), "--out", "out"), message)
    assert not (tmp_path / "out").exists()


BAD_SCORES = [
    "missing folder", "empty folder", "clip not in the durations", "NaN", "above one", "below zero", "unsorted frames",
    "overlapping frames", "truncated score file", "negative duration",
]  # fmt: skip


@pytest.mark.parametrize("fault", BAD_SCORES)
def test_apply_refuses_bad_scores_and_writes_nothing(run: Run, data: Path, tmp_path: Path, fault: str) -> None:
    assert run("train", "--agent", "default", *sources(data), "--out", "run")[0] == 0
    spoil, message = BAD_DATA[fault]
    spoil(data)
    result = run("apply", "run", data / "scores", "--durations", data / "durations.tsv", "--out", "out/events.tsv")
    assert_one_sentence(result, message)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("sim_00000.wav\t2.0\t1.0\tCat", r"events\.tsv', row 2.*2\.0.*after"),
        ("sim_99999.wav\t0.0\t1.0\tCat", r"events\.tsv', row 2.*'sim_99999\.wav'"),
        ("sim_00000.wav\tnan\t1.0\tCat", r"events\.tsv', row 2.*nan"),
        ("sim_00000.wav\tsoon\t1.0\tCat", r"events\.tsv', row 2.*'soon'"),
        ("sim_00000.wav\t0.0\t1.0\t", r"events\.tsv', row 2.*label"),
    ],
)
def test_evaluate_refuses_bad_events(run: Run, data: Path, line: str, message: str) -> None:
    events = data / "events.tsv"
    events.write_text("filename\tonset\toffset\tevent_label\n" + line + "\n")
    assert_one_sentence(run("evaluate", events, "--references", data / "references.tsv", "--json"), message)


def test_evaluate_names_files_that_do_not_fit_together(run: Run, data: Path) -> None:
    references, durations = data / "references.tsv", data / "durations.tsv"
    assert_one_sentence(run("evaluate", data / "none.tsv", "--references", references), r"none\.tsv")
    assert_one_sentence(run("evaluate", references, "--references", data / "none.tsv"), r"none\.tsv")
    assert_one_sentence(run("evaluate", data, "--references", references), r"--scores")
    edit(durations, 3, None)
    both = ["--references", references, "--durations", durations]
    assert_one_sentence(run("evaluate", references, *both), r"durations\.tsv' \('sim_00001\.wav'\)")


def test_apply_refuses_damaged_and_missing_runs(run: Run, simulated: Path, tmp_path: Path) -> None:
    settings = ["--set", "agent.rollouts=1", "--set", "agent.members=1"]
    assert run("train", "--agent", "ppo", *sources(simulated), "--out", "run", *settings)[0] == 0
    text, tensors = (tmp_path / "run" / f"postprocessor.{kind}" for kind in ("json", "safetensors"))
    whole, weights = text.read_text(), tensors.read_bytes()

    def refused(message: str) -> None:
        assert_one_sentence(run("apply", "run", simulated / "scores", "--out", "events.tsv"), message)
        assert not (tmp_path / "events.tsv").exists()

    tensors.write_bytes(weights[: len(weights) // 2])
    refused(r"postprocessor\.safetensors' is damaged")
    tensors.unlink()
    refused(r"postprocessor\.safetensors")
    text.write_text(whole[: len(whole) // 2])
    refused(r"postprocessor\.json' is not valid JSON.*truncated")
    text.write_text("{}")
    refused(r"postprocessor\.json' is not a post-processor")
    shutil.rmtree(tmp_path / "run")
    refused(r"Cannot read '.*run'")


def test_apply_refuses_scores_of_other_classes(run: Run, simulated: Path, tmp_path: Path) -> None:
    assert run("train", "--agent", "default", *sources(simulated), "--out", "run")[0] == 0
    assert run("simulate", "--out", "other", "--set", "n_clips=2", "--set", "classes=[Cat, Dog]")[0] == 0
    assert_one_sentence(run("apply", "run", "other/scores", "--out", "events.tsv"), r"lack the class 'Speech'")
    assert not (tmp_path / "events.tsv").exists()


def test_arrays_and_operating_points_are_checked_too(run: Run, tmp_path: Path) -> None:
    (tmp_path / "npy").mkdir()
    np.save(tmp_path / "npy" / "a.npy", np.array([[0.5, np.nan], [0.5, 0.5]]))
    (tmp_path / "r.tsv").write_text("a.wav\t0.0\t0.1\tCat\n")
    options = ["--references", "r.tsv", "--agent", "default", "--out", "out"]
    arrays = ["train", "--scores", "npy", *options]
    assert_one_sentence(run(*arrays, "--hop", 0.1, "--classes", "Cat,Dog"), r"a\.npy', row 1.*nan.*'Dog'")
    assert_one_sentence(run(*arrays, "--classes", "Cat,Dog"), r"hop")
    assert_one_sentence(run(*arrays, "--hop", 0.1), r"classes")
    np.save(tmp_path / "npy" / "a.npy", np.array([{}, 1], dtype=object), allow_pickle=True)
    assert_one_sentence(run(*arrays, "--hop", 0.1, "--classes", "Cat,Dog"), r"a\.npy' holds Python objects")
    (tmp_path / "points").mkdir()
    header = "filename\tonset\toffset\tevent_label\n"
    (tmp_path / "points" / "th_0.3.tsv").write_text(header + "a.wav\t0.0\t0.1\tCat\n")
    (tmp_path / "points" / "th_0.6.tsv").write_text(header + "a.wav\t0.0\t0.2\tCat\n")
    assert_one_sentence(run("train", "--scores", "points", *options), r"th_0\.6\.tsv', row 2.*not covered")
    assert not (tmp_path / "out").exists()


def test_a_difference_from_sed_eval_is_never_a_result(
    run: Run, simulated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def planted(*_: object) -> None:
        raise certify.CertificationError("planted")

    monkeypatch.setattr(certify, "evaluate", planted)
    references = simulated / "references.tsv"
    code, out, err = run("evaluate", references, "--references", references, "--json")
    assert code == 3
    assert not out
    assert "planted" in err
