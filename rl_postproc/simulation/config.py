"""Settings of the simulated data set."""

from __future__ import annotations

from pydantic import BaseModel, Field, field_validator, model_validator

from rl_postproc.simulation.flaws import Flaws
from rl_postproc.simulation.profiles import PROFILES

_LARGEST = 2e9
"""Largest number of scores of a simulation: 8 GB in float32."""


def _strength(what: str) -> float:
    return Field(1.0, ge=0.0, le=4.0, description=f"Multiplies {what}; 1 is what the difficulty alone gives.")


class SimulationConfig(BaseModel, extra="forbid", frozen=True):
    """What to simulate. Every value is checked; equal values give the same bytes on one machine.

    Example:
        >>> from rl_postproc import SimulationConfig, simulate
        >>> config = SimulationConfig(n_clips=3, classes=["Dog", "Speech"], clip_seconds=5, drift=0.0)
        >>> simulate(config).scores.shape  # [clip, class, frame]
        torch.Size([3, 2, 79])
    """

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

    active: float = Field(
        1.0,
        gt=0.0,
        le=1.0,
        description="Share of clips in which a class sounds or is heard by mistake; below 1 classes do so independently of "
        "each other, all clips are as long, and the other tracks are silent, as sparse shards leave them out.",
    )

    @field_validator("classes")
    @classmethod
    def _names(cls, value: list[str] | None) -> list[str] | None:
        if value is not None and (not value or "" in value or len(set(value)) < len(value)):
            raise ValueError(f"classes must be a list of different names that are not empty, found {value}")
        return value

    @model_validator(mode="after")
    def _fits_memory(self) -> SimulationConfig:
        size = self.active * self.n_clips * len(self.class_names()) * int(self.clip_seconds / self.hop)
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
