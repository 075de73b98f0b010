"""`apply` on many files, large files, standard input and several processes: the same events, whole or not at all."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from cases import small_simulation
from program import Run, assert_one_sentence, command, environment

from rl_postproc.data.scores import ScoreSet
from rl_postproc.formats import read_events, write_scores
from rl_postproc.pipeline import apply_files
from rl_postproc.pipeline.postprocessor import PostProcessor
from rl_postproc.pipeline.stack import Stack

CONSTANTS = [{"stage": "median"}, {"stage": "hysteresis"}, {"stage": "gap_fill"}]
BOXES = [{"stage": "clip_gate"}, {"stage": "boxes"}, {"stage": "confidence", "threshold": 0.3}]


def save(stack: list, scores: ScoreSet, folder: Path) -> Path:
    made = Stack.from_config(stack)
    values = made.space.defaults.repeat(scores.n_classes, 1)
    values[:, 0] = torch.tensor([0.0, 0.32, 0.58])[: scores.n_classes] if stack is CONSTANTS else 0.3
    return PostProcessor.constant(made, scores, values).save(folder).parent


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two sets of scores, first/ and second/, the table of one clip, and two post-processors."""
    folder = tmp_path_factory.mktemp("apply")
    scores = small_simulation(5, 3, short=0.4)
    write_scores(scores.select([0, 1, 2]), folder / "first")
    write_scores(scores.select([3, 4]).of_classes(scores.classes[::-1]), folder / "second")
    (folder / "durations.tsv").write_text("".join(f"{clip}\t{4.1}\n" for clip in scores.clip_ids))
    save(CONSTANTS, scores, folder / "constants")
    save(BOXES, scores, folder / "boxes")
    return folder


