"""PSDS as a metric of rankings: events with confidences, or frame scores, at every threshold at once."""

from __future__ import annotations

import warnings
from abc import ABC
from importlib.metadata import version
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field

from rl_postproc.data.events import Events
from rl_postproc.data.scores import ScoreSet
from rl_postproc.metrics.base import CertificationError
from rl_postproc.metrics.intersection.frame_scores import stretches_of_scores
from rl_postproc.metrics.intersection.lost_thresholds import without_lost_thresholds
from rl_postproc.metrics.intersection.psds import Scenario, areas_of_roc, psds_of_roc, roc
from rl_postproc.metrics.intersection.ranked_counts import Criteria, RankedCounts, Stretches, count_ranked, with_length
from rl_postproc.metrics.ranking.base import RankedScore, RankingMetric
from rl_postproc.metrics.ranking.sed_scores_eval import frames_of, truth_of
from rl_postproc.utils.errors import UserError


class Psds(RankingMetric, ABC):
    """The polyphonic sound detection score of a scenario: the area under the PSD-ROC, over its width.

    Classes without references have no share of references that are found: they are left out, their events too.

    Source: Bilen et al., "A framework for the robust evaluation of sound event detection", ICASSP 2020; over all thresholds:
    Ebbers, Serizel and Haeb-Umbach, "Threshold-independent evaluation of sound event detection scores", ICASSP 2022.
    """

    dtc: float = Field(0.7, gt=0, le=1, description="share of an event that references must cover")
    gtc: float = Field(0.7, gt=0, le=1, description="share of a reference that relevant events must cover")
    cttc: float | None = Field(
        None, gt=0, le=1, description="share of another class's event that makes a cross-trigger"
    )
    alpha_ct: float = Field(0.0, ge=0, le=100, description="weight of cross-triggers beside false positives")
    alpha_st: float = Field(1.0, ge=0, le=100, description="standard deviations between classes that are taken off")
    max_efpr: float = Field(100.0, gt=0, le=1e6, description="effective false positives an hour up to which it counts")
    value_name: ClassVar[str] = "psds"
    class_value_name: ClassVar[str] = "psds"
    needs_durations: ClassVar[bool] = True
    most_certified: ClassVar[int | None] = 2000

    @property
    def scenario(self) -> Scenario:
        """How errors and instability count."""
        cttc = self.cttc if self.alpha_ct else None
        return Scenario(Criteria(self.dtc, self.gtc, cttc), self.alpha_ct, self.alpha_st, self.max_efpr)

    def counts(self, references: Events, estimates: Events | ScoreSet, durations: torch.Tensor) -> RankedCounts:
        """Returns the counts at every threshold, of which `psds` also takes weights of clips."""
        scores = isinstance(estimates, ScoreSet)
        stretches = stretches_of_scores(estimates) if scores else Stretches.of_events(estimates)
        return count_ranked(references, stretches, durations, self.scenario.criteria)

    def value(
        self, references: Events, estimates: Events | ScoreSet, durations: torch.Tensor | None = None
    ) -> RankedScore:
        """See `RankingMetric.value`."""
        if self.alpha_ct and self.cttc is None:
            raise UserError(
                f"'{self.name}' weighs cross-triggers by {self.alpha_ct:g}, but does not say what one is; give cttc."
            )
        if durations is None:
            raise UserError(
                f"'{self.name}' counts false positives an hour, so it needs the clips' lengths; give --durations."
            )
        known = references.counts().sum(0) > 0
        if not bool(known.all()):
            own = torch.full(known.shape, torch.nan, dtype=torch.float64)
            if not bool(known.any()):
                return RankedScore(float("nan"), own, rates={"reference": known.long()})
            found = self.value(*_of_known(known, references, estimates), durations)
            own[known] = found.by_class
            return RankedScore(found.overall, own, rates={"reference": references.counts().sum(0)})
        if isinstance(estimates, ScoreSet):
            estimates = without_lost_thresholds(estimates, references, durations, self.scenario)
        counts = self.counts(references, estimates, durations)
        found = counts.reference.sum(0)
        steps = *roc(counts, self.scenario), len(found), self.scenario
        return RankedScore(psds_of_roc(*steps), torch.from_numpy(areas_of_roc(*steps)), rates={"reference": found})

    def certify(self, references: Events, estimates: Events | ScoreSet, durations: torch.Tensor | None = None) -> str:
        """Has sed_scores_eval find the same, unless events touch or overlap, which it would join."""
        assert durations is not None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                from sed_scores_eval.base_modules.scores import create_score_dataframe
                from sed_scores_eval.intersection_based import psds as their_psds
        except ImportError:
            return 'none: sed_scores_eval is not installed (pip install "rl-postproc[bench]")'
        known = references.counts().sum(0) > 0
        if not bool(known.any()):
            return "none: there are no references"
        references, estimates = _of_known(known, references, estimates)
        if isinstance(estimates, Events) and _touch(estimates):
            return "none: events touch or overlap, and sed_scores_eval would join them"
        if _touch(with_length(references)):
            return "none: references touch or overlap, which sed_scores_eval does not take"
        names = [f"class_{k}" for k in range(len(references.classes))]
        tables = {}
        for clip, (times, scores) in enumerate(frames_of(estimates, durations)):
            ends = np.minimum(times, float(durations[clip])).round(6)
            tables[f"clip_{clip}"] = create_score_dataframe(scores, ends, names)
        seconds = {f"clip_{clip}": float(length) for clip, length in enumerate(durations)}
        own = self.scenario
        cross: dict[str, Any] = {"cttc_threshold": own.criteria.cttc, "alpha_ct": own.alpha_ct}
        cross = cross if own.criteria.cttc is not None else {}
        truth = truth_of(with_length(references), torch.arange(len(names)))
        found: Any = their_psds(tables, truth, seconds, dtc_threshold=self.dtc, gtc_threshold=self.gtc,
                                alpha_st=self.alpha_st, max_efpr=self.max_efpr, **cross)  # fmt: skip
        theirs = float(found[0])
        ours = self.value(references, estimates, durations).overall
        if abs(ours - theirs) > 1e-6:
            raise CertificationError(f"sed_scores_eval found a PSDS of {theirs}, this package {ours}.")
        return f"sed_scores_eval {version('sed_scores_eval')}"


