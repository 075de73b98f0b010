"""Figures of a report as plotly takes them: plain values, without colours, which the page gives for light and dark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Figure = dict[str, Any]

MARKERS = ("circle", "square", "diamond", "triangle-up", "x", "triangle-down", "cross", "pentagon", "star", "hexagram")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")


def axes(x: str, y: str, **layout: Any) -> dict[str, Any]:
    """Returns a layout with titles of both axes."""
    return {"xaxis": {"title": {"text": x}}, "yaxis": {"title": {"text": y}}, **layout}


def lines(
    series: Mapping[str, tuple[Sequence[float | None], Sequence[float | None]]], x: str, y: str, **layout: Any
) -> Figure:
    """Returns lines of different dashes, x and y of each by name."""
    data = [
        {"type": "scatter", "mode": "lines", "name": name, "x": list(own[0]), "y": list(own[1]),
         "line": {"dash": DASHES[i % len(DASHES)]}}
        for i, (name, own) in enumerate(series.items())
    ]  # fmt: skip
    return {"data": data, "layout": axes(x, y, **layout)}


def points(
    names: Sequence[str], values: Sequence[float], ends: Sequence[tuple[float, float] | None], title: str
) -> dict[str, Any]:
    """Returns a point with its interval for each name, one below the other in their order; None has no interval."""
    spread = [(0.0, 0.0) if end is None else (end[1] - value, value - end[0])
              for end, value in zip(ends, values, strict=True)]  # fmt: skip
    trace = {
        "type": "scatter", "mode": "markers", "x": list(values), "y": list(names),
        "error_x": {"type": "data", "symmetric": False, "array": [own[0] for own in spread],
                    "arrayminus": [own[1] for own in spread]},
        "marker": {"size": 9}, "showlegend": False,
    }  # fmt: skip
    layout = axes(title, "")
    layout["yaxis"] |= {"autorange": "reversed", "type": "category"}
    return {"data": [trace], "layout": {**layout, "height": 120 + 26 * len(names)}}


def bars(
    names: Sequence[str], series: Mapping[str, Sequence[float | None]], title: str, stacked: bool = False
) -> Figure:
    """Returns bars of several series for each name, lying beside each other or stacked, with patterns of their own."""
    patterns = ("", "/", "x", "-", ".", "\\", "|", "+")
    data = [
        {"type": "bar", "orientation": "h", "name": name, "y": list(names), "x": list(values),
         "marker": {"pattern": {"shape": patterns[i % len(patterns)]}}}
        for i, (name, values) in enumerate(series.items())
    ]  # fmt: skip
    layout = axes(title, "", barmode="stack" if stacked else "group")
    layout["yaxis"] |= {"autorange": "reversed", "type": "category"}
    each = 30 if stacked else 14 * len(series) + 10
    return {"data": data, "layout": {**layout, "height": min(1600, 140 + each * len(names))}}