@pytest.fixture
def in_pieces(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Reads all files in pieces of a few frames."""
    seen, real = [], apply_files.stream_events

    def counted(pieces: Callable, *given: Any) -> Any:
        seen.append(len(list(pieces())))
        return real(pieces, *given)

    monkeypatch.setattr(apply_files, "LARGE_FILE", 0)
    monkeypatch.setattr(apply_files, "PIECE_BYTES", 100)
    monkeypatch.setattr(apply_files, "stream_events", counted)
    yield
    assert seen and max(seen) > 1


def written(run: Run, *arguments: object) -> str:
    code, _, err = run("apply", *arguments, "--out", "out.tsv")
    assert code == 0, err
    return Path("out.tsv").read_text()


@pytest.mark.parametrize("processor", ["constants", "boxes"])
def test_large_files_in_pieces_give_the_same(
    run: Run, place: Path, processor: str, request: pytest.FixtureRequest
) -> None:
    given = [place / processor, place / "first", "--durations", place / "durations.tsv", "--subset"]
    told = run("apply", *given, "--out", "out.tsv")[1:]
    expected = Path("out.tsv").read_text()
    request.getfixturevalue("in_pieces")
    assert run("apply", *given, "--out", "out.tsv")[1:] == told
    assert Path("out.tsv").read_text() == expected and expected.count("\n") > 6


def test_several_sets_are_written_together(run: Run, place: Path, request: pytest.FixtureRequest) -> None:
    parts = [written(run, place / "constants", place / name) for name in ("first", "second")]
    both = parts[0] + parts[1].partition("\n")[2]
    assert written(run, place / "constants", place / "first", place / "second") == both
    assert written(run, place / "constants", place / "first", place / "second", "--durations",
                   place / "durations.tsv") != both  # fmt: skip
    # Sets that list the classes in another order, to a post-processor that suits any.
    alone = [set(written(run, "universal", place / name).splitlines()) for name in ("first", "second")]
    assert set(written(run, "universal", place / "first", place / "second").splitlines()) == set.union(*alone)
    request.getfixturevalue("in_pieces")
    assert written(run, place / "constants", place / "first", place / "second") == both
    again = run("apply", place / "constants", place / "first", place / "first", "--out", "two.tsv")
    assert again[0] == 2 and "is in two of the sets of scores" in again[2] and not Path("two.tsv").exists()


def test_several_processes_give_the_same_in_the_same_order(run: Run, place: Path) -> None:
    for name, sets in (("boxes", ["first", "second"]), ("universal", ["first", "second"])):
        given = [place / name if name == "boxes" else name, *(place / own for own in sets)]
        assert written(run, *given, "--jobs", 2) == written(run, *given)


def test_a_fault_in_another_process_is_one_sentence(run: Run, place: Path, tmp_path: Path) -> None:
    write_scores(small_simulation(2, 3), tmp_path / "bad")
    file = sorted((tmp_path / "bad").iterdir())[1]
    file.write_bytes(file.read_bytes()[:-25])
    result = run("apply", place / "constants", "bad", "--jobs", 2, "--out", "out.tsv")
    assert_one_sentence(result, rf"{file.name}', row \d+")
    assert not Path("out.tsv").exists()


def test_a_file_that_is_cut_leaves_nothing(run: Run, place: Path, tmp_path: Path, in_pieces: None) -> None:
    write_scores(small_simulation(2, 3), tmp_path / "bad")
    file = sorted((tmp_path / "bad").iterdir())[1]
    lines = file.read_text().splitlines()[:60]
    file.write_text("\n".join(lines)[: -len(lines[-1].rpartition("\t")[2]) - 1])  # the last score of the last line
    result = run("apply", place / "constants", "bad", "--out", "new/out.tsv")
    assert_one_sentence(result, rf"{file.name}', row 60: .*truncated")
    assert not Path("new").exists()


def test_notes_on_scores_in_pieces_are_those_of_the_whole(
    run: Run, place: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    scores = small_simulation(3, 3)
    scores.scores[:, 1] = 0.25
    write_scores(scores, tmp_path / "s")
    (tmp_path / "d.tsv").write_text("".join(f"{clip}\t2.0\n" for clip in scores.clip_ids))
    given = ["apply", place / "constants", "s", "--durations", "d.tsv", "--out", "out.tsv"]
    whole = run(*given)
    assert "frames of 3 of 3 clips begin after their clip's end and are cut" in " ".join(whole[2].split())
    assert "has one score throughout (the first: 0.25)" in " ".join(whole[2].split())
    request.getfixturevalue("in_pieces")
    assert run(*given) == whole


def test_standard_input_is_a_clip(run: Run, place: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    file = sorted((place / "first").iterdir())[0]
    (tmp_path / "one" / "mine.tsv").write_bytes(file.read_bytes())
    expected = written(run, place / "constants", "one")

    def stdin(content: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))

    stdin(file.read_bytes())
    assert written(run, place / "constants", "-", "--clip", "mine") == expected
    stdin(file.read_bytes())
    code, out, _ = run("apply", place / "constants", "-", "--out", "-")
    assert (code, out) == (0, expected.replace("mine", "stdin"))
    for content, message in ((b"", "standard input, row 1: the file is empty"), (b"x\ty\n", "standard input, row 1")):
        stdin(content)
        assert_one_sentence(run("apply", place / "constants", "-", "--out", "o.tsv"), message)
    stdin(file.read_bytes()[:-30])
    assert_one_sentence(run("apply", place / "constants", "-", "--out", "o.tsv"), r"standard input, row \d+")
    assert_one_sentence(run("apply", place / "constants", "-", "-", "--out", "o.tsv"), "give - once")
    assert_one_sentence(run("apply", place / "constants", "-", "--clip", "a/b", "--out", "o.tsv"), "--clip 'a/b'")
    assert not Path("o.tsv").exists()


def test_a_pipe_reads_and_writes(place: Path, tmp_path: Path) -> None:
    file = sorted((place / "first").iterdir())[0]
    done = subprocess.run(
        command("apply", place / "constants", "-", "--out", "-"), stdin=file.open(), capture_output=True, text=True,
        env=environment(), cwd=tmp_path, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("filename\tonset\toffset\tevent_label\nstdin\t") and "Wrote" not in done.stdout


def test_confidences_are_written_where_there_are_any(run: Run, place: Path) -> None:
    plain = written(run, place / "boxes", place / "first")
    text = written(run, place / "boxes", place / "first", "--confidence")
    rows = [line.split("\t") for line in text.splitlines()]
    assert rows[0][4] == "confidence"
    assert ["\t".join(row[:4]) for row in rows] == plain.splitlines()
    sure = [float(row[4]) for row in rows[1:] if row[4]]
    assert len(set(sure)) > 3 and min(sure) > 0.3 and max(sure) <= 1
    assert [row.onset for row in read_events("out.tsv")] == [float(row[1]) if row[1] else None for row in rows[1:]]
    assert "confidence" in written(run, "universal", place / "first", "--confidence")
    result = run("apply", place / "constants", place / "first", "--confidence", "--out", "x.tsv")
    assert_one_sentence(result, "does not say how sure its events are, since decisions make them")
    assert_one_sentence(run("apply", place / "boxes", place / "first", "--to", "tabel", "--out", "x.tsv"), "'tabel'")
    assert not Path("x.tsv").exists()


def test_a_run_folder_and_its_artefact_are_alike(run: Run, place: Path) -> None:
    assert written(run, place / "constants", place / "first") == written(
        run, place / "constants" / "postprocessor.json", place / "first"
    )
    assert json.loads((place / "constants" / "postprocessor.json").read_text())["policy"]["kind"] == "constant"
