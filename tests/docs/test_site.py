"""The site: it builds strictly, loads nothing from elsewhere, and whatever it links to is there."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml
from program import ROOT, environment
from rl_postproc.agents import Agent
from rl_postproc.envs.observations import Observation
from rl_postproc.envs.rewards import Reward

from rl_postproc.formats import EventFormat, Format
from rl_postproc.metrics import Metric, Objective
from rl_postproc.metrics.ranking import RankingMetric
from rl_postproc.stages import Stage

DOCS = ROOT / "docs"
NOUNS = (Agent, EventFormat, Format, Metric, Objective, Observation, RankingMetric, Reward, Stage)


@dataclass
class Read(HTMLParser):
    """What a page loads, links to and can be pointed at."""

    loads: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)
    without_text: list[str] = field(default_factory=list)
    diagrams: int = 0

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        self.loads += [given[name] for name in ("src", "srcset", "data") if name in given]
        if tag == "link":
            self.loads.append(given["href"])
        elif "href" in given:
            self.links.append(given["href"])
        if tag == "img" and not given.get("alt"):
            self.without_text.append(given.get("src", ""))
        self.diagrams += "mermaid" in given.get("class", "").split()  # these would be drawn by a script from elsewhere


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for name in ("mkdocs", "material", "mkdocstrings_handlers.python"):
        pytest.importorskip(name)
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],  # --quiet hears no warnings
        cwd=ROOT,
        env={**environment(), "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert built.returncode == 0 and "WARNING" not in built.stderr, built.stdout + built.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Read]:
    found = {}
    for path in sorted(site.rglob("*.html")):
        found[path] = Read()
        found[path].feed(path.read_text(encoding="utf-8"))
    assert len(found) > 25
    return found


def in_nav() -> list[str]:
    text = re.sub(r"!!\S+", "", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"))

    def leaves(part: object) -> list[str]:
        if isinstance(part, str):
            return [part]
        return [leaf for inner in (part.values() if isinstance(part, dict) else part) for leaf in leaves(inner)]

    return leaves(yaml.safe_load(text)["nav"])


def test_every_page_is_in_the_navigation_once(site: Path) -> None:
    named = in_nav()
    assert len(set(named)) == len(named)
    written = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    assert written <= set(named)
    assert all((site / name).with_suffix(".html").is_file() for name in named)


def test_pages_load_nothing_from_elsewhere(site: Path, pages: dict[Path, Read]) -> None:
    for path, read in pages.items():
        assert read.loads
        assert not [address for address in read.loads if re.match(r"(\w+:)?//", address)], path
        assert not read.diagrams, path
    for path in site.rglob("*.css"):
        assert not re.findall(r"(?:url\(|@import )[\"']?(?:\w+:)?//", path.read_text(encoding="utf-8")), path


def test_whatever_a_page_loads_or_links_to_is_there(pages: dict[Path, Read]) -> None:
    for path, read in pages.items():
        if path.name == "404.html":  # its addresses begin at the root of a server
            continue
        for address in [*read.loads, *read.links]:
            if re.match(r"\w+:", address):
                continue
            name, _, anchor = unquote(address).partition("#")
            target = (path.parent / name.split("?")[0]).resolve() if name else path
            target = target / "index.html" if target.is_dir() else target
            assert target.is_file(), f"{path.name}: {address}"
            if anchor and target in pages and anchor != "__toc":
                assert anchor in pages[target].anchors, f"{path.name}: {address}"


def test_every_picture_says_what_it_shows(pages: dict[Path, Read]) -> None:
    assert not {path.name: read.without_text for path, read in pages.items() if read.without_text}


@pytest.mark.parametrize("noun", NOUNS, ids=lambda noun: noun.noun)
def test_everything_a_config_can_name_is_on_an_api_page_with_its_settings(pages: dict[Path, Read], noun: type) -> None:
    anchors = set().union(*(read.anchors for path, read in pages.items() if path.parent.name == "api"))
    for name, kind in noun.types().items():  # type: ignore[attr-defined]
        if kind.__module__.startswith("rl_postproc."):
            place = f"{kind.__module__}.{kind.__qualname__}"
            settings = {place, *(f"{place}.{own}" for own in kind.model_fields if own != noun.noun.replace(" ", "_"))}
            assert settings <= anchors, f"{name}: {sorted(settings - anchors)}"


def test_a_docstring_links_to_what_it_names(pages: dict[Path, Read]) -> None:
    (pipeline,) = (read for path, read in pages.items() if path.parts[-2:] == ("api", "pipeline.html"))
    assert "agents.html#rl_postproc.agents.rl.observed_policy.ObservedPolicy" in pipeline.links


def test_an_example_of_a_docstring_is_shown_as_code(site: Path) -> None:
    page = (site / "api" / "index.html").read_text(encoding="utf-8")
    assert '<span class="gp">&gt;&gt;&gt; </span>' in page
    assert not re.search(r"<p>[^<]*&gt;&gt;&gt; ", page)


def test_links_lead_somewhere_on_a_forge_too(pages: dict[Path, Read]) -> None:
    by_name = {path.name: read for path, read in pages.items() if path.parent.name != "api"}
    for page in [ROOT / "README.md", *DOCS.rglob("*.md")]:
        text = re.sub(r"(?s)```.*?```", "", page.read_text(encoding="utf-8"))
        for address in re.findall(r"\]\(([^)\s]+)", text):
            if re.match(r"\w+:", address):
                continue
            name, _, anchor = address.partition("#")
            assert not name or (page.parent / name).exists(), f"{page.name}: {address}"
            if anchor and page.name == "README.md" and name:
                assert anchor in by_name[Path(name).with_suffix(".html").name].anchors, address
