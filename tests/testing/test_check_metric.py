"""The conformance check of metrics passes on what is here and on other sets of counts, and fails on broken promises."""

from __future__ import annotations

from typing import ClassVar, Literal

import pytest
import torch
from plugin_cases import Onsets

from rl_postproc.data.events import Events
from rl_postproc.data.scores import ScoreSet
from rl_postproc.metrics import Counts, EventBased, Metric, Tagging
from rl_postproc.metrics.base import CertificationError
from rl_postproc.testing import NonConformant, check_metric
from rl_postproc.testing.base import sample_scores


def sed_eval_counts(references: Events, estimates: Events) -> dict[str, torch.Tensor]:
    """Counts each clip and class with sed_eval itself."""
    import dcase_util
    import sed_eval

    shape = len(references.clip_ids), len(references.classes)
    counts = torch.zeros(3, *shape, dtype=torch.int64)
    for i, clip in enumerate(references.clip_ids):
        meter = sed_eval.sound_event.EventBasedMetrics(list(references.classes), t_collar=0.2, percentage_of_length=0.2)
        lists = []
        for events in (references, estimates):
            rows = [
                {"filename": clip, "event_onset": on, "event_offset": off, "event_label": label}
                for name, on, off, label in events.to_rows()
                if name == clip
            ]
            lists.append(dcase_util.containers.MetaDataContainer(rows))
        meter.evaluate(*lists)
        for k, label in enumerate(references.classes):
            found = meter.class_wise[label]
            counts[:, i, k] = torch.tensor([int(found[n]) for n in ("Ntp", "Nsys", "Nref")])
    return dict(zip(EventBased.columns, counts, strict=True))


def onset_counts(references: Events, estimates: Events) -> dict[str, torch.Tensor]:
    """Counts hits, misses and false alarms of onsets by sed_eval, which compares them alone."""
    import sed_eval

    shape = len(references.clip_ids), len(references.classes)
    counts = torch.zeros(3, *shape, dtype=torch.int64)
    for i, clip in enumerate(references.clip_ids):
        meter = sed_eval.sound_event.EventBasedMetrics(
            list(references.classes), t_collar=0.25, evaluate_offset=False, event_matching_type="optimal"
        )
        lists = [
            [
                {"filename": name, "onset": on, "offset": off, "event_label": label}
                for name, on, off, label in events.to_rows()
                if name == clip
            ]
            for events in (references, estimates)
        ]
        meter.evaluate(*lists)
        for k, label in enumerate(references.classes):
            found = meter.class_wise[label]
            counts[:, i, k] = torch.tensor([found["Ntp"], found["Nref"] - found["Ntp"], found["Nsys"] - found["Ntp"]])
    return dict(zip(Onsets.columns, counts, strict=True))


@pytest.mark.parametrize("comparison", ["exact", "tolerant"])
def test_the_event_based_metric_conforms(comparison: Literal["exact", "tolerant"]) -> None:
    check_metric(EventBased(comparison=comparison), sed_eval_counts if comparison == "exact" else None)


def test_metrics_with_other_counts_and_without_a_fast_path_conform() -> None:
    check_metric(Tagging())
    check_metric(Onsets(), onset_counts)
    check_metric(Onsets(sure=0.5))


class WiderCollar(EventBased):
    """Claims the defaults, and counts with another collar."""

    metric: Literal["test_wider_collar"] = "test_wider_collar"
    t_collar: float = 0.5

    certify = Metric.certify


class FastPathAstray(EventBased):
    """Counts with one collar, and with another on its fast path."""

    metric: Literal["test_fast_path_astray"] = "test_fast_path_astray"

    def prepare(self, scores: ScoreSet):
        return EventBased(t_collar=0.5).prepare(scores)


class Crowded(Onsets):
    """A class has no hit in clips where another class detects more."""

    metric: Literal["test_crowded"] = "test_crowded"

    def count(self, references: Events, estimates: Events) -> Counts:
        counts = dict(super().count(references, estimates))
        found = estimates.counts()
        counts["hits"] = torch.where(found == found.amax(1, keepdim=True), counts["hits"], 0)
        return counts


