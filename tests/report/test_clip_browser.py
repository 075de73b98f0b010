"""The clip browser in a real browser: its list, filters, figure, keys, address and sound."""

from __future__ import annotations

import numpy as np
import pytest
from page_browser import BROWSER, SYSTEMS, Open, errors, options, shown, wait_for_clip
from report_cases import CLASSES


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
