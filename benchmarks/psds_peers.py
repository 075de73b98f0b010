"""PSDS as its peers take it: sed_scores_eval on frame scores, psds_eval on the event lists of some thresholds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rl_postproc.data.scores import ScoreSet
from rl_postproc.data.track_events import TrackEvents
from rl_postproc.metrics.intersection.psds import Scenario
from rl_postproc.metrics.intersection.ranked_counts import with_length
from rl_postproc.pipeline.stack import Stack
from rl_postproc.stages.sorting_networks import odd_kernel


class SedScoresEval:
    """Arrays ``[frame, class]``, their times, and the references by clip."""

    def __init__(self, scores: ScoreSet, scenario: Scenario):
        self._classes, self._clips, self._scenario = list(scores.classes), [], scenario
        self._kernels = [odd_kernel(k, scores.hop) for k in Stack.default().space.parameters[0].candidates]
        self._references: dict[str, list] = {_stem(clip): [] for clip in scores.clip_ids}
        self._seconds = {_stem(clip): float(d) for clip, d in zip(scores.clip_ids, scores.durations, strict=True)}
        edges = scores.edges.expand(scores.n_clips, -1)
        for i, clip in enumerate(scores.clip_ids):
            n = int(scores.n_frames[i])
            times = edges[i, : n + 1].clamp(max=float(scores.durations[i])).numpy().round(6)
            self._clips.append((_stem(clip), scores.scores[i, :, :n].T.contiguous().numpy(), times))
        for clip, onset, offset, label in with_length(scores.require_references()).to_rows():
            self._references[_stem(clip)].append((onset, offset, label))

    def all_filters(self) -> list[float]:
        """Filters all clips with every median filter, and returns PSDS of each."""
        return [self._psds(kernel) for kernel in self._kernels]

    def _psds(self, kernel: int) -> float:
        from scipy.ndimage import median_filter
        from sed_scores_eval.base_modules.scores import create_score_dataframe
        from sed_scores_eval.intersection_based import psds

        tables = {
            clip: create_score_dataframe(median_filter(x, size=(kernel, 1), mode="reflect"), times, self._classes)
            for clip, x, times in self._clips
        }
        own = self._scenario
        cross = {} if own.criteria.cttc is None else {"cttc_threshold": own.criteria.cttc, "alpha_ct": own.alpha_ct}
        found = psds(tables, self._references, self._seconds, dtc_threshold=own.criteria.dtc,
                     gtc_threshold=own.criteria.gtc, alpha_st=own.alpha_st, max_efpr=own.max_efpr, **cross)  # fmt: skip
        return float(found[0])


class PsdsEval:
    """Tables of references, and of the events above each of some thresholds."""

    def __init__(self, scores: ScoreSet, scenario: Scenario):
        self._scores, self._scenario = scores, scenario

    def psds(self, thresholds: Sequence[float] | np.ndarray) -> float:
        """Returns PSDS of the operating points at thresholds."""
        import pandas
        import psds_eval

        # psds_eval 0.5.3 takes int() of an array of one number, which NumPy 2.4 refuses.
        psds_eval.psds.int = lambda x: int(np.asarray(x).item())
        columns, scores, own = ["filename", "onset", "offset", "event_label"], self._scores, self._scenario
        truth = pandas.DataFrame(scores.require_references().to_rows(), columns=columns)
        seconds = pandas.DataFrame({"filename": scores.clip_ids, "duration": scores.durations.tolist()})
        judge = psds_eval.PSDSEval(own.criteria.dtc, own.criteria.gtc, own.criteria.cttc or 0.3,
                                   ground_truth=truth, metadata=seconds, class_names=list(scores.classes))  # fmt: skip
        for threshold in thresholds:
            active = ((scores.scores > threshold) & scores.valid[:, None]).flatten(0, 1).T
            found = TrackEvents.from_decisions(active, scores.frames).to_events(scores.clip_ids, scores.classes)
            judge.add_operating_point(pandas.DataFrame(found.to_rows(), columns=columns))
        return judge.psds(alpha_ct=own.alpha_ct, alpha_st=own.alpha_st, max_efpr=own.max_efpr).value


def _stem(clip: str) -> str:
    return clip.removesuffix(".wav")
