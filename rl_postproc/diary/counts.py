"""Errors counted by kind and class, and F1 if a kind were mended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from rl_postproc.data.events import Events
from rl_postproc.diary.kinds import KINDS, Errors, find_errors
from rl_postproc.metrics.base import Metric, total_counts
from rl_postproc.metrics.event_based.collars import CollarMetric
from rl_postproc.metrics.f1 import f1
from rl_postproc.utils.errors import UserError


@dataclass(frozen=True)
class Diary:
    """The errors of an event list.

    Attributes:
        classes: class names.
        true_positives: int64 ``[class]``.
        reference: number of references, int64 ``[class]``.
        missed: references without a match by kind of error, int64 ``[kind, class]`` in the order of `KINDS`.
        false: estimates without a match by kind of error, int64 ``[kind, class]``.
    """

    classes: tuple[str, ...]
    true_positives: torch.Tensor
    reference: torch.Tensor
    missed: torch.Tensor
    false: torch.Tensor

    @property
    def estimated(self) -> torch.Tensor:
        """Number of estimates, int64 ``[class]``."""
        return self.true_positives + self.false.sum(0)

    @property
    def f1(self) -> torch.Tensor:
        """F1 of each class, NaN without references, float64 ``[class]``."""
        return f1(self.true_positives, self.estimated, self.reference)

    @property
    def mended(self) -> torch.Tensor:
        """F1 of each class if each kind of error by itself were mended, see `mend`, float64 ``[kind, class]``."""
        return f1(self.true_positives + self.missed, self.estimated - self.false + self.missed, self.reference)

    def to_json(self) -> dict[str, Any]:
        """Returns macro F1, and by kind and class the counts and F1 if the kind were mended."""
        own, mended = self.f1, self.mended
        macro = _macro(own)
        kinds = {}
        for i, name in enumerate(KINDS):
            kinds[name] = {
                "missed": int(self.missed[i].sum()),
                "false_alarms": int(self.false[i].sum()),
                "macro_f1_if_mended": _macro(mended[i]),
                "gain": _macro(mended[i]) - macro,
                "classes": {
                    label: {"missed": int(self.missed[i, k]), "false_alarms": int(self.false[i, k]),
                            "f1_if_mended": _known(mended[i, k])}
                    for k, label in enumerate(self.classes)
                },
            }  # fmt: skip
        counts = {"true_positives": self.true_positives, "estimated": self.estimated, "reference": self.reference}
        by_class = {
            label: {**{name: int(column[k]) for name, column in counts.items()}, "f1": _known(own[k])}
            for k, label in enumerate(self.classes)
        }
        return {"macro_f1": macro, "classes": by_class, "kinds": kinds}


def diary(references: Events, estimates: Events, metric: Metric) -> Diary:
    """Counts the errors of an event list by kind and class.

    Raises:
        UserError: the metric does not match events by their onsets and offsets.

    Example:
        >>> from rl_postproc import Events
        >>> from rl_postproc.diary import KINDS, diary
        >>> from rl_postproc.metrics import EventBased
        >>> references = Events.from_rows([("a", 1.0, 4.0, "Dog"), ("a", 6.0, 7.0, "Dog")], ["a"], ["Dog"])
        >>> estimates = Events.from_rows([("a", 1.0, 2.0, "Dog"), ("a", 3.0, 4.0, "Dog")], ["a"], ["Dog"])
        >>> found = diary(references, estimates, EventBased())
        >>> {kind: (int(m), int(f)) for kind, m, f in zip(KINDS, found.missed, found.false) if m + f}  # missed, false alarms
        {'split': (1, 2), 'missed': (1, 0)}
    """
    if not isinstance(metric, CollarMetric):
        raise UserError(f"The error diary needs a metric that matches events by onset and offset, and '{metric.name}' does "
                        "not; use event_based.")  # fmt: skip
    errors = find_errors(references, estimates, metric)
    counts = total_counts(metric.count(references, estimates))
    found = Diary(
        references.classes,
        counts["true_positives"],
        counts["reference"],
        _by_kind(errors.references, references),
        _by_kind(errors.estimates, estimates),
    )
    assert torch.equal(found.true_positives + found.missed.sum(0), found.reference)
    assert torch.equal(found.estimated, counts["estimated"])
    return found


def mend(references: Events, estimates: Events, errors: Errors, kind: str) -> Events:
    """Returns the estimates with one kind of error mended: its false alarms are gone, its missed references are there."""
    place = list(KINDS).index(kind)
    kept, added = errors.estimates != place, errors.references == place
    names = ("clip", "label", "onset", "offset")
    columns = (torch.cat([getattr(estimates, name)[kept], getattr(references, name)[added]]) for name in names)
    return Events.from_tensors(estimates.clip_ids, estimates.classes, *columns)


def _by_kind(kinds: torch.Tensor, events: Events) -> torch.Tensor:
    """Returns the number of errors of each kind and class, int64 ``[kind, class]``."""
    wrong, n_classes = kinds >= 0, len(events.classes)
    cell = kinds[wrong] * n_classes + events.label[wrong]
    return torch.bincount(cell, minlength=len(KINDS) * n_classes).reshape(len(KINDS), n_classes)


def _macro(by_class: torch.Tensor) -> float:
    return float(by_class.nanmean().nan_to_num(0.0))


def _known(score: torch.Tensor) -> float | None:
    return None if bool(score.isnan()) else float(score)
