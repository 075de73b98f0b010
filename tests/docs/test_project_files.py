"""What people and services read of the project: its citation, its change log, its issue forms."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from program import ROOT

import rl_postproc

FORMS = sorted(path for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml") if path.stem != "config")


def pyproject(key: str) -> str:
    found = re.search(rf'(?m)^{key} = "(.*)"$', (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert found
    return found[1]


def test_the_citation_has_what_the_format_asks_for_and_the_version_of_the_package() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["cff-version"] == "1.2.0"
    assert citation["message"] and citation["title"] == "rl_postproc" and citation["authors"]
    assert citation["version"] == pyproject("version") == rl_postproc.__version__
    assert citation["license"] == pyproject("license")
    assert len(citation["references"]) >= 3
    for reference in citation["references"]:
        assert {"type", "title", "authors"} <= reference.keys()
        # What repeats is refused by those who read the format.
        assert len({str(author) for author in reference["authors"]}) == len(reference["authors"])


def test_publications_that_are_cited_are_those_of_the_readme() -> None:
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert not [own["title"] for own in citation["references"] if own["title"].split(":")[0] not in readme]


def test_the_change_log_has_the_version_or_says_that_it_is_not_released() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"(?m)^## (.*)$", text)
    assert headings and re.fullmatch(r"\[?(Unreleased|\d+\.\d+\.\d+)\]?( .*)?", headings[0])
    assert any(rl_postproc.__version__ in heading for heading in headings)
    assert set(re.findall(r"(?m)^### (.*)$", text)) <= {
        "Added",
        "Changed",
        "Deprecated",
        "Removed",
        "Fixed",
        "Security",
    }


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_an_issue_form_asks_what_its_readers_need(path: Path) -> None:
    form = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert form["name"] and form["description"]
    asked = [part for part in form["body"] if part["type"] != "markdown"]
    assert {part["type"] for part in asked} <= {"input", "textarea", "dropdown"}
    ids = [part["id"] for part in asked]
    assert len(set(ids)) == len(ids) and all(part["attributes"]["label"] for part in asked)
    required = {part["id"] for part in asked if part.get("validations", {}).get("required")}
    wanted = {
        "bug": {"version", "input"},
        "wrong_number": {"version", "input", "ours", "theirs", "oracle"},
        "new_format": {"sample"},
    }
    assert wanted.get(path.stem, set()) <= required


def test_there_is_a_form_for_each_kind_of_issue() -> None:
    assert [path.stem for path in FORMS] == ["bug", "feature", "new_format", "wrong_number"]
