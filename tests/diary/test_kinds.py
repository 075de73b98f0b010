"""The kinds of errors: hand-made cases of each, and what must hold of any events."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rl_postproc.data.events import Events
from rl_postproc.diary import KINDS, contributions, diary, find_errors, mend
from rl_postproc.metrics import EventBased, Macro, total_counts
from rl_postproc.metrics.base import floating

CLIPS, CLASSES = ["a", "b"], ["Cat", "Dog"]

Row = tuple[str, float, float, str]


def events(rows: list[Row]) -> Events:
    return Events.from_rows(rows, CLIPS, CLASSES)


def named(references: list[Row], estimates: list[Row]) -> tuple[list[str], list[str]]:
    """Returns the kinds of references and estimates, in the order of the sorted events."""
    names = [*KINDS, "hit"]
    found = find_errors(events(references), events(estimates), EventBased())
    return [names[k] for k in found.references], [names[k] for k in found.estimates]


CAT = ("a", 2.0, 4.0, "Cat")

CASES = {
    "hit": ([CAT], [("a", 2.1, 4.3, "Cat")], ["hit"], ["hit"]),
    "wrong onset": ([CAT], [("a", 2.5, 4.0, "Cat")], ["onset"], ["onset"]),
    "wrong offset": ([CAT], [("a", 2.0, 4.5, "Cat")], ["offset"], ["offset"]),
    "both wrong": ([CAT], [("a", 2.5, 3.0, "Cat")], ["both"], ["both"]),
    "split": ([CAT], [("a", 2.0, 2.9, "Cat"), ("a", 3.0, 4.0, "Cat")], ["split"], ["split"] * 2),
    "merged": ([CAT, ("a", 5.0, 6.0, "Cat")], [("a", 2.0, 6.0, "Cat")], ["merged"] * 2, ["merged"]),
    "merged into a hit": ([CAT, ("a", 3.0, 3.2, "Cat")], [CAT], ["hit", "merged"], ["hit"]),
    "two of two": (
        [CAT, ("a", 5.0, 6.0, "Cat")],
        [("a", 2.0, 5.5, "Cat"), ("a", 5.6, 6.0, "Cat")],
        ["offset", "onset"],
        ["offset", "onset"],
    ),
    "confusion": ([CAT], [("a", 2.5, 4.1, "Dog")], ["confusion"], ["confusion"]),
    "no confusion by half": ([CAT], [("a", 3.0, 5.0, "Dog")], ["missed"], ["beside"]),
    "missed": ([CAT], [], ["missed"], []),
    "another clip": ([CAT], [("b", 2.0, 4.0, "Cat")], ["missed"], ["silence"]),
    "duplicate": ([CAT], [CAT, ("a", 3.0, 3.1, "Cat")], ["hit"], ["hit", "duplicate"]),
    "beside": ([CAT], [CAT, ("a", 3.0, 3.1, "Dog")], ["hit"], ["hit", "beside"]),
    "silence": ([CAT], [CAT, ("a", 8.0, 9.0, "Dog")], ["hit"], ["hit", "silence"]),
    "what touches does not overlap": ([CAT], [("a", 4.0, 9.0, "Cat")], ["missed"], ["silence"]),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_hand_made_errors_are_of_the_kind_that_they_were_made_to_be(case: str) -> None:
    references, estimates, of_references, of_estimates = CASES[case]
    assert named(references, estimates) == (of_references, of_estimates)


def test_every_kind_has_a_case_of_its_own() -> None:
    assert set(KINDS) == {kind for case in CASES.values() for side in case[2:] for kind in side} - {"hit"}


row = st.builds(
    lambda clip, onset, length, label: (clip, onset / 10, (onset + length) / 10, label),
    st.sampled_from(CLIPS),
    st.integers(0, 40),
    st.integers(0, 30),
    st.sampled_from(CLASSES),
)
rows = st.lists(row, max_size=12)


@settings(max_examples=300, deadline=None)
@given(references=rows, estimates=rows)
def test_each_error_has_one_kind_and_mending_it_gives_what_is_promised(
    references: list[Row], estimates: list[Row]
) -> None:
    metric, expected, found = EventBased(), events(references), events(estimates)
    counts = total_counts(metric.count(expected, found))
    own = diary(expected, found, metric)
    # Complete and exclusive: what has a kind is all that the metric leaves without a match.
    assert torch.equal(own.missed.sum(0), counts["reference"] - counts["true_positives"])
    assert torch.equal(own.false.sum(0), counts["estimated"] - counts["true_positives"])
    assert torch.equal(own.estimated, counts["estimated"])
    errors = find_errors(expected, found, metric)
    for i, kind in enumerate(KINDS):
        mended = metric.score(floating(total_counts(metric.count(expected, mend(expected, found, errors, kind)))))
        assert torch.allclose(mended, own.mended[i], equal_nan=True, atol=1e-12)
        assert bool((mended >= own.f1 - 1e-12)[~mended.isnan()].all())


@settings(max_examples=100, deadline=None)
@given(references=rows, before=rows, after=rows)
def test_the_parts_of_a_difference_add_up_to_it_and_turn_with_its_direction(
    references: list[Row], before: list[Row], after: list[Row]
) -> None:
    one, other = (diary(events(references), events(rows), EventBased()) for rows in (before, after))
    parts = contributions(one, other)
    known = one.reference > 0
    assert torch.allclose(parts.sum(0)[known], (other.f1 - one.f1)[known], atol=1e-9)
    assert torch.allclose(parts, -contributions(other, one), atol=1e-9, equal_nan=True)
    still = (one.missed == other.missed) & (one.false == other.false)
    assert bool((parts[still & known] == 0).all())


def test_diaries_of_other_references_are_not_compared() -> None:
    one, other = (diary(events(rows), events([]), EventBased()) for rows in ([CAT], [CAT, CAT]))
    with pytest.raises(ValueError, match="other references"):
        contributions(one, other)


def test_the_diary_as_json_holds_every_count_and_says_where_there_is_no_score() -> None:
    found = diary(events([CAT, ("a", 6.0, 7.0, "Cat")]), events([CAT, ("b", 1.0, 2.0, "Dog")]), EventBased()).to_json()
    assert found["macro_f1"] == pytest.approx(2 / 3)
    assert found["classes"]["Cat"] == {"true_positives": 1, "estimated": 1, "reference": 2, "f1": pytest.approx(2 / 3)}
    assert found["classes"]["Dog"]["f1"] is None
    missed = found["kinds"]["missed"]
    assert (missed["missed"], missed["false_alarms"], missed["macro_f1_if_mended"]) == (1, 0, 1.0)
    assert missed["gain"] == pytest.approx(1 / 3)
    assert found["kinds"]["silence"]["classes"]["Dog"]["false_alarms"] == 1
    assert (
        float(Macro().value(EventBased(), floating(total_counts(EventBased().count(events([CAT]), events([])))))) == 0
    )
