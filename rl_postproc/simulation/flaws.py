"""How strongly the simulated detector errs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Flaws:
    """How strong each flaw of the detector is; 1 is a DESED-like detector, 0 is none."""

    drift: float = 1.0
    false_alarms: float = 1.0
    dropouts: float = 1.0
    smear: float = 1.0
    noise: float = 1.0
    misses: float = 1.0
