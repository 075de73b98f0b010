"""Reports made of random data, for tests of pages."""

from __future__ import annotations

import dataclasses
import io
import wave
from collections.abc import Sequence

import numpy as np

from rl_postproc.report.browser import HIT, Browser, BrowserEvents, Sound
from rl_postproc.report.contents import Chart, Column, Report, Section, Table, Text

HOSTILE = "</script><img src=x onerror=alert(1)>&<b>"
"""A name that must be shown as it is."""

CLASSES = ("Alarm", "Blender", "Cat", "Dishes", "Dog", "Electric", "Frying", "Running water", "Speech", "Vacuum")
KINDS = {"onset": "begins outside the collar", "missed": "nothing stands for it", "silence": "while nothing sounds"}


def make_browser(
    n_clips: int = 6,
    classes: Sequence[str] = CLASSES[:3],
    n_frames: int = 40,
    systems: Sequence[str] = ("threshold_0.5", "grid_search", "ppo"),
    events_per_clip: float = 3,
    references: bool = True,
    sounds: Sequence[int] = (),
    clip_ids: Sequence[str] | None = None,
    seed: int = 0,
) -> Browser:
    """Returns clips of ten seconds with random tracks, references and events."""
    rng = np.random.default_rng(seed)
    n_tracks = np.full(n_clips, len(classes), np.int32)
    wanted, made = _event_lists(rng, n_clips, len(classes), events_per_clip, systems)
    counts = {}
    for i, name in enumerate(systems):
        hits, n_events, n_wanted = (
            np.bincount(clip, minlength=n_clips)
            for clip in (wanted.clip[wanted.kind[i] == HIT], made[name].clip, wanted.clip)
        )
        counts[name] = np.stack([hits, n_events, n_wanted], 1).astype(np.int32)
    if not references:
        wanted, counts = None, {}
        made = {name: dataclasses.replace(events, kind=None) for name, events in made.items()}
    return Browser(
        clip_ids=[f"clip-{i:04d}.wav" for i in range(n_clips)] if clip_ids is None else clip_ids,
        durations=np.full(n_clips, 10.0),
        classes=classes,
        tracks=np.tile(np.arange(len(classes), dtype=np.int32), n_clips),
        n_tracks=n_tracks,
        n_frames=np.full(n_clips, n_frames, np.int32),
        steps=np.full(n_clips, 10 / max(n_frames, 1)),
        scores=rng.integers(0, 256, n_clips * len(classes) * n_frames, np.uint8),
        floor=0.05,
        systems=made,
        counts=counts,
        references=wanted,
        kinds=KINDS if references else {},
        chosen={name: rng.uniform(0.2, 0.8, len(classes)).tolist() for name in systems[1:2]},
        sounds={clip: make_sound(rng) for clip in sounds},
        n_clips=n_clips,
    )


def _event_lists(
    rng: np.random.Generator, n_clips: int, n_classes: int, per_clip: float, systems: Sequence[str]
) -> tuple[BrowserEvents, dict[str, BrowserEvents]]:
    """Returns references, and the events of systems: references that are moved or missed, and false alarms."""
    onset_error, missed, silence = range(3)
    clip, label, onset, offset = _random_events(rng, n_clips, n_classes, per_clip)
    kinds, made = [], {}
    for name in systems:
        kind = rng.choice([HIT, onset_error, missed], len(clip), p=[0.5, 0.3, 0.2]).astype(np.int8)
        found = kind != missed
        moved = onset - np.where(kind == onset_error, 0.5, 0.05)
        false = _random_events(rng, n_clips, n_classes, per_clip / 4)
        alarms = (*false, np.full(len(false[0]), silence, np.int8))
        kept = (part[found] for part in (clip, label, moved, offset, kind))
        columns = [np.concatenate(parts) for parts in zip(kept, alarms, strict=True)]
        order = np.argsort(columns[0], kind="stable")
        made[name] = BrowserEvents(*(column[order] for column in columns), confidence=rng.uniform(0, 1, len(order)))
        kinds.append(kind)
    return BrowserEvents(clip, label, onset, offset, np.array(kinds, np.int8).reshape(len(systems), len(clip))), made


def _random_events(
    rng: np.random.Generator, n_clips: int, n_classes: int, per_clip: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Returns clip, label, onset and offset of random events."""
    clip = np.repeat(np.arange(n_clips, dtype=np.int32), rng.poisson(per_clip, n_clips))
    onset = rng.uniform(0.5, 9, len(clip))
    return clip, rng.integers(0, n_classes, len(clip), np.int32), onset, onset + rng.uniform(0.1, 1, len(clip))


def make_sound(rng: np.random.Generator, seconds: float = 10, rate: int = 4000) -> Sound:
    """Returns a short noise as a WAV file."""
    with io.BytesIO() as file:
        with wave.open(file, "wb") as sound:
            sound.setnchannels(1)
            sound.setsampwidth(2)
            sound.setframerate(rate)
            sound.writeframes(rng.integers(-2000, 2000, int(seconds * rate)).astype("<i2").tobytes())
        return Sound("audio/wav", file.getvalue(), rng.integers(0, 256, (32, 100), np.uint8), top=rate / 2)


def make_report(browser: Browser | None, systems: Sequence[str] = ("threshold_0.5", "grid_search", "ppo")) -> Report:
    """Returns a report with a part of each kind around a browser."""
    rng = np.random.default_rng(1)
    results = Table(
        "Event-based macro F1 on held-out clips",
        [Column("agent"), Column("F1", "percent", "event-based, macro over classes"), Column("gain", "percent"),
         Column("trials", "number"), Column("chosen")],
        [[name, 0.1 * i + 0.25, (0.1 * i, f"+{10 * i}.0 (−0.5 to +21.0)"), None if i == 0 else 10 * i, f"window {9 - i}"]
         for i, name in enumerate(systems)],
    )  # fmt: skip
    steps = np.linspace(0, 1, 60)
    figures = {
        label: {
            "data": [
                {"type": "scatter", "name": name, "x": steps, "y": steps ** rng.uniform(0.5, 3)} for name in systems
            ],
            "layout": {"xaxis": {"title": {"text": "recall"}}, "yaxis": {"title": {"text": "precision"}}},
        }
        for label in CLASSES[:3]
    }
    bars = [{"type": "bar", "name": name, "x": list(CLASSES[:3]), "y": rng.uniform(0, 1, 3)} for name in systems]
    return Report(
        title="DESED validation: 3 agents",
        summary=["3 agents were tuned on 5 folds of 6 clips.", "grid_search is best with a macro F1 of 35.0 %."],
        sections=[
            Section("Results", [results, Text("Intervals are paired over clips.")]),
            Section("Curves", [
                Chart("Precision over recall", "Precision falls as recall rises.", figures, "class"),
                Chart("F1 of each class", "Bars of F1 by class and agent.", {"": {"data": bars}}),
            ]),
            Section("Config", [Text("scores: data\nseed: 0\n", as_is=True, title="Resolved config")]),
        ],
        browser=browser,
        notes=["2 clips without references were left out."],
    )  # fmt: skip
