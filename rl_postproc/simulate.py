"""The built-in data set: simulated clips, and a detector whose best post-processing differs from clip to clip."""

from __future__ import annotations

import numpy as np
import torch
from pydantic import BaseModel, Field, field_validator, model_validator

from rl_postproc.events import Events
from rl_postproc.scores import ScoreSet
from rl_postproc.simulate_detector import Flaws, Grid, detect
from rl_postproc.simulate_profiles import PROFILES, draw_profile
from rl_postproc.simulate_scene import Scene, draw_scene

_BLOCK = 64
"""Clips simulated together. Each block has its own random stream, so more clips leave the first ones as they are."""

_LARGEST = 2e9
"""Largest number of scores of a simulation: 8 GB in float32."""


def _strength(what: str) -> float:
    return Field(1.0, ge=0.0, le=4.0, description=f"Multiplies {what}; 1 is what the difficulty alone gives.")


class SimulationConfig(BaseModel, extra="forbid", frozen=True):
    """What to simulate. Every value is checked; equal values give the same bytes on one machine."""

    n_clips: int = Field(default=400, ge=1, le=1_000_000, description="Number of clips.")
    classes: list[str] | None = Field(
        None,
        description="Class names; None for ten household sounds. Properties of other names are drawn from the seed.",
    )
    n_classes: int | None = Field(
        None, ge=1, le=1000, description="Number of classes with drawn properties, named class_00 and so on."
    )
    clip_seconds: float = Field(default=10.0, ge=1.0, le=600.0, description="Length of most clips in seconds.")
    hop: float = Field(default=0.064, ge=0.001, le=1.0, description="Frame length in seconds.")
    difficulty: float = Field(
        0.5,
        ge=0.0,
        le=1.0,
        description="Scales all flaws of the detector: 0 none, 0.5 a DESED-like detector, 1 a third more.",
    )
    seed: int = Field(default=0, ge=0, description="Seed of the simulation.")
    drift: float = _strength("the shift and gain of the logits that differ from clip to clip")
    false_alarms: float = _strength("false bursts and responses to confusable classes")
    dropouts: float = _strength("interruptions of the response to an event")
    smear: float = _strength("delay, jitter and softness of onsets and offsets")
    noise: float = _strength("noise and unsteady background")
    misses: float = _strength("the share of weak events and the differences in strength")
    overlap: float = Field(
        0.0,
        ge=0.0,
        le=1.0,
        description="Probability that an event begins before the previous one of its class has ended.",
    )
    empty: float = Field(default=0.03, ge=0.0, le=1.0, description="Share of clips without any event.")
    short: float = Field(default=0.08, ge=0.0, le=1.0, description="Share of clips shorter than clip_seconds.")

    @field_validator("classes")
    @classmethod
    def _names(cls, value: list[str] | None) -> list[str] | None:
        if value is not None and (not value or "" in value or len(set(value)) < len(value)):
            raise ValueError(f"classes must be a list of different names that are not empty, found {value}")
        return value

    @model_validator(mode="after")
    def _fits_memory(self) -> SimulationConfig:
        size = self.n_clips * len(self.class_names()) * int(self.clip_seconds / self.hop)
        if size > _LARGEST:
            raise ValueError(
                f"the simulation would hold {size:.1e} scores (clips x classes x frames), more than {_LARGEST:.0e}; "
                "take fewer clips or classes, shorter clips or a longer hop"
            )
        return self

    @model_validator(mode="after")
    def _one_count(self) -> SimulationConfig:
        if self.classes is not None and self.n_classes not in (None, len(self.classes)):
            raise ValueError(
                f"n_classes is {self.n_classes} but classes lists {len(self.classes)} names; give one of them"
            )
        return self

    def class_names(self) -> tuple[str, ...]:
        """Returns the names of the classes in their order in the scores."""
        if self.classes is not None:
            return tuple(self.classes)
        return tuple(PROFILES) if self.n_classes is None else tuple(f"class_{i:02d}" for i in range(self.n_classes))

    def flaws(self) -> Flaws:
        """Returns the strength of each flaw of the detector."""
        scale = 2.0 * self.difficulty / (0.5 + self.difficulty)
        names = "drift", "false_alarms", "dropouts", "smear", "noise", "misses"
        return Flaws(**{name: scale * getattr(self, name) for name in names})


def simulate(config: SimulationConfig) -> ScoreSet:
    """Simulates clips, their reference events and a detector's scores, ``[clip, class, frame]``."""
    return simulate_with_truth(config)[0]


def simulate_with_truth(config: SimulationConfig) -> tuple[ScoreSet, ScoreSet]:
    """Simulates clips twice: as :func:`simulate` does, and as the detector would be without its drift between clips.

    The second set has the same events, noise and false alarms; the shift and gain of every clip and class are undone.
    Constants tuned on it are what an oracle reaches that knows the simulator's hidden parameters.
    """
    classes = config.class_names()
    streams = [
        np.random.default_rng(np.random.SeedSequence(config.seed, spawn_key=(0, i))) for i in range(len(classes))
    ]
    profiles = [
        PROFILES[name] if name in PROFILES else draw_profile(rng, name, classes)
        for name, rng in zip(classes, streams, strict=True)
    ]
    width = int(np.ceil(config.clip_seconds / config.hop - 1e-9))
    edges = np.arange(width + 1) * config.hop
    grid = Grid(0.5 * (edges[1:] + edges[:-1]), config.hop, config.clip_seconds)
    scenes: list[Scene] = []
    scores: tuple[list[np.ndarray], list[np.ndarray]] = [], []
    for block in range(-(-config.n_clips // _BLOCK)):
        rng = np.random.default_rng(np.random.SeedSequence(config.seed, spawn_key=(1, block)))
        scene = draw_scene(
            rng, _BLOCK, classes, profiles,
            clip_seconds=config.clip_seconds, short=config.short, empty=config.empty, overlap=config.overlap,
        )  # fmt: skip
        scenes.append(scene)
        both = detect(rng, scene, classes, profiles, config.flaws(), grid)
        for part, block_scores in zip(scores, both, strict=True):
            part.append(block_scores)
    n = config.n_clips
    clip_ids = tuple(f"sim_{i:05d}.wav" for i in range(n))
    references = _references(scenes, clip_ids, classes)
    durations = torch.from_numpy(np.concatenate([scene.durations for scene in scenes])[:n])
    first, second = (
        ScoreSet.build(torch.from_numpy(np.concatenate(part)[:n]), torch.from_numpy(edges), clip_ids, classes,
                       durations=durations, references=references)
        for part in scores
    )  # fmt: skip
    return first, second


def _references(scenes: list[Scene], clip_ids: tuple[str, ...], classes: tuple[str, ...]) -> Events:
    exists = np.concatenate([scene.exists for scene in scenes])[: len(clip_ids)]
    clip, label, _ = np.nonzero(exists)
    onset, offset = (
        np.concatenate([getattr(scene, name) for scene in scenes])[: len(clip_ids)][exists]
        for name in ("onset", "offset")
    )
    columns = (torch.from_numpy(column) for column in (clip, label, onset, offset))
    return Events.from_tensors(clip_ids, classes, *columns)