class Psds1(Psds):
    """PSDS of DCASE's scenario 1: onsets and offsets must be right (DTC and GTC 0.7)."""

    ranking: Literal["psds1"] = "psds1"


class Psds2(Psds):
    """PSDS of DCASE's scenario 2: classes must be told apart (DTC and GTC 0.1, cross-triggers at 0.3 weigh 0.5)."""

    ranking: Literal["psds2"] = "psds2"
    dtc: float = Field(0.1, gt=0, le=1, description="share of an event that references must cover")
    gtc: float = Field(0.1, gt=0, le=1, description="share of a reference that relevant events must cover")
    cttc: float | None = Field(0.3, gt=0, le=1, description="share of another class's event that makes a cross-trigger")
    alpha_ct: float = Field(0.5, ge=0, le=100, description="weight of cross-triggers beside false positives")


def _of_known(
    known: torch.Tensor, references: Events, estimates: Events | ScoreSet
) -> tuple[Events, Events | ScoreSet]:
    """Returns what is of some classes."""
    names = [name for name, kept in zip(references.classes, known.tolist(), strict=True) if kept]
    return references.of_classes(names), estimates.of_classes(names)


def _touch(events: Events) -> bool:
    """Returns whether two events of a clip and class touch or overlap."""
    same = (events.clip[1:] == events.clip[:-1]) & (events.label[1:] == events.label[:-1])
    return bool((same & (events.onset[1:] <= events.offset[:-1])).any())
