"""Properties of the simulated classes: how their events are distributed and how the detector responds to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class ClassProfile:
    """How the events of one class are distributed, and how the simulated detector responds to them.

    Attributes:
        lead: weight with which the class is the main one of a clip.
        more: mean number of events of a clip beyond the first, for 10 s.
        length: median length of an event in seconds.
        spread: standard deviation of the logarithm of the length.
        gap: median pause between two events in seconds.
        cut: share of a train of events that may lie before the clip's start or after its end.
        companions: probability that another class joins a clip led by this one.
        floor: logit of the score without an event.
        strength: rise of the logit in the middle of a long, typical event.
        rise: time constant of the onset in seconds.
        fall: time constant of the offset in seconds.
        late: mean delay of onset and of offset in seconds; negative is early.
        jitter: scale by which the delays of onset and offset differ from event to event, in seconds.
        weak: share of events that the detector hardly responds to.
        dropouts: interruptions of the response in 10 s.
        bursts: false alarms in 10 s of a clip of ordinary unrest.
        burst_length: median length of a false alarm in seconds.
        noise: standard deviation of the noise in logits.
        confused: classes whose events this one responds to by mistake, with the probability that it does so in a clip.
    """

    lead: float
    more: float
    length: float
    spread: float
    gap: float = 0.6
    cut: float = 0.12
    companions: Mapping[str, float] = field(default_factory=dict)
    floor: float = -6.0
    strength: float = 9.0
    rise: float = 0.08
    fall: float = 0.14
    late: tuple[float, float] = (0.0, 0.05)
    jitter: tuple[float, float] = (0.08, 0.16)
    weak: float = 0.15
    dropouts: float = 0.1
    bursts: float = 0.04
    burst_length: float = 0.6
    noise: float = 0.15
    confused: Mapping[str, float] = field(default_factory=dict)


# Lengths, rates and company as in the DESED validation set (1168 clips); the detector's habits are chosen so that
# best thresholds and kernels differ between classes.
PROFILES: dict[str, ClassProfile] = {
    "Alarm_bell_ringing": ClassProfile(
        0.155, 1.25, 1.1, 1.05, companions={"Speech": 0.45, "Dog": 0.03},
        floor=-6.0, strength=9.0, rise=0.08, fall=0.14, late=(0.0, 0.1), jitter=(0.06, 0.14), dropouts=0.4,
        bursts=0.036, burst_length=0.8, confused={"Cat": 0.02, "Speech": 0.01}),
    "Blender": ClassProfile(
        0.06, 0.18, 5.5, 0.9, cut=0.4, companions={"Speech": 0.68, "Dishes": 0.17},
        floor=-6.5, strength=9.0, rise=0.1, fall=0.25, jitter=(0.13, 0.26), dropouts=0.3,
        bursts=0.009, burst_length=2.0, confused={"Vacuum_cleaner": 0.07, "Electric_shaver_toothbrush": 0.05}),
    "Cat": ClassProfile(
        0.1, 1.85, 0.85, 0.8, gap=1.0, companions={"Speech": 0.25},
        floor=-6.0, strength=8.0, rise=0.08, fall=0.16, jitter=(0.07, 0.16), weak=0.2, dropouts=0.1,
        bursts=0.024, confused={"Dog": 0.07, "Speech": 0.01}),
    "Dishes": ClassProfile(
        0.075, 2.3, 0.4, 0.7, companions={"Speech": 0.73},
        floor=-6.5, strength=8.0, rise=0.05, fall=0.08, late=(-0.02, 0.05), jitter=(0.08, 0.13), weak=0.3,
        dropouts=0.05, bursts=0.06, burst_length=0.4, noise=0.25, confused={"Frying": 0.02, "Speech": 0.01}),
    "Dog": ClassProfile(
        0.13, 2.6, 0.8, 0.9, companions={"Speech": 0.33, "Alarm_bell_ringing": 0.03},
        floor=-5.0, strength=9.0, rise=0.08, fall=0.14, late=(0.0, 0.15), jitter=(0.08, 0.16), weak=0.2, dropouts=0.1,
        bursts=0.048, confused={"Cat": 0.07, "Speech": 0.01}),
    "Electric_shaver_toothbrush": ClassProfile(
        0.05, 0.05, 11.0, 0.7, cut=0.45, companions={"Speech": 0.62},
        floor=-7.0, strength=9.0, rise=0.12, fall=0.3, jitter=(0.16, 0.31), dropouts=0.4,
        bursts=0.009, burst_length=3.0, confused={"Vacuum_cleaner": 0.05, "Blender": 0.05}),
    "Frying": ClassProfile(
        0.07, 0.06, 13.0, 0.7, cut=0.45, companions={"Speech": 0.75, "Dishes": 0.64},
        floor=-4.5, strength=9.0, rise=0.15, fall=0.3, jitter=(0.16, 0.31), dropouts=0.3,
        bursts=0.018, burst_length=3.0, confused={"Running_water": 0.05, "Dishes": 0.02}),
    "Running_water": ClassProfile(
        0.155, 0.2, 5.5, 0.9, cut=0.35, companions={"Speech": 0.46, "Dishes": 0.07},
        floor=-5.5, strength=8.5, rise=0.12, fall=0.25, jitter=(0.13, 0.26), dropouts=0.3,
        bursts=0.024, burst_length=1.5, confused={"Frying": 0.07, "Vacuum_cleaner": 0.05}),
    "Speech": ClassProfile(
        0.16, 2.1, 1.2, 0.75, gap=0.75, companions={"Dishes": 0.1},
        floor=-5.5, strength=10.0, rise=0.07, fall=0.14, late=(-0.05, 0.05), jitter=(0.08, 0.17), weak=0.1,
        dropouts=0.1, bursts=0.072, confused={"Dog": 0.05, "Cat": 0.05}),
    "Vacuum_cleaner": ClassProfile(
        0.075, 0.01, 14.0, 0.7, cut=0.45, companions={"Speech": 0.33},
        floor=-6.0, strength=9.5, rise=0.12, fall=0.3, jitter=(0.16, 0.31), dropouts=0.4,
        bursts=0.009, burst_length=3.0, confused={"Blender": 0.07, "Electric_shaver_toothbrush": 0.05}),
}  # fmt: skip


def draw_profile(rng: np.random.Generator, name: str, classes: Sequence[str]) -> ClassProfile:
    """Draws the properties of a class that has no entry in :data:`PROFILES`.

    Lengths run from a knock to a motor; what else differs follows the length as it does in the known classes: short
    sounds come often, long ones are interrupted, cut by the clip's ends and responded to slowly.

    Args:
        rng: source of randomness.
        name: name of the class.
        classes: names of all classes, from which its companions and those it is confused with are drawn.
    """
    length = float(np.exp(rng.uniform(np.log(0.5), np.log(12.0))))
    slow = float(np.log(length / 0.5) / np.log(24.0))
    others = [other for other in classes if other != name]
    friends, doubles = rng.permutation(len(others))[:2], rng.permutation(len(others))[:2]
    return ClassProfile(
        lead=float(rng.uniform(0.5, 1.5)),
        more=2.6 * (1.0 - slow) ** 2,
        length=length,
        spread=float(rng.uniform(0.6, 0.9)),
        gap=float(rng.uniform(0.4, 1.0)),
        cut=0.1 + 0.35 * slow,
        companions={others[i]: float(rng.uniform(0.05, 0.6)) for i in friends},
        floor=float(rng.uniform(-7.0, -4.5)),
        strength=float(rng.uniform(8.0, 10.0)),
        rise=float(rng.uniform(0.05, 0.08)) * (1.0 + slow),
        fall=float(rng.uniform(0.08, 0.15)) * (1.0 + slow),
        late=(float(rng.uniform(-0.05, 0.05)), float(rng.uniform(0.0, 0.15))),
        jitter=(0.06 + 0.1 * slow, 0.12 + 0.2 * slow),
        weak=float(rng.uniform(0.1, 0.3)),
        dropouts=0.1 + 0.3 * slow,
        # Rare classes have few false alarms, or every detector of many classes would be useless.
        bursts=float(rng.uniform(0.15, 0.5)) / len(classes),
        burst_length=length ** float(rng.uniform(0.3, 0.7)),
        noise=float(rng.uniform(0.1, 0.25)),
        confused={others[i]: float(rng.uniform(0.01, 0.07)) for i in doubles},
    )
