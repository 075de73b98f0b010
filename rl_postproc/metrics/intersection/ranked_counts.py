"""Intersection-based counts at every threshold of confidence there is, as sums of steps."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from rl_postproc.data.events import Events
from rl_postproc.metrics.intersection.coverage import Coverage
from rl_postproc.utils.tensors import flatnonzero, ragged_ranges

COLUMNS = ("clip", "label", "onset", "offset", "confidence")
"""Of events."""


@dataclass(frozen=True)
class Criteria:
    """When an event is relevant, and when a reference is found (Bilen et al. 2020).

    Attributes:
        dtc: share of an event that references of its class must cover (detection tolerance criterion).
        gtc: share of a reference that relevant events must cover (ground truth intersection criterion).
        cttc: share of an event that is not relevant that references of another class must cover for it to be a cross-trigger
            of that class; None where none is counted.
    """

    dtc: float
    gtc: float
    cttc: float | None = None


@dataclass(frozen=True)
class Stretches:
    """Events that are there at some thresholds: at ``low <= θ < high``.

    Attributes:
        clip: int64 ``[event]``.
        label: int64 ``[event]``.
        onset: seconds, float64 ``[event]``.
        offset: seconds, float64 ``[event]``, after the onset.
        low: float32 ``[event]``.
        high: float32 ``[event]``.
    """

    clip: torch.Tensor
    label: torch.Tensor
    onset: torch.Tensor
    offset: torch.Tensor
    low: torch.Tensor
    high: torch.Tensor

    @classmethod
    def of_events(cls, events: Events) -> Stretches:
        """Takes events that are there at the thresholds below their confidence; those without length are none."""
        high = events.confidence
        whole = cls(events.clip, events.label, events.onset, events.offset, torch.full_like(high, -1.0), high)
        return whole.select(events.offset > events.onset)

    def select(self, some: torch.Tensor) -> Stretches:
        """Returns some of them, by indices or by a mask."""
        clip, label, onset, offset = (x[some] for x in (self.clip, self.label, self.onset, self.offset))
        return Stretches(clip, label, onset, offset, self.low[some], self.high[some])


@dataclass(frozen=True)
class RankedCounts:
    """Counts at every threshold: that at ``θ`` is the sum of the changes of the steps with a value above ``θ``.

    Attributes:
        clip: int64 ``[step]``.
        label: int64 ``[step]``.
        value: float32 ``[step]``.
        true_positives: change of the number of references that are found, int8 ``[step]``.
        false_positives: change of the number of events that are not relevant, int8 ``[step]``.
        crossed: the other class of a step that changes the number of cross-triggers, else −1, int64 ``[step]``.
        cross_triggers: change of the number of cross-triggers of that class, int8 ``[step]``.
        reference: number of references, int64 ``[clip, class]``.
        covered: seconds of references, float64 ``[clip, class]``.
        durations: seconds, float64 ``[clip]``.
    """

    clip: torch.Tensor
    label: torch.Tensor
    value: torch.Tensor
    true_positives: torch.Tensor
    false_positives: torch.Tensor
    crossed: torch.Tensor
    cross_triggers: torch.Tensor
    reference: torch.Tensor
    covered: torch.Tensor
    durations: torch.Tensor


def count_ranked(references: Events, stretches: Stretches, durations: torch.Tensor, criteria: Criteria) -> RankedCounts:
    """Counts events at every threshold at once.

    Args:
        references: the references; those without length are left out.
        stretches: detected events over the same clips and classes.
        durations: length of the clips in seconds, float64 ``[clip]``.
        criteria: what is right.
    """
    references = with_length(references)
    n_clips, n_classes = len(references.clip_ids), len(references.classes)
    latest = float(stretches.offset.max()) if len(stretches.offset) else 0.0
    coverage = Coverage.of(references, latest)
    relevant = _relevant(coverage, stretches, references, criteria.dtc)
    parts = [_false_positives(stretches, ~relevant)]
    parts.append(_true_positives(references, stretches, relevant, criteria.gtc, latest))
    if criteria.cttc is not None:
        parts += _cross_triggers(coverage, stretches, ~relevant, criteria.cttc, references, n_classes)
    clip, label, value, hits, false, crossed, triggers = (torch.cat(column) for column in zip(*parts, strict=True))
    covered = torch.zeros(n_clips * n_classes, dtype=torch.float64)
    covered.index_add_(0, references.clip * n_classes + references.label, references.offset - references.onset)
    return RankedCounts(clip, label, value, hits, false, crossed, triggers, references.counts(),
                        covered.reshape(n_clips, n_classes), durations)  # fmt: skip


def right_alone(references: Events, stretches: Stretches, criteria: Criteria) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns which events are relevant, and which find a reference by themselves, bool ``[event]`` each."""
    references = with_length(references)
    latest = float(stretches.offset.max()) if len(stretches.offset) else 0.0
    relevant = _relevant(Coverage.of(references, latest), stretches, references, criteria.dtc)
    relevant &= stretches.offset > stretches.onset
    event, reference = _overlapping(references, stretches, relevant.nonzero()[:, 0], latest)
    shared = torch.minimum(stretches.offset[event], references.offset[reference])
    shared = shared - torch.maximum(stretches.onset[event], references.onset[reference])
    needed = (criteria.gtc * (references.offset - references.onset)[reference]).round(decimals=6)
    finds = torch.zeros_like(relevant)
    finds[event[shared.round(decimals=6) >= needed]] = True
    return relevant, finds


