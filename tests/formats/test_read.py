"""Telling formats apart, and formats and options that others add."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest
import torch
from pydantic import Field

from rl_postproc.data.scores import ScoreSet
from rl_postproc.formats import Format, Given, read_scores
from rl_postproc.formats.folder import read_classes
from rl_postproc.utils.errors import UserError

TABLE = "onset\toffset\tCat\tDog\n0.0\t0.5\t0.1\t0.2\n0.5\t1.0\t0.3\t0.4\n"


def test_every_format_is_recognised_by_itself_alone(folders: dict[str, Path]) -> None:
    for name, folder in folders.items():
        assert [other for other, kind in Format.types().items() if kind.recognises(folder)] == [name]


def test_all_formats_give_the_same_set(folders: dict[str, Path], tmp_path: Path) -> None:
    durations = tmp_path / "durations.tsv"
    table = read_scores(folders["sed_scores"], durations=durations)
    array = read_scores(folders["npy"], durations=durations, hop=0.5)
    points = read_scores(folders["operating_points"], durations=durations, classes=["Cat", "Dog"])
    for found in (table, array, points):
        assert found.clip_ids == ("a.wav",)
        assert found.classes == ("Cat", "Dog")
        assert found.edges.tolist() == [[0.0, 0.5, 1.0]]
    assert torch.equal(table.scores, array.scores)
    assert torch.equal(table.scores[:, :1] > 0.25, points.scores[:, :1] > 0.25)


@pytest.mark.parametrize(
    ("first_line", "stem", "expected"),
    [
        ("a.wav\t0.5\t1.0\tCat\n", "th_0.5", True),
        ("a.wav\t0.5\t1.0\tCat\n", "detections", False),
        ("Event_label\tOnset\tOffset\tFilename\tindex\n", "th_0.5", True),
        ("filename\tduration\n", "durations_1", False),
        (TABLE, "Y00_350.000_360.000", False),
        ("", "th_0.5", False),
    ],
)
def test_operating_points_are_recognised_by_header_or_columns(
    tmp_path: Path, first_line: str, stem: str, expected: bool
) -> None:
    (tmp_path / f"{stem}.tsv").write_text(first_line)
    assert Format.types()["operating_points"].recognises(tmp_path) is expected


def test_real_folders_are_recognised(data_root: Path) -> None:
    points = data_root / "desed_validation" / "baseline2021_student" / "operating_points"
    tables = data_root / "dcase2023_task4a_baseline2" / "scores"
    for name, kind in Format.types().items():
        assert kind.recognises(points) is (name == "operating_points")
        assert kind.recognises(tables) is (name == "sed_scores")


def test_places_that_hold_no_scores_are_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "readme.md").write_text("hello")
    shutil.copy(folders["npy"] / "a.npy", folders["sed_scores"])
    for name, message in (
        ("absent", "There is no '.*absent'"),
        ("empty", "The folder '.*empty' is empty"),
        (
            "other",
            "other' looks like no known format; known are arrays \\(one file .* npy \\(a folder of \\.npy, .* shards",
        ),
        ("durations.tsv", "durations.tsv' looks like no known format"),
        ("sed_scores", "looks like npy and sed_scores; say which"),
    ):
        with pytest.raises(UserError, match=message):
            read_scores(tmp_path / name)
    for name in folders:
        with pytest.raises(UserError, match=r"holds no (\.(tsv|npy)|meta\.json)"):
            read_scores(tmp_path / "other", format=name, durations=tmp_path / "durations.tsv")


def test_unknown_formats_and_options_are_refused_with_a_suggestion(folders: dict[str, Path]) -> None:
    with pytest.raises(UserError, match="no format 'sed_score'; did you mean 'sed_scores'"):
        read_scores(folders["sed_scores"], format="sed_score")
    with pytest.raises(UserError, match="no option 'subsets'; did you mean 'subset'"):
        read_scores(folders["sed_scores"], subsets=True)


class Constant(Format):
    """A format as a plug-in brings it."""

    format: Literal["test_constant"] = "test_constant"
    looks_like: ClassVar[str] = "a file named constant"
    value: float = Field(0.5, ge=0, le=1)

    @classmethod
    def recognises(cls, path: Path) -> bool:
        return path.name == "constant"

    def read(self, path: Path, given: Given) -> ScoreSet:
        scores, edges = torch.full((1, 1, 1), self.value), torch.tensor([0.0, given.hop or 1.0])
        return ScoreSet.build(scores, edges, ["a"], read_classes(given.classes) or ["Cat"])


@pytest.fixture
def constant(tmp_path: Path) -> Path:
    (tmp_path / "constant").write_text("")
    return tmp_path / "constant"


def test_a_new_format_is_one_class(constant: Path) -> None:
    assert Format.types()["test_constant"] is Constant
    assert read_scores(constant).scores.item() == 0.5
    found = read_scores(constant, hop=2, classes=["Dog"])
    assert (found.edges.tolist(), found.classes) == ([[0, 2]], ("Dog",))


@pytest.mark.parametrize(
    "options",
    [
        {"value": 0.25},
        {"format": "test_constant", "value": 0.25},
        {"format": {"format": "test_constant", "value": 0.25}},
        {"format": {"value": 0.25}},
        {"format": {"format": "auto", "value": 0.75}, "value": 0.25},
        {"format": Constant(value=0.25)},
        {"format": Constant(value=0.75), "value": 0.25},
    ],
)
def test_options_of_a_format_are_keywords_or_stand_beside_its_name(constant: Path, options: dict[str, Any]) -> None:
    assert read_scores(constant, **options).scores.item() == 0.25


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"values": 1}, "The format 'test_constant' has no option 'values'; did you mean 'value'"),
        ({"format": {"valu": 1}}, "has no option 'valu'; did you mean 'value'"),
        ({"format": Constant(), "valu": 1}, "has no option 'valu'; did you mean 'value'"),
        ({"format": {"hop": 1}}, "has no option 'hop'; give it beside the format"),
        ({"value": 2}, "format 'test_constant': 'value' is 2: Input should be less than or equal to 1"),
        ({"format": {"format": "test_constand"}}, "no format 'test_constand'; did you mean 'test_constant'"),
        ({"format": "tags", "format_": 1}, "The format 'tags' has no option 'format_'"),
    ],
)
def test_bad_options_of_a_format_are_refused(constant: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as error:
        read_scores(constant, **options)
    assert message in str(error.value)
