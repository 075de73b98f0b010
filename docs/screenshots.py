"""Pictures of a report in a browser, light, dark and narrow; needs the extra `browser` and a Chromium.

rl-postproc benchmark desed_baselines --agents default,grid_search,heu_thresh,num_thresh,event_value --out runs/desed
python docs/screenshots.py runs/desed/report.html
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from playwright.sync_api import sync_playwright

SHOTS = {
    "report": ("light", 1280, 900, "body"),
    "report_clips": ("light", 1280, 900, "#clips-heading"),
    "report_dark": ("dark", 1280, 900, "#section-3"),
    "report_narrow": ("light", 420, 900, "#clip-name"),
}
"""Theme, width and height of the window, and what is at its top, by the picture's name."""


def main() -> None:
    """Reads the arguments, takes the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", type=Path)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    asked = parser.parse_args()
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name, (theme, width, height, top) in SHOTS.items():
            page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=theme)
            page.goto(asked.report.resolve().as_uri())
            page.wait_for_selector("html[data-ready]", state="attached")
            page.evaluate("(top) => document.querySelector(top).scrollIntoView({ behavior: 'instant' })", top)
            page.wait_for_timeout(1000)  # charts that come into view are drawn
            page.screenshot(path=asked.out / f"{name}.png")
            page.close()
        browser.close()


if __name__ == "__main__":
    main()
