"""The page in a real browser: tables, charts, controls, themes, and what cannot be shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from page_browser import BROWSER, SYSTEMS, Open, options
from program import Run, config_file
from report_cases import CLASSES, HOSTILE, make_browser, make_report

from rl_postproc.report.contents import Report
from rl_postproc.report.page import write_report


def test_the_report_of_a_small_run_shows_its_results_and_the_events_of_its_clips(
    open_page: Open, run: Run, tmp_path: Path
) -> None:
    assert run("benchmark", config_file(tmp_path), "--out", "small")[0] == 0
    page = open_page(tmp_path / "small" / "report.html")
    results = {
        one["agent"]: one["value"] for one in json.loads((tmp_path / "small" / "results.json").read_text())["agents"]
    }
    table = page.locator("table.sortable").first
    head = table.locator("thead button").nth(1)
    for order in (sorted(results, key=lambda name: -results[name]), sorted(results, key=lambda name: results[name])):
        head.click()
        assert table.locator("tbody th").all_text_contents() == order
    assert f"{100 * max(results.values()):.1f}" in (table.locator("tbody tr").last.text_content() or "")

    page.locator("#next").click()
    clip = page.text_content("#clip-name") or ""
    page.click("#clip-events summary")
    page.locator("#clip-events caption", has_text=clip).wait_for()
    told = [row.locator("td").all_text_contents()[:4] for row in page.locator("#clip-events tbody tr").all()]
    for name in results:
        lines = [
            line.split("\t")
            for path in (tmp_path / "small" / "folds").glob(f"{name}_seed0_fold*/events.tsv")
            for line in path.read_text().splitlines()[1:]
        ]
        events = [
            [name, line[3], f"{float(line[1]):.2f}", f"{float(line[2]):.2f}"] for line in lines if line[0] == clip
        ]
        assert sorted(row for row in told if row[0] == name) == sorted(events)
    assert len(told) > 2


def test_tables_sort_by_the_heading_that_is_pressed_and_turn_round(open_page: Open) -> None:
    page = open_page()
    table = page.locator("section table.sortable").first

    def column(i: int) -> list[str]:
        return table.locator(f"tbody tr > :nth-child({i + 1})").all_inner_texts()

    f1 = table.locator("thead button", has_text="F1")
    f1.click()
    assert column(1) == ["45.0 %", "35.0 %", "25.0 %"]
    assert table.locator("th[aria-sort]").evaluate_all("all => all.map((th) => th.ariaSort)") == ["descending"]
    f1.press("Enter")
    assert column(1) == ["25.0 %", "35.0 %", "45.0 %"]
    trials = table.locator("thead button", has_text="trials")
    trials.press("Space")
    assert column(3) == ["20", "10", "–"]
    trials.press("Space")
    assert column(3) == ["10", "20", "–"]
    table.locator("thead button", has_text="agent").click()
    assert column(0) == ["grid_search", "ppo", "threshold_0.5"]


def test_the_tab_key_reaches_every_control(open_page: Open) -> None:
    page = open_page(hash="#clip=clip-0003.wav")
    controls = page.evaluate("""() => [...document.querySelectorAll(
        "a[href], button:enabled, select, input, summary, audio[controls], [tabindex='0']")]
        .filter((one) => one.checkVisibility())
        .map((one, i) => (one.dataset.walk = i, one.outerHTML.slice(0, 80)))""")
    reached = set()
    page.evaluate("document.activeElement.blur()")
    for _ in range(len(controls) + 20):  # a player is several stops
        page.keyboard.press("Tab")
        found = page.evaluate("""() => {
            const one = document.activeElement;
            const style = getComputedStyle(one);
            return [one.dataset.walk ?? null, style.outlineStyle !== "none" || one.tagName === "AUDIO"];
        }""")
        if found[0] is not None:
            assert found[1], f"no visible focus: {controls[int(found[0])]}"
            reached.add(int(found[0]))
    assert [control for i, control in enumerate(controls) if i not in reached] == []
    assert len(controls) > 25


def test_charts_are_drawn_when_they_come_into_view_and_change_with_choice_and_theme(open_page: Open) -> None:
    page = open_page(scheme="dark")
    chart = page.locator("figure.chart").first
    assert chart.locator("[data-drawn]").count() == 0
    chart.scroll_into_view_if_needed()
    chart.locator("[data-drawn]").wait_for()
    read = """(one) => {
        const drawn = one.querySelector('.drawing');
        return [drawn.data[0].y[30], drawn._fullLayout.paper_bgcolor, drawn._fullData.map((trace) => trace.line.dash)];
    }"""
    first, dark, dashes = chart.evaluate(read)
    assert len(set(dashes)) == len(SYSTEMS)
    chart.locator("select").select_option(index=1)
    page.wait_for_function("(first) => document.querySelector('.drawing').data[0].y[30] !== first", arg=first)
    page.click("#theme")
    page.wait_for_function("(dark) => document.querySelector('.drawing')._fullLayout.paper_bgcolor !== dark", arg=dark)
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert min(map(int, light[4:-1].split(","))) > 200
    chart.locator("summary").click()
    chart.locator("details tbody tr").first.wait_for()
    assert chart.locator("details tbody tr").count() == 60 * len(SYSTEMS)


def test_axe_finds_nothing_serious_in_light_and_in_dark(open_page: Open) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = open_page(hash="#clip=clip-0003.wav")
    for chart in page.locator("figure.chart").all():
        chart.scroll_into_view_if_needed()
        chart.locator("[data-drawn]").wait_for()
    for summary in page.locator("summary").all():
        summary.click()
    for theme in ("light", "dark"):
        assert page.get_attribute("html", "data-theme") == theme
        found = axe.Axe().run(page).response["violations"]
        serious = [v for v in found if v["impact"] in ("serious", "critical")]
        assert not serious, json.dumps(
            [(v["id"], [node["html"][:200] for node in v["nodes"]]) for v in serious], indent=1
        )
        page.click("#theme")


def test_a_narrow_window_does_not_scroll_sideways(open_page: Open) -> None:
    page = open_page(width=360, hash="#clip=clip-0003.wav")
    page.click("#clip-events summary")
    for chart in page.locator("figure.chart").all():
        chart.scroll_into_view_if_needed()
        chart.locator("[data-drawn]").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") == 360


def test_hostile_names_are_shown_as_they_are(open_page: Open, tmp_path: Path) -> None:
    browser = make_browser(2, (HOSTILE,), systems=(HOSTILE, "other"), clip_ids=[HOSTILE, "other"], events_per_clip=5)
    write_report(make_report(browser, (HOSTILE, "other")), tmp_path / "hostile.html")
    page = open_page(tmp_path / "hostile.html")
    page.click("#clip-events summary")
    page.locator("#clip-events tbody tr").first.wait_for()
    page.locator("figure.chart").nth(1).scroll_into_view_if_needed()
    page.locator("figure.chart").nth(1).locator("[data-drawn]").wait_for()
    assert page.locator("img").count() == 0
    assert HOSTILE in options(page)
    assert HOSTILE in page.locator("#clip-drawing .annotation-text").all_text_contents()
    assert HOSTILE in page.locator("#clip-events td").all_text_contents()
    assert HOSTILE in page.locator("figure.chart .legendtext").all_text_contents()


@pytest.mark.parametrize(
    ("case", "listed"),
    [
        ({"n_clips": 0}, 0),
        ({"references": False}, 6),
        ({"systems": ("ppo",)}, 6),
        ({"systems": (), "n_clips": 1, "n_frames": 0}, 1),
    ],
)
def test_clips_without_references_systems_or_scores_can_be_looked_at(
    open_page: Open, tmp_path: Path, case: dict[str, object], listed: int
) -> None:
    write_report(make_report(make_browser(**case)), tmp_path / "few.html")  # type: ignore[arg-type]
    page = open_page(tmp_path / "few.html")
    assert len(options(page)) == listed
    assert page.locator("#clip-drawing svg").first.is_visible() if listed else "no clips" in page.inner_text("#browser")
    assert page.locator("#trouble").is_hidden()


def test_what_cannot_be_drawn_is_told_in_one_sentence_and_older_browsers_draw_what_they_can(
    open_page: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chromium: Any, report: Path
) -> None:
    monkeypatch.setattr("rl_postproc.report.page._plotly", lambda: None)
    write_report(make_report(BROWSER), tmp_path / "bare.html")
    page = open_page(tmp_path / "bare.html")
    assert page.inner_text("#trouble").count("plotly.min.js was missing") == 1
    assert len(options(page)) == 12
    for script, expected in [
        ("delete window.DecompressionStream", "this browser cannot unpack them"),
        ("delete Uint8Array.fromBase64", ""),
    ]:
        old = chromium.new_page()
        old.add_init_script(script)
        old.goto(report.as_uri())
        old.wait_for_selector("html[data-ready]", state="attached")
        assert expected in old.inner_text("#trouble") if expected else len(options(old)) == 12
        old.close()


@pytest.mark.slow
def test_a_page_of_1168_clips_opens_in_less_than_two_seconds(chromium: Any, tmp_path: Path) -> None:
    """Counted is how long the page itself works until its first clip is drawn: other work on the machine is not judged."""
    systems = ("threshold_0.5", "grid_search", "ppo", "cem", "ranking", "universal")
    write_report(make_report(make_browser(1168, CLASSES, 156, systems, 4.3), systems), tmp_path / "big.html")
    context = chromium.new_context(viewport={"width": 1300, "height": 900})
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.goto((tmp_path / "big.html").as_uri())
    page.wait_for_selector("html[data-ready]", state="attached")
    worked = {part["name"]: part["value"] for part in session.send("Performance.getMetrics")["metrics"]}["TaskDuration"]
    assert page.locator("#clip-drawing svg").first.is_visible()
    print(f"ready after {page.get_attribute('html', 'data-ready')} ms, of which {1000 * worked:.0f} ms were work")
    context.close()
    assert worked < 2


def test_a_report_without_clips_opens(open_page: Open, tmp_path: Path) -> None:
    write_report(Report("Nothing", [], []), tmp_path / "none.html")
    assert open_page(tmp_path / "none.html").locator("h1").inner_text() == "Nothing"