class FromOthers(Onsets):
    """Detections of the first class are false alarms of all."""

    metric: Literal["test_from_others"] = "test_from_others"

    def count(self, references: Events, estimates: Events) -> Counts:
        counts = dict(super().count(references, estimates))
        return counts | {"false_alarms": counts["false_alarms"] + estimates.counts()[:, :1]}


class FirstClip(Onsets):
    """Only the first clip counts."""

    metric: Literal["test_first_clip"] = "test_first_clip"

    def count(self, references: Events, estimates: Events) -> Counts:
        counts = super().count(references, estimates)
        return {name: torch.cat([column[:1], torch.zeros_like(column[1:])]) for name, column in counts.items()}


class Forgetful(Onsets):
    """Leaves a column out."""

    metric: Literal["test_forgetful"] = "test_forgetful"
    columns: ClassVar[tuple[str, ...]] = ("hits", "misses", "false_alarms", "substitutions")

    def count(self, references: Events, estimates: Events) -> Counts:
        return dict(zip(self.columns, Onsets().count(references, estimates).values(), strict=False))


class Fractions(Onsets):
    """Gives counts that are no whole numbers."""

    metric: Literal["test_fractions"] = "test_fractions"

    def count(self, references: Events, estimates: Events) -> Counts:
        return {name: column.double() for name, column in super().count(references, estimates).items()}


class Steep(Onsets):
    """Its score has no finite slope at 0."""

    metric: Literal["test_steep"] = "test_steep"

    def score(self, counts: Counts) -> torch.Tensor:
        return super().score(counts).sqrt()


class OneForAll(Onsets):
    """Gives one score for all classes."""

    metric: Literal["test_one_for_all"] = "test_one_for_all"

    def score(self, counts: Counts) -> torch.Tensor:
        return super().score(counts).nan_to_num().mean(-1)


class Mistaken(Onsets):
    """Its oracle breaks down, or does not agree."""

    metric: Literal["test_mistaken"] = "test_mistaken"
    disagrees: bool = False

    def certify(self, references: Events, estimates: Events, counts: Counts) -> str:
        raise CertificationError("planted") if self.disagrees else TypeError("planted")


class Mute(Onsets):
    """Names neither a tool nor why there is none."""

    metric: Literal["test_mute"] = "test_mute"

    def certify(self, references: Events, estimates: Events, counts: Counts) -> str:
        return ""


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        (FastPathAstray(), "the sweep counts true_positives otherwise"),
        (Crowded(), "hits"),
        (FromOthers(), "false_alarms"),
        (FirstClip(), "depends|otherwise"),
        (Forgetful(), r"does not count \['substitutions'\]"),
        (Fractions(), "not int64"),
        (Steep(), "gradient"),
        (OneForAll(), "shape"),
        (Mistaken(), "certify raises TypeError: planted"),
        (Mistaken(disagrees=True), "certify raises CertificationError: planted"),
        (Mute(), "certify names neither"),
    ],
    ids=lambda value: value.name if isinstance(value, Metric) else "",
)
def test_a_metric_that_breaks_a_promise_is_refused(metric: Metric, message: str) -> None:
    with pytest.raises(NonConformant, match=message):
        check_metric(metric)


def test_a_metric_that_differs_from_its_oracle_is_refused() -> None:
    check_metric(WiderCollar())
    with pytest.raises(NonConformant, match="oracle"):
        check_metric(WiderCollar(), sed_eval_counts)


def test_a_metric_that_is_not_registered_is_refused() -> None:
    class Nameless(Onsets):
        pass

    with pytest.raises(NonConformant, match="not found by its name"):
        check_metric(Nameless())


def test_the_sample_has_the_awkward_cases() -> None:
    scores = sample_scores()
    counts = scores.require_references().counts()
    assert int(scores.n_frames.min()) == 1 and (counts.sum(0) == 0).any()
    assert not scores.scores[1, 0].any() and isinstance(scores.clip_ids, tuple)
