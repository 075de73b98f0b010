"""Detections and references as one pair: the classes of both, the clips of the references, and what is said of the rest."""

from __future__ import annotations

import json
import re
import warnings
from pathlib import Path

import pytest
from cases import sed_eval_scorer
from program import Run, assert_one_sentence

from rl_postproc.formats import read_event_pair
from rl_postproc.metrics import EventBased
from rl_postproc.utils.errors import DataWarning, UserError

REFERENCES = [("a.wav", "1.0", "2.0", "Dog"), ("a.wav", "3.0", "4.0", "Cat"), ("b.wav", "", "", "")]
EVENTS = [("a.wav", "1.0", "2.0", "Dog"), ("b.wav", "0.5", "1.5", "Bird"), ("b.wav", "2.5", "3.5", "Bird")]
DURATIONS = [("a.wav", "5.0"), ("b.wav", "5.0"), ("c.wav", "5.0")]


def write(path: Path, rows: list[tuple[str, ...]]) -> Path:
    path.write_text("".join("\t".join(row) + "\n" for row in rows))
    return path


@pytest.fixture
def references(tmp_path: Path) -> Path:
    return write(tmp_path / "r.tsv", REFERENCES)


@pytest.mark.parametrize(
    ("rows", "classes", "said"),
    [
        (EVENTS[:1], ("Cat", "Dog"), None),
        (
            EVENTS,
            ("Bird", "Cat", "Dog"),
            r"1 class has events in .* no reference in .* \('Bird'\).*; these 2 events count",
        ),
        ([("a.wav", "1", "2", "dog")], ("Cat", "Dog", "dog"), r"this event counts .* \('dog' may mean 'Dog'\)\.$"),
        ([("a.wav", "1", "2", "Cot")], ("Cat", "Cot", "Dog"), r"1 class has events .* \('Cot' may mean 'Cat'\)\.$"),
        (
            [("a.wav", "1", "2", name) for name in ("A", "B", "C", "D")],
            ("A", "B", "C", "Cat", "D", "Dog"),
            r"4 classes have .* \('A', 'B', 'C', …\)",
        ),
    ],
)
def test_the_classes_are_those_of_both_tables(
    references: Path, tmp_path: Path, rows: list, classes: tuple[str, ...], said: str | None
) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DataWarning)
        expected, found = read_event_pair(write(tmp_path / "e.tsv", rows), references)
    assert expected.classes == found.classes == classes
    assert expected.clip_ids == found.clip_ids == ("a.wav", "b.wav")
    assert (len(expected), len(found)) == (2, len(rows))
    assert len(caught) == (said is not None)
    assert all(re.search(str(said), str(one.message)) for one in caught)


def test_a_class_without_reference_has_no_score_and_counts_as_in_sed_eval(
    run: Run, references: Path, tmp_path: Path
) -> None:
    events = write(tmp_path / "e.tsv", EVENTS)
    code, out, err = run("evaluate", events, "--references", references)
    row = next(line for line in out.splitlines() if "Bird" in line)
    assert code == 0 and row.split("│")[-2].strip() == "no reference"
    assert err.startswith("Note: 1 class has events")
    figures = json.loads(run("evaluate", events, "--references", references, "--json")[1])
    assert figures["classes"]["Bird"]["f1"] is None and figures["classes"]["Bird"]["estimated"] == 2
    assert figures["classes"]["Cat"]["f1"] == 0.0
    with pytest.warns(DataWarning):
        scorer = sed_eval_scorer(*read_event_pair(events, references), EventBased())
    assert figures["macro_f1"] == scorer.results_class_wise_average_metrics()["f_measure"]["f_measure"] == 0.5
    assert figures["micro_f1"] == scorer.results_overall_metrics()["f_measure"]["f_measure"] == pytest.approx(0.4)


@pytest.mark.parametrize("durations", [False, True])
def test_a_subset_is_the_clips_that_the_events_list(
    run: Run, references: Path, tmp_path: Path, durations: bool
) -> None:
    events = write(tmp_path / "e.tsv", [("a.wav", "1.0", "2.0", "Dog")])
    write(tmp_path / "r.tsv", [*REFERENCES, ("c.wav", "1.0", "2.0", "Dog")])
    more = ["--durations", write(tmp_path / "d.tsv", [DURATIONS[1], DURATIONS[0], DURATIONS[2]])] if durations else []
    for options, dogs in (([], 2), (["--subset"], 1)):
        found = json.loads(run("evaluate", events, "--references", references, *more, *options, "--json")[1])
        assert found["classes"]["Dog"]["reference"] == dogs


@pytest.mark.parametrize(
    ("rows", "references", "message"),
    [
        ([("z.wav", "1", "2", "Dog")], REFERENCES, r"'z\.wav' is not among the 2 clips"),
        ([("b.wav", "", "", "")], [("b.wav", "", "", "")], r"Neither .* holds an event.*--classes"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    run: Run, tmp_path: Path, rows: list, references: list, message: str
) -> None:
    events, table = write(tmp_path / "e.tsv", rows), write(tmp_path / "r.tsv", references)
    assert_one_sentence(run("evaluate", events, "--references", table), message)


def test_a_subset_without_a_clip_in_common_is_refused(references: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"No clip of the events .* is among the references"):
        read_event_pair(write(tmp_path / "e.tsv", [("z.wav", "1", "2", "Dog")]), references, subset=True)
