"""Counts at every threshold against sed_scores_eval, which is exact over all thresholds too."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from cases import small_simulation
from scipy.ndimage import median_filter

from rl_postproc.counts.all_thresholds import sweep_all_thresholds
from rl_postproc.metrics import EventBased
from rl_postproc.pipeline.stack import Stack

collar_based = pytest.importorskip("sed_scores_eval.collar_based", reason="needs the extra 'bench'")


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kernel", [1, 7])
def test_counts_at_every_threshold_equal_those_of_sed_scores_eval(seed: int, kernel: int) -> None:
    from sed_scores_eval.base_modules.scores import create_score_dataframe

    scores = small_simulation(40, seed=seed)
    stack = Stack.from_config([{"stage": "median", "kernel": kernel * scores.hop}, {"stage": "threshold"}])
    tables, references = {}, {clip: [] for clip in scores.clip_ids}
    for i, (clip, n) in enumerate(zip(scores.clip_ids, scores.n_frames.tolist(), strict=True)):
        at, frames = torch.tensor(i), torch.arange(n)
        times = torch.cat(
            [scores.clip_frames.onset_times(at, frames), scores.clip_frames.offset_times(at, frames[-1:])]
        ).numpy()
        filtered = median_filter(scores.scores[i, :, :n].T.numpy(), size=(kernel, 1), mode="reflect")
        tables[clip] = create_score_dataframe(filtered, times, list(scores.classes))
    for clip, onset, offset, label in scores.require_references().to_rows():
        references[clip].append((onset, offset, label))
    found, _ = collar_based.accumulated_intermediate_statistics(
        tables, references, onset_collar=0.2, offset_collar=0.2, offset_collar_rate=0.2
    )
    steps = sweep_all_thresholds(scores, stack, EventBased(comparison="tolerant"))
    for label, name in enumerate(scores.classes):
        # A frame is active at these thresholds if its score is at or above the value: just below it, in our terms.
        values, counts = found[name]
        keep = np.isfinite(values)
        below = np.nextafter(values[keep].astype(np.float32), np.float32(0))
        totals = steps.table(np.unique(below).tolist()).totals()
        assert totals["true_positives"][:, label].tolist() == counts["tps"][keep].tolist()
        assert totals["estimated"][:, label].tolist() == (counts["tps"] + counts["fps"])[keep].tolist()
