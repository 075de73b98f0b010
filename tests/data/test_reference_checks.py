"""What looks wrong in references and durations is said once, counted, with the first and the remedy; nothing is dropped."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from program import Run

from rl_postproc.data.reference_checks import reference_problems
from rl_postproc.data.scores import ScoreSet
from rl_postproc.formats import read_scores, write_scores
from rl_postproc.utils.errors import DataWarning

HOP = 0.05
SOUND = [("a", 0.5, 2.0, "Dog"), ("a", 2.0, 9.8, "Cat"), ("b", 0.0, 1.25, "Dog"), ("b", 3.0, 10.1, "Dog")]


def score_set(rows: list, durations: dict[str, float] | None = None) -> ScoreSet:
    arrays = {clip: np.full((200, 2), 0.5) for clip in "ab"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        return ScoreSet.from_arrays(arrays, hop=HOP, classes=["Cat", "Dog"], references=rows, durations=durations)


def scaled(factor: float, digits: int | None = None) -> list:
    return [(clip, round(on * factor, digits), round(off * factor, digits), label) for clip, on, off, label in SOUND]


CASES = {
    "sound": (SOUND, None, None),
    "touching": ([("a", 0.5, 2.0, "Dog"), ("a", 2.0, 3.0, "Dog")], None, None),
    "repeated": (
        [*SOUND, SOUND[2], SOUND[2]],
        None,
        r"2 of 6 reference events repeat another one \(the first: 'Dog' from 0 to 1\.25 s in clip 'b'\); each row counts.*"
        r"remove the repeated rows",
    ),
    "past the end": (
        [*SOUND, ("a", 9.5, 12.0, "Cat")],
        None,
        r"1 of 5 reference events end more than 0\.2 s after their clip \(the first: 'Cat' from 9\.5 to 12 s in clip 'a', "
        r"which ends at 10 s\).*correct",
    ),
    "milliseconds": (scaled(1000), None, r"[34] of 4 .*past their clip's end.*look like milliseconds; divide .* 1000"),
    "frames": (scaled(1 / HOP), None, r"of 4 .*look like frame numbers; multiply them by the hop of 0\.05 s"),
    "samples": (scaled(32000), None, r"of 4 .*look like samples at 32000 Hz; divide them by 32000"),
    "another hop": (scaled(3.123, 3), None, r"2 of 4 reference events end more than 0\.2 s after.*or the hop"),
    "durations in milliseconds": (
        SOUND,
        {"a": 10000.0, "b": 9990.0},
        r"2 of 2 clips last longer than their scores \(the first: 'a' of 10000 s, whose scores end at 10 s\); .*milliseconds",
    ),
    "long durations": (SOUND, {"a": 25.6, "b": 30.0}, r"2 of 2 clips last longer .*'a' of 25\.6 s.*check the durations and"),
    "one long duration": (SOUND, {"a": 10.0, "b": 30.0}, None),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_looks_wrong_is_one_sentence(case: str) -> None:
    rows, durations, pattern = CASES[case]
    found = score_set(rows, durations)
    problems = reference_problems(found)
    assert len(problems) == (pattern is not None)
    assert all(re.search(str(pattern), problem) and problem.endswith(".") for problem in problems)
    assert len(found.require_references()) == len(rows)


def test_two_things_that_look_wrong_are_two_sentences() -> None:
    assert len(reference_problems(score_set([*SOUND, SOUND[0], ("a", 9.5, 12.0, "Cat")]))) == 2


def test_reading_and_building_say_it(tmp_path: Path) -> None:
    arrays = {"a": np.full((200, 2), 0.5), "b": np.full((200, 2), 0.5)}
    with pytest.warns(DataWarning, match="1 of 5 reference events repeat") as said:
        built = ScoreSet.from_arrays(arrays, hop=HOP, classes=["Cat", "Dog"], references=[*SOUND, SOUND[0]])
    assert [warning.filename for warning in said] == [__file__]
    write_scores(built, tmp_path / "scores")
    lines = ["\t".join(map(str, row)) for row in [*SOUND, SOUND[0]]]
    (tmp_path / "r.tsv").write_text("\n".join(lines) + "\n")
    with pytest.warns(DataWarning, match="1 of 5 reference events repeat"):
        read_scores(tmp_path / "scores", references=tmp_path / "r.tsv")


@pytest.mark.parametrize("with_durations", [False, True])
def test_evaluate_says_that_references_are_in_milliseconds(run: Run, tmp_path: Path, with_durations: bool) -> None:
    header = "filename\tonset\toffset\tevent_label\n"
    for name, rows in (("events.tsv", SOUND), ("r.tsv", scaled(1000))):
        (tmp_path / name).write_text(header + "".join("\t".join(map(str, row)) + "\n" for row in rows))
    (tmp_path / "d.tsv").write_text("a\t10\nb\t10\n")
    more = ["--durations", "d.tsv"] if with_durations else []
    code, out, err = run("evaluate", "events.tsv", "--references", "r.tsv", *more)
    assert code == 0 and "sed_eval" in out
    assert re.match(r"Note: [34] of 4 reference events lie past .* look like milliseconds; .*\.\n$", err)
