"""Scores of another frame length: what is said, what is refused, and that parameters in seconds hold."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cases import small_simulation
from program import STACK, Run, assert_one_sentence
from rl_postproc.agents.events.silent_classes import SilentClasses
from rl_postproc.agents.tune import tune

from rl_postproc.data.scores import ScoreSet
from rl_postproc.pipeline.policy import Policy
from rl_postproc.pipeline.postprocessor import PostProcessor
from rl_postproc.pipeline.stack import Stack
from rl_postproc.utils.errors import DataWarning, UserError

STAGES = Stack.from_config(STACK)


class Learned(Policy):
    """For tests: a policy that is no constant."""

    kind = "test_learned"

    def choose(self, scores: ScoreSet, stack: Stack) -> torch.Tensor:
        return stack.space.defaults.expand(scores.n_clips, scores.n_classes, -1)

    def state(self) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
        return {}, {}

    @classmethod
    def from_state(cls, values: dict[str, Any], tensors: dict[str, torch.Tensor]) -> Policy:
        return cls()


class FrameBound(Learned):
    """For tests: a policy that takes frames as they come."""

    kind = "test_frame_bound"
    frame_bound = True


def scores_of(hop: float) -> ScoreSet:
    arrays = {"a": torch.rand(40, 2, generator=torch.Generator().manual_seed(0))}
    return ScoreSet.from_arrays(arrays, hop=hop, classes=["Cat", "Dog"])


def processor(policy: Policy | None) -> PostProcessor:
    """Returns a post-processor of 0.064 s with kernels of 0 and 0.3 s, or with the policy."""
    if policy is None:
        values = torch.tensor([[0.0, 0.5], [0.3, 0.5]])
        return PostProcessor.constant(STAGES, scores_of(0.064), values)
    return PostProcessor(STAGES, ("Cat", "Dog"), policy, 0.064)


def silent(policy: Policy) -> Policy:
    return SilentClasses(policy, torch.tensor([True, False]), torch.zeros(2, 2))


@pytest.mark.parametrize(
    ("policy", "hop", "said", "refused"),
    [
        (None, 0.064, None, None),
        (None, 0.0642, None, None),  # a rounded hop
        (None, 0.02, r"frames of 0\.02 s, .* tuned on 0\.064 s: .*in seconds and hold for both; thresholds", None),
        (None, 0.5, r"frames of 0\.5 s.*, but 1 of 1 of them are shorter than two frames", None),
        (None, 5.0, r"frames of 5 s", None),
        (Learned(), 0.064, None, None),
        (Learned(), 0.02, r"has learned from frames of 0\.064 s alone", None),
        (Learned(), 0.5, r"1 of 1 of them are shorter.*has learned from frames of 0\.064 s alone", None),
        (Learned(), 1.1, None, r"'test_learned' judges no frames as long as these; tune it"),
        (FrameBound(), 0.064, None, None),
        (FrameBound(), 0.02, None, r"'test_frame_bound' judges frames of the length it has learned from alone"),
        (silent(FrameBound()), 0.02, None, r"judges frames of the length"),
        (silent(Learned()), 0.02, r"has learned", None),
    ],
)
def test_another_hop_is_told_or_refused(
    policy: Policy | None, hop: float, said: str | None, refused: str | None
) -> None:
    tuned = processor(policy)
    if refused is not None:
        with pytest.raises(UserError, match=refused):
            tuned.apply(scores_of(hop))
        return
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DataWarning)
        tuned.apply(scores_of(hop))
    assert len(caught) == (said is not None)
    assert all(re.search(str(said), str(one.message)) for one in caught)


def test_constants_in_seconds_find_the_same_events_on_twice_as_many_frames() -> None:
    scores = small_simulation(n_clips=3)
    edges = torch.arange(2 * scores.width + 1) * scores.hop / 2
    twice = ScoreSet.build(
        scores.scores.repeat_interleave(2, 2),
        edges,
        scores.clip_ids,
        scores.classes,
        2 * scores.n_frames,
        scores.durations,
    )
    tuned = PostProcessor.constant(STAGES, scores, torch.tensor([0.0, 0.5]))
    with pytest.warns(DataWarning, match="hold for both"):
        found = tuned.apply(twice)
    assert found.to_rows() == tuned.apply(scores).to_rows()


def test_policies_that_have_learned_say_it_or_refuse(run: Run, tmp_path: Path) -> None:
    scores = small_simulation(n_clips=6)
    (tmp_path / "arrays").mkdir()
    for name, track, n in zip(scores.clip_ids, scores.scores, scores.n_frames.tolist(), strict=True):
        np.save(tmp_path / "arrays" / f"{name}.npy", track[:, :n].T.numpy())
    applied = ["arrays", "--hop", 0.02, "--classes", ",".join(scores.classes), "--out", "events.tsv"]
    for agent, settings in (("vpg_paper", {"passes": 4}), ("event_value", {})):
        tune(scores, agent, stack=STAGES, **settings).save(tmp_path / agent)
    assert_one_sentence(run("apply", "vpg_paper", *applied), r"policy 'vpg_paper' judges frames of the length")
    assert not (tmp_path / "events.tsv").exists()
    code, out, err = run("apply", "event_value", *applied)
    assert code == 0 and out.startswith("Wrote")
    assert err.count("Note: ") == 1 and "frames of 0.02 s, where the post-processor was tuned on 0.064 s" in err
