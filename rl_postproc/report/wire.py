"""What a report's page unpacks in the browser: figures and clips as JSON and bytes, compressed."""

from __future__ import annotations

import base64
import gzip
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from rl_postproc.report.browser import Browser, BrowserEvents

_DIGITS = 6
"""Significant digits of the numbers in figures."""


def pack(data: bytes) -> str:
    """Returns bytes compressed as base64; the same bytes give the same text."""
    return base64.b64encode(gzip.compress(data, 9, mtime=0)).decode("ascii")


def pack_json(value: Any) -> str:
    """Returns a plain value as JSON, compressed as base64."""
    return pack(
        json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")
    )


def plain_figure(value: Any, template: bool = False) -> Any:
    """Returns a plotly figure, or a part of it, with fewer digits, null for NaN, and texts that plotly shows as they are.

    Plotly reads a few tags in texts, so that names of classes are escaped. Templates (``hovertemplate``) keep their tags:
    what is filled into them is escaped where it comes from.
    """
    if isinstance(value, str):
        return value if template else value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    if isinstance(value, Mapping):
        return {str(key): plain_figure(part, str(key).endswith("template")) for key, part in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return plain_figure(value.tolist(), template)
    if isinstance(value, list | tuple):
        return [plain_figure(part, template) for part in value]
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None
    return value


def browser_values(browser: Browser) -> dict[str, Any]:
    """Returns what is known of the clips but scores and sounds as plain values; times to a tenth of a millisecond."""
    return {
        "clips": list(browser.clip_ids),
        "durations": _times(browser.durations),
        "classes": list(browser.classes),
        "trackLabels": browser.tracks.tolist(),
        "nTracks": browser.n_tracks.tolist(),
        "nFrames": browser.n_frames.tolist(),
        "steps": np.asarray(browser.steps, np.float64).round(9).tolist(),
        "floor": float(browser.floor),
        "systems": [
            {
                "name": name,
                "events": _events(events),
                "counts": browser.counts[name].T.tolist() if name in browser.counts else None,
                "chosen": plain_figure(list(browser.chosen[name])) if name in browser.chosen else None,
            }
            for name, events in browser.systems.items()
        ],
        "references": None if browser.references is None else _events(browser.references),
        "kinds": [[name, text] for name, text in browser.kinds.items()],
        "sounds": {
            str(clip): {
                "mime": sound.mime,
                "top": float(sound.top),
                "scale": sound.scale,
                "bands": sound.spectrogram.shape[0],
                "columns": sound.spectrogram.shape[1],
            }
            for clip, sound in browser.sounds.items()
        },
    }


def _events(events: BrowserEvents) -> dict[str, list[Any] | None]:
    """Returns events as columns."""
    return {
        "clip": np.asarray(events.clip).tolist(),
        "label": np.asarray(events.label).tolist(),
        "onset": _times(events.onset),
        "offset": _times(events.offset),
        "kind": None if events.kind is None else np.asarray(events.kind).tolist(),
        "confidence": None if events.confidence is None else plain_figure(np.asarray(events.confidence).round(4)),
    }


def _times(seconds: np.ndarray) -> list[float]:
    return np.asarray(seconds, np.float64).round(4).tolist()
