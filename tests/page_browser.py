"""Reading the page of a report in a browser, for the tests that open one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from report_cases import make_browser

BROWSER = make_browser(n_clips=12, sounds=(0, 3))
SYSTEMS = tuple(BROWSER.systems)
Page = Any
"""A page of playwright, which need not be installed."""
Open = Callable[..., Page]


def options(page: Page) -> list[str]:
    """Names of the clips that are listed."""
    return page.locator("#clip-list [role=option] > :first-child").all_text_contents()


def shown(page: Page) -> str:
    """Name of the clip whose figure is drawn."""
    clip = page.wait_for_selector("#clip-drawing[data-clip]").get_attribute("data-clip")
    return BROWSER.clip_ids[int(clip or -1)]


def wait_for_clip(page: Page, clip: int) -> None:
    page.wait_for_selector(f"#clip-drawing[data-clip='{clip}']")
    assert page.text_content("#clip-name") == BROWSER.clip_ids[clip]


def errors(system: str) -> np.ndarray:
    """Errors of a system in each clip."""
    return BROWSER.counts[system] @ [-2, 1, 1]
