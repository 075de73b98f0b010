"""The page as a file: whole in itself, small, safe, the same every time."""

from __future__ import annotations

import base64
import dataclasses
import gzip
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from report_cases import CLASSES, HOSTILE, make_browser, make_report

from rl_postproc.report import page
from rl_postproc.report.contents import Chart, Column, Report, Section, Table, Text
from rl_postproc.report.page import write_report
from rl_postproc.report.wire import plain_figure
from rl_postproc.utils.errors import UserError

SYSTEMS = ("threshold_0.5", "grid_search", "ppo", "cem", "ranking", "universal")


class Elements(HTMLParser):
    """Every element with its attributes, and the texts of scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append((dict(attrs), ""))

    def handle_data(self, data: str) -> None:
        if self.found and self.found[-1][0] == "script" and not self.scripts[-1][1]:
            self.scripts[-1] = (self.scripts[-1][0], data)
        elif data.strip():
            self.texts.append(data.strip())

    def packed(self, name: str) -> bytes:
        (text,) = [text for attributes, text in self.scripts if attributes.get("id") == name]
        return gzip.decompress(base64.b64decode(text))


def written(report: Report, folder: Path) -> str:
    write_report(report, folder / "report.html")
    return (folder / "report.html").read_bytes().decode()


def test_a_page_of_1168_clips_with_six_systems_takes_at_most_five_megabytes(tmp_path: Path) -> None:
    # Random scores do not compress: those of a detector take less.
    browser = make_browser(1168, CLASSES, 156, SYSTEMS, events_per_clip=4.3)
    assert len(browser.systems["ppo"].clip) > 4000
    assert len(written(make_report(browser, SYSTEMS), tmp_path).encode()) <= 5_000_000


def test_a_page_names_no_address_that_could_be_fetched(tmp_path: Path) -> None:
    elements = Elements(written(make_report(make_browser(sounds=(0,))), tmp_path))
    for tag, attributes in elements.found:
        assert tag not in {"iframe", "object", "embed", "base", "img", "form"}
        for name in ("src", "href", "action", "srcset", "data"):
            assert re.match(r"#|data:,$", attributes.get(name) or "#"), (tag, attributes)
    style = (Path(page.__file__).parent / "page" / "report.css").read_text()
    assert "url(" not in style and "@import" not in style


def test_the_policy_lets_only_the_page_s_own_programs_run_and_nothing_be_fetched(tmp_path: Path) -> None:
    elements = Elements(written(make_report(make_browser()), tmp_path))
    (policy,) = [a["content"] or "" for tag, a in elements.found if tag == "meta" and "http-equiv" in a]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert not re.search(r"http|\*|'self'", policy)
    (own,) = [text.encode() for attributes, text in elements.scripts if "type" not in attributes]
    hashes = [base64.b64encode(hashlib.sha256(text).digest()).decode() for text in (own, elements.packed("plotly"))]
    assert set(rules["script-src"].split()) == {f"'sha256-{text}'" for text in hashes}


def test_hostile_names_stay_text_wherever_they_stand(tmp_path: Path) -> None:
    browser = make_browser(2, (HOSTILE,), systems=(HOSTILE,), clip_ids=[HOSTILE, "other"])
    figure = {"data": [{"type": "bar", "name": HOSTILE, "x": [HOSTILE], "y": [1.0]}]}
    report = Report(
        title=HOSTILE,
        summary=[HOSTILE],
        notes=[HOSTILE],
        browser=browser,
        sections=[
            Section(HOSTILE, [
                Table(HOSTILE, [Column(HOSTILE, note=HOSTILE)], [[HOSTILE], [(HOSTILE, HOSTILE)]]),
                Chart(HOSTILE, HOSTILE, {HOSTILE: figure, "other": figure}, HOSTILE),
                Text(HOSTILE), Text(HOSTILE, as_is=True, title=HOSTILE),
            ])
        ],
    )  # fmt: skip
    text = written(report, tmp_path)
    elements = Elements(text)
    assert HOSTILE not in text
    assert not [tag for tag, _ in elements.found if tag == "img"]
    assert not [name for _, attributes in elements.found for name in attributes if name.startswith("on")]
    assert "".join(elements.texts).count(HOSTILE) >= 12
    assert json.loads(elements.packed("clips"))["clips"] == [HOSTILE, "other"]
    drawn = json.loads(elements.packed("figures"))[0][HOSTILE]["data"][0]
    assert "<" not in drawn["name"] + drawn["x"][0] and "&lt;/script&gt;" in drawn["name"]


def test_the_same_report_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = (written(make_report(make_browser(sounds=(1,))), tmp_path) for _ in range(2))
    assert first == second


def test_events_scores_and_sounds_come_out_as_they_went_in(tmp_path: Path) -> None:
    browser = make_browser(sounds=(2,))
    elements = Elements(written(make_report(browser), tmp_path))
    clips = json.loads(elements.packed("clips"))
    assert clips["clips"] == list(browser.clip_ids)
    for system in clips["systems"]:
        events = browser.systems[system["name"]]
        assert system["events"]["kind"] == events.kind.tolist()
        np.testing.assert_allclose(system["events"]["onset"], events.onset, atol=5.01e-5)
        assert np.transpose(system["counts"]).tolist() == browser.counts[system["name"]].tolist()
    assert clips["references"]["kind"] == browser.references.kind.tolist()
    assert elements.packed("scores") == browser.scores.tobytes()
    assert elements.packed("sound-2") == browser.sounds[2].data
    assert elements.packed("spectrogram-2") == browser.sounds[2].spectrogram.tobytes()


def test_cells_show_percents_four_digits_and_a_dash_for_what_is_unknown(tmp_path: Path) -> None:
    table = Table(
        "t", [Column("a"), Column("b", "percent"), Column("c", "number")],
        [["x", -0.1234, 0.00012346], ["y", None, 12345678], ["z", float("nan"), (3, "three")]],
    )  # fmt: skip
    text = written(Report("r", [], [Section("s", [table])]), tmp_path)
    cells = [re.sub(r"\s+", " ", cell) for cell in re.findall(r"<td[^>]*>([^<]*)", text)]
    assert cells == ["−12.3 %", "0.0001235", "–", "12,345,678", "–", "three"]
    assert 'data-value="-0.1234"' in text and 'data-value="nan"' not in text


def test_a_sample_of_clips_is_told(tmp_path: Path) -> None:
    sampled = dataclasses.replace(make_browser(5), n_clips=9000)
    assert "5 of 9000 clips are here" in written(make_report(sampled), tmp_path)
    assert "clips are here" not in written(make_report(make_browser(5)), tmp_path)


def test_figures_lose_digits_and_nan_but_keep_templates() -> None:
    figure = {
        "data": [{"y": np.array([1 / 3, np.nan]), "hovertemplate": "%{x}<br>%{y}", "text": ["a<br>b"]}],
        "layout": {},
    }
    assert plain_figure(figure) == {
        "data": [{"y": [0.333333, None], "hovertemplate": "%{x}<br>%{y}", "text": ["a&lt;br&gt;b"]}],
        "layout": {},
    }


def test_a_page_without_plotly_is_written_without_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "_plotly", lambda: None)
    text = written(make_report(make_browser()), tmp_path)
    assert 'id="plotly"' not in text and len(text) < 100_000


def test_a_folder_that_cannot_be_written_is_told_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="Cannot write"):
        write_report(make_report(None), tmp_path / "file" / "report.html")
