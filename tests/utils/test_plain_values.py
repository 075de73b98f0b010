"""YAML and JSON of users and of others: values, or an error of the one kind that callers expect."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from rl_postproc.config import read_yaml
from rl_postproc.utils.errors import UserError
from rl_postproc.utils.files import read_json
from rl_postproc.utils.plain_values import parse_json, parse_yaml

DEEP = "[" * 100_000 + "]" * 100_000
JUST_TOO_DEEP = "[" * 65 + "]" * 65
DEEP_ENOUGH = "[" * 60 + "]" * 60


@pytest.mark.parametrize(
    "text", ["&a [*a]", "a: &a {b: *a}", "2020-99-99", "1" * 5000, "a: b: c", JUST_TOO_DEEP, DEEP[:5000] + DEEP[-5000:]]
)
def test_yaml_that_cannot_be_is_a_yaml_error(text: str, tmp_path: Path) -> None:
    with pytest.raises(yaml.YAMLError):
        parse_yaml(text)
    (tmp_path / "x.yaml").write_text(f"title: {text}" if text[0] != "a" else text)
    with pytest.raises(UserError, match=r"x\.yaml'.*is not valid YAML: .+\.$"):
        read_yaml(tmp_path / "x.yaml")


@pytest.mark.parametrize("text", ["{", "1" * 5000, JUST_TOO_DEEP, DEEP, '{"a": ' * 70 + "1" + "}" * 70, "\ufeff{}"])
def test_json_that_cannot_be_is_a_value_error(text: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError):
        parse_json(text)
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(UserError, match=r"x\.json' is not valid JSON \(.+\); .* make it anew\.$"):
        read_json(tmp_path / "x.json")


def test_what_is_shared_or_deep_enough_is_read() -> None:
    assert parse_yaml("a: &a [1]\nb: [*a, *a]\nc: *a") == {"a": [1], "b": [[1], [1]], "c": [1]}
    assert parse_json(DEEP_ENOUGH) == parse_yaml(DEEP_ENOUGH)
    # Each line refers twice to the one before it.
    lines = ["a0: &a0 [x]", *(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 15))]
    assert len(parse_yaml("\n".join(lines))) == 15


def test_references_to_references_are_counted_as_what_they_stand_for() -> None:
    def tower(levels: int) -> str:
        rows = ["l0: &l0 [x, x, x, x, x, x, x, x, x, x]"]
        rows += [f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 10)}]" for i in range(1, levels)]
        return "\n".join(rows)

    assert len(parse_yaml(tower(4))["l3"]) == 10  # ten thousand values
    with pytest.raises(yaml.YAMLError, match=r"references stand for more than 1000000 values"):
        parse_yaml(tower(9))  # a thousand million