def _relevant(coverage: Coverage, stretches: Stretches, references: Events, share: float) -> torch.Tensor:
    """Returns which events references of their class cover enough, bool ``[event]``."""
    some = torch.arange(len(stretches.clip))
    if share > 0:  # only where there are references
        some = flatnonzero(
            (references.counts() > 0).flatten()[stretches.clip * len(references.classes) + stretches.label]
        )
    clip, label, onset, offset = (x[some] for x in (stretches.clip, stretches.label, stretches.onset, stretches.offset))
    enough = coverage.between(clip, label, onset, offset) >= (share * (offset - onset)).round(decimals=6)
    relevant = torch.zeros(len(stretches.clip), dtype=torch.bool)
    relevant[some[enough]] = True
    return relevant


Part = tuple[torch.Tensor, ...]
"""Columns of steps: clip, label, value, true positives, false positives, other class, cross-triggers."""


def _steps(clip: torch.Tensor, label: torch.Tensor, value: torch.Tensor, change: torch.Tensor, column: int,
           other: torch.Tensor | None = None) -> Part:  # fmt: skip
    """Returns steps that change one column: 0 true positives, 1 false positives, 2 cross-triggers."""
    change, none = change.to(torch.int8), torch.zeros(len(clip), dtype=torch.int8, device=clip.device)
    columns = [change if column == k else none for k in range(3)]
    crossed = torch.full_like(label, -1) if other is None else other
    return clip, label, value, columns[0], columns[1], crossed, columns[2]


def _false_positives(stretches: Stretches, wrong: torch.Tensor) -> Part:
    """An event that is not relevant counts between its thresholds."""
    return _between(stretches, wrong.nonzero()[:, 0], 1)


def _between(stretches: Stretches, chosen: torch.Tensor, column: int, other: torch.Tensor | None = None) -> Part:
    """Returns the steps of events that count one between their thresholds."""
    low, high = stretches.low[chosen], stretches.high[chosen]
    ends = low >= 0  # of others, no threshold lies below
    one = torch.ones(len(chosen), dtype=torch.int8, device=chosen.device)
    clip, label = stretches.clip[chosen], stretches.label[chosen]
    clip, label = torch.cat([clip, clip[ends]]), torch.cat([label, label[ends]])
    value, change = torch.cat([high, low[ends]]), torch.cat([one, -one[ends]])
    return _steps(clip, label, value, change, column, None if other is None else torch.cat([other, other[ends]]))


