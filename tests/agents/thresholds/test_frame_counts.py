"""The objectives of SGL-Thresh on frames and segments."""

from __future__ import annotations

import pytest
import torch
from cases import small_simulation
from rl_postproc.agents import make_agent
from rl_postproc.agents.thresholds.frame_counts import frame_counts, frame_references
from threshold_cases import THRESHOLD, macro_f1

from rl_postproc.pipeline.stack import Stack
from rl_postproc.task import TuningTask


def test_frames_and_segments_are_counted_as_by_hand():
    scores = small_simulation(n_clips=6)
    stack = Stack.from_config([{"stage": "median", "kernel": [0.0, 0.5]}, *THRESHOLD])
    truth, valid = frame_references(scores), scores.valid
    columns = torch.full((2 * scores.n_classes,), 0.3)
    frames, segments = (
        torch.stack(frame_counts(scores, stack, s).at(columns)).unflatten(1, (2, -1)) for s in (None, 1.0)
    )
    n = round(1 / scores.hop)
    for i, kernel in enumerate((0.0, 0.5)):
        active = stack.decide(scores, torch.tensor([kernel, 0.3])) & valid[:, None]
        assert torch.equal(frames[:, i], torch.stack([active & truth, active]).sum((1, 3)))
        expected = torch.zeros(2, scores.n_classes, dtype=torch.int64)
        for clip in range(scores.n_clips):
            for first in range(0, int(scores.n_frames[clip]), n):
                on, wanted = (part[clip, :, first : first + n].any(-1) for part in (active, truth))
                expected += torch.stack([on & wanted, on])
        assert torch.equal(segments[:, i], expected)


@pytest.mark.parametrize("objective", ["event", "segment", "frame"])
def test_on_events_the_learned_constants_beat_the_defaults(objective):
    task = TuningTask.build(small_simulation(n_clips=60), [{"stage": "median", "kernel": [0.0, 0.6]}, *THRESHOLD])
    fit = make_agent({"agent": "sgl_thresh", "objective": objective}).fit(task, 0)
    assert macro_f1(task, fit.post_processor.choose(task.scores)) > macro_f1(task, task.stack.space.defaults)
