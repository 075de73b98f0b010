"""The page in a real browser: Chromium without a window, driven by playwright."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from program import Run, config_file
from report_cases import CLASSES, HOSTILE, make_browser, make_report

from rl_postproc.report.contents import Report
from rl_postproc.report.page import write_report

sync_api = pytest.importorskip("playwright.sync_api")
axe = pytest.importorskip("axe_playwright_python.sync_playwright")

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium on the path (chromium, google-chrome)")

SYSTEMS = ("threshold_0.5", "grid_search", "ppo")
BROWSER = make_browser(n_clips=12, sounds=(0, 3))
Open = Callable[..., "sync_api.Page"]


@pytest.fixture(scope="module")
def chromium() -> Iterator[sync_api.Browser]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_report(make_report(BROWSER), path)
    return path


@pytest.fixture(scope="module")
def window(chromium: sync_api.Browser) -> tuple[sync_api.Page, list[str]]:
    """One window for all tests, which keeps plotly.js compiled, and what is complained of or fetched in it."""
    page, complaints = chromium.new_page(), []
    page.set_default_timeout(20_000)
    page.on(
        "console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: complaints.append(request.url) if request.url.startswith("http") else None)
    page.on("requestfailed", lambda request: complaints.append(f"failed: {request.url[:200]}"))
    return page, complaints


@pytest.fixture
def open_page(window: tuple[sync_api.Page, list[str]], report: Path) -> Iterator[Open]:
    """Opens a report anew and returns the page when it is ready; nothing may have been complained of or fetched."""
    page, complaints = window

    def call(path: Path = report, hash: str = "", width: int = 1300, scheme: str = "light") -> sync_api.Page:
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme, reduced_motion="no-preference")
        page.goto("about:blank")
        page.goto(path.as_uri() + hash)
        page.wait_for_selector("html[data-ready]", state="attached")
        return page

    complaints.clear()
    yield call
    assert complaints == []


def options(page: sync_api.Page) -> list[str]:
    """Names of the clips that are listed."""
    return page.locator("#clip-list [role=option] > :first-child").all_text_contents()


def shown(page: sync_api.Page) -> str:
    """Name of the clip whose figure is drawn."""
    clip = page.wait_for_selector("#clip-drawing[data-clip]").get_attribute("data-clip")
    return BROWSER.clip_ids[int(clip or -1)]


def wait_for_clip(page: sync_api.Page, clip: int) -> None:
    page.wait_for_selector(f"#clip-drawing[data-clip='{clip}']")
    assert page.text_content("#clip-name") == BROWSER.clip_ids[clip]


def errors(system: str) -> np.ndarray:
    """Errors of a system in each clip."""
    return BROWSER.counts[system] @ [-2, 1, 1]


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


def test_clips_are_listed_by_how_much_the_two_systems_differ(open_page: Open) -> None:
    page = open_page()
    totals = {name: BROWSER.counts[name].sum(0) for name in SYSTEMS[1:]}
    best = max(totals, key=lambda name: 2 * totals[name][0] / totals[name][1:].sum())
    assert page.locator("#system-b option:checked").text_content() == best
    for other in (best, *set(SYSTEMS[1:]) - {best}):
        page.select_option("#system-b", label=other)
        differences = np.abs(errors(SYSTEMS[0]) - errors(other))
        order = [differences[BROWSER.clip_ids.index(name)] for name in options(page)]
        assert order == sorted(differences, reverse=True)
    page.select_option("#system-b", label=SYSTEMS[0])
    assert page.locator("#system-a option:checked").text_content() == other


def test_filters_leave_the_clips_that_fit(open_page: Open) -> None:
    page = open_page()
    a, b = (BROWSER.systems[page.locator(f"#system-{side} option:checked").text_content() or ""] for side in "ab")
    rows = [
        list(BROWSER.systems).index(page.locator(f"#system-{side} option:checked").text_content() or "")
        for side in "ab"
    ]
    references = BROWSER.references
    kinds = list(BROWSER.kinds)

    def expected(label: int | None = None, kind: int | None = None) -> set[str]:
        clips: set[int] = set()
        for events, found in [(a, a.kind), (b, b.kind), *((references, references.kind[row]) for row in rows)]:
            fits = np.ones(len(events.clip), bool) if label is None else events.label == label
            clips |= set(events.clip[fits if kind is None else fits & (found == kind)].tolist())
        return {BROWSER.clip_ids[clip] for clip in clips}

    page.select_option("#by-class", label=CLASSES[1])
    assert set(options(page)) == expected(1)
    page.select_option("#by-kind", label="onset")
    both = expected(1, kinds.index("onset"))
    assert set(options(page)) == both and len(both) < len(expected(1))
    assert page.text_content("#count") == f"{len(both)} of 12 clips"
    page.select_option("#by-class", label="any")
    assert set(options(page)) == expected(None, kinds.index("onset"))
    page.select_option("#by-kind", label="any")

    gain = errors(SYSTEMS[0]) - errors(page.locator("#system-b option:checked").text_content() or "")
    for value, fits in {"better": gain > 0, "worse": gain < 0, "same": gain == 0}.items():
        page.select_option("#by-gain", value)
        assert set(options(page)) == {name for name, fit in zip(BROWSER.clip_ids, fits, strict=True) if fit}
    page.select_option("#by-gain", "")
    page.fill("#by-text", "CLIP-001")
    assert set(options(page)) == {"clip-0010.wav", "clip-0011.wav"}
    page.fill("#by-text", "no such clip")
    assert options(page) == [] and page.text_content("#count") == "0 of 12 clips"


def test_the_chosen_clip_is_drawn_and_its_events_are_told(open_page: Open) -> None:
    page = open_page()
    clip = 7
    page.locator("#clip-list [role=option]", has_text=BROWSER.clip_ids[clip]).click()
    wait_for_clip(page, clip)
    page.click("#clip-events summary")
    page.locator("#clip-events tbody tr").first.wait_for()
    rows = [row.locator("td").all_text_contents() for row in page.locator("#clip-events tbody tr").all()]
    names = [page.locator(f"#system-{side} option:checked").text_content() or "" for side in "ab"]
    expected = []
    for name, events in [*((name, BROWSER.systems[name]) for name in names), ("reference", BROWSER.references)]:
        for i in np.flatnonzero(events.clip == clip):
            times = [f"{part[i]:.2f}" for part in (events.onset, events.offset)]
            expected.append([name, BROWSER.classes[events.label[i]], *times])
            if events.confidence is not None:
                assert f"{events.confidence[i]:.2f}" in [row[5] for row in rows]
    assert sorted(row[:4] for row in rows) == sorted(expected) and len(expected) > 4
    bars = page.evaluate("document.getElementById('clip-drawing').data.at(-1)")
    ends = [(at, at + long) for at, long in zip(bars["base"], bars["x"], strict=True)]
    np.testing.assert_allclose(sorted(ends), sorted((float(row[2]), float(row[3])) for row in expected), atol=0.0051)
    made = BROWSER.systems[names[0]]
    kinds = {f"<b>{list(BROWSER.kinds)[kind][:3]}</b>" for kind in made.kind[made.clip == clip] if kind >= 0}
    assert kinds and kinds <= set(bars["text"])


def test_the_figure_zooms_and_pans_by_buttons(open_page: Open) -> None:
    page = open_page()
    range_shown = "document.getElementById('clip-drawing').layout.xaxis.range.map((end) => Math.round(100 * end) / 100)"
    seen = []
    for name in ("zoom-in", "zoom-in", "pan-right", "pan-left", "pan-left", "zoom-out", "zoom-reset"):
        page.press(f"#{name}", "Enter")
        seen.append(page.evaluate(range_shown))
    assert seen == [[2.5, 7.5], [3.75, 6.25], [5, 7.5], [3.75, 6.25], [2.5, 5], [1.25, 6.25], [0, 10]]


def test_keys_step_through_the_list(open_page: Open) -> None:
    page = open_page()
    names = options(page)
    assert shown(page) == names[0]
    for key, place in [
        ("ArrowDown", 1),
        ("j", 2),
        ("k", 1),
        ("ArrowUp", 0),
        ("PageDown", 10),
        ("End", 11),
        ("Home", 0),
    ]:
        page.press("#clip-list", key)
        wait_for_clip(page, BROWSER.clip_ids.index(names[place]))
        chosen = page.locator("#clip-list [aria-selected=true]")
        assert chosen.get_attribute("id") == page.get_attribute("#clip-list", "aria-activedescendant")
    page.press("#next", "Enter")
    wait_for_clip(page, BROWSER.clip_ids.index(names[1]))
    page.press("#by-text", "j")
    assert page.text_content("#clip-name") == names[1]


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


def test_the_address_keeps_clip_and_systems(open_page: Open) -> None:
    page = open_page()
    page.select_option("#system-b", label="ppo")
    page.locator("#clip-list [role=option]", has_text="clip-0005").click()
    wait_for_clip(page, 5)
    address = page.evaluate("location.hash")
    page = open_page(hash=address)
    wait_for_clip(page, 5)
    assert page.locator("#system-b option:checked").text_content() == "ppo"
    assert page.locator("#clip-list [aria-selected=true] > :first-child").text_content() == "clip-0005.wav"
    page.evaluate("location.hash = 'clip=clip-0002.wav&a=ppo&b=grid_search'")
    wait_for_clip(page, 2)
    assert page.locator("#system-a option:checked").text_content() == "ppo"


def test_sound_moves_the_cursor_and_a_click_in_the_figure_seeks(open_page: Open) -> None:
    page = open_page(hash="#clip=clip-0003.wav")
    place = "new DOMMatrix(getComputedStyle(document.getElementById('cursor')).transform).e"
    time = "document.querySelector('#clip-audio audio').currentTime"
    page.wait_for_function("() => document.querySelector('#clip-audio audio').readyState >= 1")
    box = page.locator("#clip-drawing").bounding_box()
    assert box
    left, right = 76, 58
    page.mouse.click(box["x"] + left + 0.5 * (box["width"] - left - right), box["y"] + 40)
    assert page.evaluate(time) == pytest.approx(5, abs=0.02)
    # A drag zooms and does not seek.
    across = box["width"] - left - right
    page.mouse.move(box["x"] + left + 0.2 * across, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + left + 0.7 * across, box["y"] + 40, steps=5)
    page.mouse.up()
    page.wait_for_function("() => document.getElementById('clip-drawing').layout.xaxis.range[0] > 1")
    shown_range = page.evaluate("document.getElementById('clip-drawing').layout.xaxis.range")
    assert shown_range == pytest.approx([2, 7], abs=0.05) and page.evaluate(time) == pytest.approx(5, abs=0.02)
    assert page.evaluate(place) == pytest.approx(left + 0.6 * across, abs=5)
    page.press("#zoom-reset", "Enter")
    before = page.evaluate(place)
    assert before == pytest.approx(left + 0.5 * (box["width"] - left - right), abs=1)
    page.evaluate("document.querySelector('#clip-audio audio').play()")
    page.wait_for_function(f"() => {place} > {before + 5}")
    page.evaluate("document.querySelector('#clip-audio audio').pause()")
    page.wait_for_timeout(100)
    now = page.evaluate(time)
    assert now > 5
    assert page.evaluate(place) == pytest.approx(left + now / 10 * (box["width"] - left - right), abs=3)
    page.emulate_media(reduced_motion="reduce")
    page.evaluate("document.querySelector('#clip-audio audio').play()")
    page.wait_for_function(f"() => {place} > {page.evaluate(place) + 5}")
    page.locator("#clip-list [role=option]", has_text="clip-0004").click()
    wait_for_clip(page, 4)
    assert page.locator("#clip-audio").is_hidden() and page.locator("#cursor").is_hidden()


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
    open_page: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chromium: sync_api.Browser, report: Path
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
def test_a_page_of_1168_clips_opens_in_less_than_two_seconds(chromium: sync_api.Browser, tmp_path: Path) -> None:
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