def _true_positives(
    references: Events, stretches: Stretches, relevant: torch.Tensor, share: float, latest: float
) -> Part:
    """A reference is found at the thresholds at which relevant events cover enough of it."""
    chosen = relevant.nonzero()[:, 0]
    event, reference = _overlapping(references, stretches, chosen, latest)
    inside = torch.minimum(stretches.offset[event], references.offset[reference])
    inside = inside - torch.maximum(stretches.onset[event], references.onset[reference])
    ends = stretches.low[event] >= 0
    row = torch.cat([reference, reference[ends]])
    value = torch.cat([stretches.high[event], stretches.low[event][ends]])
    change = torch.cat([inside, -inside[ends]])
    order = value.argsort(descending=True, stable=True)
    order = order[row[order].argsort(stable=True)]
    row, value, change = row[order], value[order], change[order]
    last = torch.ones(len(row), dtype=torch.bool, device=row.device)
    last[:-1] = (row[1:] != row[:-1]) | (value[1:] != value[:-1])
    total = change.cumsum(0)
    begins = torch.ones_like(last)
    begins[1:] = row[1:] != row[:-1]
    before = torch.where(begins, total - change, 0.0)
    number = begins.cumsum(0) - 1
    before = before[begins][number] if len(row) else before
    row, value, covered = row[last], value[last], (total - before)[last]
    # Sums of differences of doubles stray by far less than a microsecond.
    needed = (share * (references.offset - references.onset)[row]).round(decimals=6)
    found = (covered.round(decimals=6) >= needed).to(torch.int8)
    previous = torch.zeros_like(found)
    same = row[1:] == row[:-1]
    previous[1:] = torch.where(same, found[:-1], 0)
    change = found - previous
    changed = (change != 0).nonzero()[:, 0]
    row = row[changed]
    return _steps(references.clip[row], references.label[row], value[changed], change[changed], 0)


def _overlapping(
    references: Events, stretches: Stretches, chosen: torch.Tensor, latest: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns the pairs of chosen events and references of their clip and class that overlap, int64 ``[pair]`` each."""
    n_classes = len(references.classes)
    latest = max(latest, float(references.offset.max()) if len(references) else 0.0) + 1.0
    cell = references.clip * n_classes + references.label
    span = int(latest * 1e6) + 2
    onset = cell * span + (references.onset * 1e6).round().long()
    # The latest end of all references of a cell so far: those that end before an event are the first of them.
    reached = (cell * span + (references.offset * 1e6).round().long()).cummax(0).values
    own = stretches.clip[chosen] * n_classes + stretches.label[chosen]
    begin = torch.searchsorted(reached, own * span + (stretches.onset[chosen] * 1e6).round().long(), right=True)
    end = torch.searchsorted(onset, own * span + (stretches.offset[chosen] * 1e6).round().long())
    row, reference = ragged_ranges(begin, (end - begin).clamp(min=0))
    event = chosen[row]
    meets = torch.minimum(stretches.offset[event], references.offset[reference]) > torch.maximum(
        stretches.onset[event], references.onset[reference]
    )
    return event[meets], reference[meets]


def _cross_triggers(
    coverage: Coverage, stretches: Stretches, wrong: torch.Tensor, share: float, references: Events, n_classes: int
) -> list[Part]:
    """An event that is not relevant is a cross-trigger of each other class that covers enough of it."""
    # Only classes that a clip has can be crossed there.
    present = references.counts() > 0
    chosen = wrong.nonzero()[:, 0]
    chosen = chosen[present.any(1)[stretches.clip[chosen]]]
    parts = []
    for some in chosen.split(1 << 20):
        row, other = present[stretches.clip[some]].nonzero().unbind(1)
        event = some[row]
        event, other = (x[stretches.label[event] != other] for x in (event, other))
        onset, offset = stretches.onset[event], stretches.offset[event]
        inside = coverage.between(stretches.clip[event], other, onset, offset)
        crosses = inside >= (share * (offset - onset)).round(decimals=6)
        parts.append(_between(stretches, event[crosses], 2, other[crosses]))
    return parts


def with_length(references: Events) -> Events:
    """Returns the events that last; others cannot be covered."""
    some = references.offset > references.onset
    if bool(some.all()):
        return references
    return replace(references, **{name: getattr(references, name)[some] for name in COLUMNS})
