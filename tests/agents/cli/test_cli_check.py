"""`check` says what lies in files and folders, and its commands run."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import numpy as np
import pytest
from program import SIMULATED, Run, assert_one_sentence


def found(run: Run, *arguments: object) -> dict[str, dict]:
    """What `check` finds, by the names of paths."""
    code, out, err = run("check", *arguments, "--json")
    assert code in (0, 1), err
    return {Path(one["path"]).name: one for one in json.loads(out)}


@pytest.fixture
def data(run: Run) -> Path:
    """A simulated data set, in the working folder."""
    assert run("simulate", "--out", "data", *SIMULATED)[0] == 0
    return Path("data")


def test_scores_are_paired_with_their_tables_and_the_command_tunes_them(run: Run, data: Path) -> None:
    one = found(run, data)
    assert {name: entry["kind"] for name, entry in one.items()} == {
        "durations.tsv": "durations", "references.tsv": "events", "scores": "scores",
    }  # fmt: skip
    scores = one["scores"]
    assert scores["data"]["clips"] == 12
    assert scores["data"]["classes"] == ["Cat", "Dog", "Speech"]
    assert sum(scores["data"]["references"].values()) == one["references.tsv"]["holds"]["events"] > 0
    assert scores["can_be_tuned"] is True
    command = shlex.split(scores["command"])
    assert command[:2] == ["rl-postproc", "train"]
    command[command.index("event_value")] = "grid_search"
    assert run(*command[1:])[0] == 0


def test_the_text_says_the_same(run: Run, data: Path) -> None:
    code, out, _ = run("check", data)
    assert code == 0
    assert "12 clips, 3 classes" in out
    assert "It can be tuned: rl-postproc train --scores data/scores --references data/references.tsv" in out


def test_without_references_the_command_applies_what_comes_trained(run: Run, data: Path) -> None:
    scores = found(run, data / "scores")["scores"]
    assert scores["can_be_tuned"] is False
    command = shlex.split(scores["command"])
    assert command[:3] == ["rl-postproc", "apply", "universal"]
    assert run(*command[1:])[0] == 0
    assert Path("events.tsv").is_file()


def test_detections_are_never_taken_for_references(run: Run, data: Path) -> None:
    (data / "references.tsv").rename(data / "predictions.tsv")
    scores = found(run, data)["scores"]
    assert scores["references"] is None
    assert scores["can_be_tuned"] is False


def test_references_that_could_be_either_are_asked_for(run: Run, data: Path) -> None:
    (data / "references_2.tsv").write_bytes((data / "references.tsv").read_bytes())
    (data / "references.tsv").rename(data / "references_1.tsv")
    scores = found(run, data)["scores"]
    assert scores["references"] is None
    assert any("say which with --references" in note for note in scores["notes"])
    chosen = found(run, data, "--references", data / "references_2.tsv")["scores"]
    assert chosen["can_be_tuned"] is True


def test_further_clips_in_the_tables_are_told_and_dropped(run: Run, data: Path) -> None:
    next(iter((data / "scores").iterdir())).unlink()
    scores = found(run, data)["scores"]
    assert scores["data"]["clips"] == 11
    assert "--subset" in scores["command"]
    assert any("1 of 12 clips" in note for note in scores["notes"])


def test_missing_clips_are_a_problem_that_is_named(run: Run, data: Path) -> None:
    lines = (data / "durations.tsv").read_text().splitlines()
    (data / "durations.tsv").write_text("\n".join(lines[:-1]) + "\n")
    code, out, _ = run("check", data)
    assert code == 1
    assert "are missing from the durations" in out


def test_suspicious_values_are_told(run: Run, data: Path) -> None:
    rows = (data / "references.tsv").read_text().splitlines()
    (data / "references.tsv").write_text("\n".join([*rows, rows[1]]) + "\n")
    notes = found(run, data)["scores"]["data"]["notes"]
    assert any("repeat another one" in note for note in notes)


def test_what_cannot_be_read_is_said_and_the_rest_is_told(run: Run, data: Path) -> None:
    (data / "arrays").mkdir()
    np.save(data / "arrays" / "a.npy", np.zeros((5, 2), dtype=np.float32))
    one = found(run, data)
    assert "do not name their classes" in one["arrays"]["problem"]
    assert one["scores"]["can_be_tuned"] is True
    assert run("check", data)[0] == 1


def test_audio_and_unknown_files_are_counted(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "field"
    folder.mkdir()
    for name in ("a.wav", "b.wav", "notes.docx", "image.png"):
        (folder / name).write_bytes(b"\x00\x01\x02\xff")
    entries = json.loads(run("check", folder, "--json")[1])
    assert [(one["kind"], one["holds"].get("files")) for one in entries] == [("audio", 2), ("unknown", 2)]


def test_a_missing_path_is_one_sentence(run: Run) -> None:
    assert_one_sentence(run("check", "nowhere"), "There is no 'nowhere'")


def test_the_summary_of_the_real_data_is_true(run: Run, data_root: Path) -> None:
    for name in ("desed_validation", "dcase2023_task4a_baseline2", "sgl_thresh"):
        if not (data_root / name).is_dir():
            pytest.skip(f"needs '{data_root / name}'")
    one = found(run, data_root)
    assert one["README.md"]["kind"] == "unknown"
    assert one["durations.tsv"]["holds"]["clips"] == 1168
    truth = [json for name, json in one.items() if name == "ground_truth.tsv"]
    assert truth[0]["kind"] == "events"
    desed = one["operating_points"]
    assert (desed["data"]["clips"], desed["data"]["hop"], desed["data"]["frames"][1]) == (1168, 0.064, 156)
    assert sum(desed["data"]["references"].values()) == 4224
    assert desed["data"]["clips_without_references"] == 15
    assert desed["data"]["references"]["Speech"] == 1752
    assert desed["references"].endswith("desed_validation/ground_truth.tsv")
    dcase = one["scores"]
    assert (dcase["data"]["clips"], len(dcase["data"]["classes"])) == (20, 10)
    assert "--subset" in dcase["command"]
    for part, clips in (("validation", 488), ("eval", 1103)):
        tags = one[f"predictions_tensor_{part}.pt"]
        assert (tags["data"]["clips"], len(tags["data"]["classes"])) == (clips, 17)
        assert tags["references"].endswith(f"gt_tensor_{part}.pt")
        assert one[f"gt_tensor_{part}.pt"]["kind"] == "events"
    assert one["predictions_th_0.5.csv"]["holds"]["events"] == 3312
