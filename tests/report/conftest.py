"""Chromium without a window, driven by playwright: one for all tests of the page."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from page_browser import BROWSER, Open, Page
from report_cases import make_report

from rl_postproc.report.page import write_report


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api")
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        pytest.skip("needs Chromium on the path (chromium, google-chrome)")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_report(make_report(BROWSER), path)
    return path


@pytest.fixture(scope="session")
def window(chromium: Any) -> tuple[Page, list[str]]:
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
def open_page(window: tuple[Page, list[str]], report: Path) -> Iterator[Open]:
    """Opens a report anew and returns the page when it is ready; nothing may have been complained of or fetched."""
    page, complaints = window

    def call(path: Path = report, hash: str = "", width: int = 1300, scheme: str = "light") -> Page:
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme, reduced_motion="no-preference")
        page.goto("about:blank")
        page.goto(path.as_uri() + hash)
        page.wait_for_selector("html[data-ready]", state="attached")
        return page

    complaints.clear()
    yield call
    assert complaints == []
