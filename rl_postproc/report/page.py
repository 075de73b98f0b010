"""Writes a report as one HTML page: styles, programs, plotly and data are in it, and nothing is fetched."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
import math
import re
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from rl_postproc.report.browser import Browser
from rl_postproc.report.contents import Cell, Chart, Column, Kind, Report, Section, Table, Text
from rl_postproc.report.wire import browser_values, pack, pack_json, plain_figure
from rl_postproc.utils.files import whole_file

_FOLDER = Path(__file__).with_name("page")
_PROGRAMS = ("unpack", "tables", "charts", "clips", "clip_figure", "clip_list", "clip_view", "report")
"""Programs of the page, in the order in which they are put into it."""


def write_report(report: Report, path: str | Path) -> None:
    """Writes a report as one HTML file that needs no network; the same report gives the same bytes.

    Raises:
        UserError: the file cannot be written.
    """
    page = _page(report)
    with whole_file(path) as temporary:
        temporary.write_bytes(page.encode("utf-8", errors="replace"))


def _page(report: Report) -> str:
    """Returns the page."""
    figures: list[dict[str, Any]] = []
    program = "(() => {\n" + "".join(_asset(f"{name}.js") for name in _PROGRAMS) + "})();\n"
    plotly = _plotly()
    browser = report.browser
    return (
        _templates()
        .get_template("report.html.j2")
        .render(
            report=report,
            sections=[_section(section, figures) for section in report.sections],
            browser=browser,
            style=_asset("report.css"),
            program=program,
            hashes=[_hash(program.encode())] + ([plotly[1]] if plotly else []),
            packed=_packed(figures, browser, plotly[0] if plotly else None),
        )
    )


def _packed(figures: list[dict[str, Any]], browser: Browser | None, plotly: str | None) -> dict[str, str]:
    """Returns what the page unpacks, by name."""
    packed = {"figures": pack_json(figures)}
    if browser is not None:
        packed["clips"] = pack_json(browser_values(browser))
        packed["scores"] = pack(np.ascontiguousarray(browser.scores, np.uint8).tobytes())
    if plotly is not None:
        packed["plotly"] = plotly
    for clip, sound in browser.sounds.items() if browser is not None else ():
        packed[f"sound-{clip}"] = pack(sound.data)
        packed[f"spectrogram-{clip}"] = pack(np.ascontiguousarray(sound.spectrogram, np.uint8).tobytes())
    return packed


def _section(section: Section, figures: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns a section as the template takes it; appends what its charts draw."""
    parts = []
    for part in section.parts:
        if isinstance(part, Chart):
            parts.append({"kind": "chart", "chart": part, "index": len(figures), "height": _height(part)})
            figures.append({name: plain_figure(figure) for name, figure in part.figures.items()})
        elif isinstance(part, Table):
            rows = [[_cell(cell, column) for cell, column in zip(row, part.columns, strict=True)] for row in part.rows]
            parts.append({"kind": "table", "table": part, "rows": rows})
        else:
            assert isinstance(part, Text)
            parts.append({"kind": "text", "text": part})
    return {"title": section.title, "parts": parts}


def _height(chart: Chart) -> int:
    """Returns the pixels that are kept free for a chart until it is drawn."""
    return (
        max((int(figure.get("layout", {}).get("height") or 0) for figure in chart.figures.values()), default=0) or 380
    )


def _cell(cell: Cell | tuple[Cell, str], column: Column) -> tuple[str | None, str]:
    """Returns by what a cell is sorted, None if it goes last, and what it shows."""
    value, text = cell if isinstance(cell, tuple) else (cell, None)
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return None, "–" if text is None else text
    return str(value), _shown(value, column.kind) if text is None else text


def _shown(value: str | float, kind: Kind) -> str:
    """Returns a value as text."""
    if isinstance(value, str) or kind == "text":
        return str(value)
    if kind == "percent":
        return f"{100 * value:.1f} %".replace("-", "−")
    whole = float(value).is_integer() or abs(value) >= 1e4
    return f"{value:,.0f}".replace("-", "−") if whole else f"{value:.4g}".replace("-", "−")


def _asset(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _templates() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )  # fmt: skip


@cache
def _plotly() -> tuple[str, str] | None:
    """Returns plotly.js, compressed, and its hash; None if the installed plotly has none."""
    found = importlib.util.find_spec("plotly")
    for folder in (found and found.submodule_search_locations) or ():
        path = Path(folder) / "package_data" / "plotly.min.js"
        if path.is_file():
            program = _sooner(path.read_text(encoding="utf-8")).encode("ascii")
            return pack(program), _hash(program)
    return None


def _sooner(program: str) -> str:
    """Returns plotly.js as it starts a fifth sooner: in ASCII, and with brackets around the function that makes it.

    Such a function is taken as called at once; otherwise V8 parses its five million letters twice.
    """
    start, end = ": this, () => {", "}));"
    if program.count(start) == 1 and program.rstrip().endswith(end):
        program = program.replace(start, ": this, (() => {").rstrip().removesuffix(end) + "})));"
    return re.sub("[^\x00-\x7f]", lambda found: json.dumps(found[0])[1:-1], program)


def _hash(data: bytes) -> str:
    """Returns by what the page's policy knows a program that may run."""
    return "sha256-" + base64.b64encode(hashlib.sha256(data).digest()).decode("ascii")
