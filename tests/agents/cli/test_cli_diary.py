"""The command `diary`: two event lists compared, as tables, as JSON and as a plot."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from program import SIMULATED, Run, assert_one_sentence, sources

from rl_postproc.data.events import Events
from rl_postproc.diary import KINDS
from rl_postproc.formats import write_events

REFERENCES = [("a", 2.0, 4.0, "Cat"), ("a", 6.0, 7.0, "Cat"), ("b", 1.0, 2.0, "Dog")]
BEFORE = [("a", 2.5, 4.0, "Cat"), ("a", 6.0, 7.0, "Cat"), ("b", 8.0, 9.0, "Dog")]
AFTER = [("a", 2.0, 4.0, "Cat"), ("a", 6.0, 7.0, "Cat")]


@pytest.fixture
def tables(tmp_path: Path) -> dict[str, Path]:
    named = {"references": REFERENCES, "before": BEFORE, "after": AFTER, "elsewhere": [("c", 0.0, 1.0, "Cat")]}
    found = {}
    for name, rows in named.items():
        clips = sorted({"a", "b", *(row[0] for row in rows)})
        write_events(Events.from_rows(rows, clips, ["Cat", "Dog"]), tmp_path / f"{name}.tsv")
        found[name] = tmp_path / f"{name}.tsv"
    return found


def test_two_lists_are_compared_by_kind_of_error(run: Run, tables: dict[str, Path], tmp_path: Path) -> None:
    call = ("diary", tables["before"], tables["after"], "--references", tables["references"])
    code, out, err = run(*call, "--json", "--plot", tmp_path / "diary.png")
    assert code == 0, err
    answer = json.loads(out)
    first, second = answer["events"]
    assert first["kinds"]["onset"]["classes"]["Cat"] == {"missed": 1, "false_alarms": 1, "f1_if_mended": 1.0}
    assert first["kinds"]["silence"]["false_alarms"] == 1
    assert second["kinds"]["missed"]["missed"] == 1
    assert (
        answer["difference"]["macro_f1"] == pytest.approx(second["macro_f1"] - first["macro_f1"]) == pytest.approx(0.25)
    )
    assert answer["difference"]["kinds"]["onset"]["part"] == pytest.approx(0.25)
    assert (tmp_path / "diary.png").read_bytes()[:4] == b"\x89PNG"
    code, out, err = run(*call)
    assert code == 0, err
    assert all(f"{kind}:" in out for kind in KINDS)
    assert "+25.00" in out and "1→0" in out
    # Of one list alone.
    code, out, err = run("diary", tables["before"], "--references", tables["references"], "--json")
    assert code == 0 and "difference" not in json.loads(out), err
    # Wider collars forgive the onset.
    code, out, err = run(*call, "--json", "--set", "metric.t_collar=0.6")
    assert code == 0 and json.loads(out)["events"][0]["kinds"]["onset"]["missed"] == 0, err


def test_what_cannot_be_compared_is_said_in_one_sentence(run: Run, tables: dict[str, Path], tmp_path: Path) -> None:
    known = ("--references", tables["references"])
    other = run("diary", tables["before"], tables["elsewhere"], *known)
    assert_one_sentence(other, "'c'|clip")
    tagging = run("diary", tables["before"], *known, "--set", "metric.metric=tagging")
    assert_one_sentence(tagging, "metric that matches events by onset and offset")
    folder = run("diary", tmp_path, *known)
    assert_one_sentence(folder, "run folder; give --scores")


def test_a_run_folder_is_applied_to_the_scores_and_compared_with_events(run: Run, tmp_path: Path) -> None:
    data, tuned, events = tmp_path / "data", tmp_path / "tuned", tmp_path / "events.tsv"
    assert run("simulate", "--out", data, *SIMULATED)[0] == 0
    assert run("train", "--agent", "default", "--out", tuned, *sources(data))[0] == 0
    assert run("apply", tuned, data / "scores", "--durations", data / "durations.tsv", "--out", events)[0] == 0
    code, out, err = run("diary", tuned, events, *sources(data), "--json")
    assert code == 0, err
    answer = json.loads(out)
    assert answer["events"][0]["kinds"] == answer["events"][1]["kinds"]
    assert answer["difference"]["macro_f1"] == 0
