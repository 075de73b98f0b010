"""The registry: what is found by name, and what a wrong name or setting is told."""

from __future__ import annotations

import importlib
import sys
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

import pytest

from rl_postproc.formats import Format
from rl_postproc.metrics import Metric, Objective
from rl_postproc.stages import Stage
from rl_postproc.utils.errors import UserError
from rl_postproc.utils.registry import Registered


@pytest.fixture
def noun() -> type[Registered]:
    """A noun of its own for each test: shapes."""

    class Shape(Registered, ABC):
        noun: ClassVar[str] = "shape"
        rooms: ClassVar[tuple[str, ...]] = ()
        shape: str

        @abstractmethod
        def area(self) -> float: ...

    return Shape


def kind(base: type[Registered], name: str, shape: str | None = None, **fields: Any) -> type[Registered]:
    """Returns a class under a base; it keeps the name of the base where none is given."""
    named = {} if shape is None else {"shape": shape}
    hints = {key: type(value) for key, value in {**named, **fields}.items()}
    body = {"__annotations__": hints, "area": lambda self: 1.0, "__module__": __name__, **named, **fields}
    return type(base)(name, (base,), body)


def test_classes_are_known_by_name_in_alphabetical_order_and_abstract_ones_are_not(noun: type[Registered]) -> None:
    square, circle = kind(noun, "Square", "square"), kind(noun, "Circle", "circle")

    class Polygon(noun):
        shape: str = "polygon"

    assert noun.types() == {"circle": circle, "square": square}
    assert list(noun.types()) == ["circle", "square"]
    triangle = kind(Polygon, "Triangle", "triangle")
    assert noun.types()["triangle"] is triangle
    assert noun.make("square").name == "square"


def test_a_class_that_keeps_the_name_of_the_one_it_extends_does_not_take_its_place(noun: type[Registered]) -> None:
    square = kind(noun, "Square", "square")
    other = kind(square, "Tilted")
    assert noun.types() == {"square": square}
    assert type(noun.make("square")) is square is not other


def test_two_classes_of_one_name_are_refused_with_their_places(noun: type[Registered]) -> None:
    kept = [kind(noun, "Square", "square"), kind(noun, "Quadrat", "square")]
    with pytest.raises(UserError, match=r"Two shapes are called 'square', \S+\.Square and \S+\.Quadrat; rename one"):
        noun.types()
    assert len(kept) == 2


def test_a_class_whose_module_is_imported_anew_takes_the_place_of_its_former_self(noun: type[Registered]) -> None:
    former, newer = kind(noun, "Square", "square"), kind(noun, "Square", "square")
    assert noun.types()["square"] is newer is not former


def test_settings_come_by_name_or_in_a_mapping_and_are_checked(noun: type[Registered]) -> None:
    square = kind(noun, "Square", "square", side=1.0)
    kept = kind(noun, "Circle", "circle", radius=1.0)
    assert noun.types().keys() == {"circle", "square"} and noun.types()["square"] is square
    assert noun.make("circle") == kept() == noun.make({"shape": "circle"})
    assert noun.make({"shape": "circle", "radius": 2}).model_dump() == {"shape": "circle", "radius": 2.0}
    for settings, message in (
        ("cirlce", r"^here: unknown shape 'cirlce'; did you mean 'circle'\.$"),
        ("xyz", r"known are circle, square"),
        ({}, r"unknown shape 'None'"),
        ({"shape": ["circle"]}, r"unknown shape"),
        ({"shape": "circle", "radios": 2}, r"^here: shape 'circle': unknown key 'radios'; did you mean 'radius'\.$"),
        ({"shape": "circle", "radius": "wide"}, r"^here: shape 'circle': 'radius' is 'wide'"),
        ({"shape": "circle", "radius": float("nan")}, r"'radius' is nan.*finite"),
    ):
        with pytest.raises(UserError, match=message):
            noun.make(settings, "here")


def test_every_module_of_a_room_is_imported_whatever_it_is_called(
    noun: type[Registered], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = tmp_path / "test_room_of_shapes"
    (room / "deeper").mkdir(parents=True)
    text = "import test_shape_base as base\n\nclass {0}(base.Shape):\n    shape: str = '{0}'\n    area = lambda self: 0.0\n"
    for path, name in (("cli.py", "one"), ("base.py", "two"), ("deeper/__init__.py", "three"), ("deeper/x.py", "four")):
        (room / path).write_text(text.format(name))
    (room / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, "test_shape_base", type(sys)("test_shape_base"))
    sys.modules["test_shape_base"].Shape = noun  # pyright: ignore[reportAttributeAccessIssue]
    noun.rooms = ("test_room_of_shapes",)
    assert list(noun.types()) == ["four", "one", "three", "two"]
    deeper = importlib.import_module("test_room_of_shapes.deeper.x")
    assert noun.types()["four"] is deeper.four


def test_a_summary_is_the_first_sentence_of_the_docstring(noun: type[Registered]) -> None:
    square = kind(noun, "Square", "square")
    square.__doc__ = "All sides\n    are equal. So are the angles.\n\n    More."
    assert square.summary() == "All sides are equal"


@pytest.mark.parametrize(
    ("base", "names"),
    [
        (Stage, {"median", "threshold"}),
        (Metric, {"event_based", "tagging"}),
        (Objective, {"macro"}),
        (Format, {"npy", "operating_points", "sed_scores", "shards"}),
    ],
)
def test_what_this_package_has_is_registered_and_described(base: type[Registered], names: set[str]) -> None:
    found = base.types()
    assert names <= set(found)
    for name in names:
        assert found[name].summary()
        assert base.make(name).name == name
