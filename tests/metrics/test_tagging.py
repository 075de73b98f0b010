"""Tagging F1 against scikit-learn, and its counts along every threshold against plain counting."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from cases import decode_events, make_set, small_simulation
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from rl_postproc.config import TaskConfig
from rl_postproc.counts.grid import count_decisions, sweep
from rl_postproc.formats.scores.tags import score_set_of_tags
from rl_postproc.metrics import EventBased, Tagging, total_counts
from rl_postproc.metrics.certify import CertificationError, evaluate
from rl_postproc.pipeline.stack import Stack
from rl_postproc.task import TuningTask
from rl_postproc.utils.checked import build
from rl_postproc.utils.errors import UserError

GRID = [0.0, 0.1, 0.3, 0.5, 0.7, 1.0]
THRESHOLD = [{"stage": "threshold", "threshold": {"candidates": GRID, "default": 0.5}}]


@st.composite
def tag_cases(draw: st.DrawFn) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores and references of few clips and tags, with ties, zeros, ones, empty classes and empty clips."""
    clips, tags = draw(st.integers(1, 7)), draw(st.integers(1, 4))
    scores = draw(
        st.lists(
            st.sampled_from([0.0, 0.05, 0.1, 0.3, 0.31, 0.5, 0.9, 1.0]), min_size=clips * tags, max_size=clips * tags
        )
    )
    truth = draw(st.lists(st.booleans(), min_size=clips * tags, max_size=clips * tags))
    return torch.tensor(scores).reshape(clips, tags), torch.tensor(truth).reshape(clips, tags)


def sklearn_f1(truth: np.ndarray, tags: np.ndarray) -> tuple[float, np.ndarray]:
    """Micro F1 and F1 of each class; a column of zeros is added so that one class is not taken for a binary problem."""
    truth, tags = (np.pad(x.astype(int), ((0, 0), (0, 1))) for x in (truth, tags))
    return (
        f1_score(truth, tags, average="micro", zero_division=0),
        f1_score(truth, tags, average=None, zero_division=0)[:-1],
    )


@given(tag_cases())
def test_every_candidate_of_the_sweep_scores_as_scikit_learn(case):
    scores, truth = case
    table = sweep(score_set_of_tags(scores, truth), Stack.from_config(THRESHOLD), Tagging())
    for candidate, threshold in enumerate(table.space.values[:, 0]):
        micro, per_class = sklearn_f1(truth.numpy(), (scores > threshold).numpy())
        scored = table.score(torch.full((scores.shape[1],), candidate))
        known = truth.any(0).numpy()
        assert scored.micro == pytest.approx(micro, abs=1e-12)
        assert scored.by_class.numpy()[known] == pytest.approx(per_class[known], abs=1e-12)
        assert scored.macro == pytest.approx(per_class[known].mean() if known.any() else 0.0, abs=1e-12)


def test_a_large_random_set_scores_as_scikit_learn():
    rng = np.random.default_rng(0)
    truth = rng.random((400, 30)) < rng.random(30) ** 3
    scores = torch.from_numpy(rng.random((400, 30), dtype=np.float32) * 0.6 + 0.4 * truth.astype(np.float32))
    thresholds = torch.from_numpy(rng.random(30, dtype=np.float32))
    tagged = score_set_of_tags(scores, torch.from_numpy(truth))
    decisions = Stack.from_config(THRESHOLD).decide(tagged, thresholds[:, None])
    scored = Tagging().summarise(total_counts(count_decisions(tagged, Tagging(), decisions)))
    micro, per_class = sklearn_f1(truth, (scores > thresholds).numpy())
    assert scored.micro == pytest.approx(micro, abs=1e-12)
    assert scored.by_class.numpy()[truth.any(0)] == pytest.approx(per_class[truth.any(0)], abs=1e-12)


def test_frame_scores_have_the_tags_of_their_decoded_events():
    scores = small_simulation(n_clips=12)
    stack = Stack.from_config([{"stage": "median", "kernel": [0.0, 0.5]}, *THRESHOLD])
    table = sweep(scores, stack, Tagging())
    wanted = scores.require_references().counts() > 0
    for candidate, values in enumerate(stack.space.values):
        found = decode_events(scores, stack.decide(scores, values)).counts() > 0
        counts = table.of_choice(torch.full((scores.n_classes,), candidate))
        assert torch.equal(counts["true_positives"], (found & wanted).long())
        assert torch.equal(counts["estimated"], found.long())


def test_several_reference_events_of_a_class_are_one_tag():
    scores = make_set(np.full((1, 1, 5), 0.8), [("c0", 0.0, 0.1, "k0"), ("c0", 0.3, 0.4, "k0")])
    table = sweep(scores, Stack.from_config(THRESHOLD), Tagging())
    assert table.counts["reference"].tolist() == [[1]]
    assert table.score(torch.tensor([3])).micro == 1.0


def test_silence_and_false_alarms_have_defined_scores():
    zeros, ones = torch.zeros(3, 2), torch.ones(3, 2)
    nothing = sweep(score_set_of_tags(zeros, zeros), Stack.from_config(THRESHOLD), Tagging())
    assert nothing.score(torch.zeros(2, dtype=torch.int64)).micro == 0.0
    alarms = sweep(score_set_of_tags(ones, zeros), Stack.from_config(THRESHOLD), Tagging())
    scored = alarms.score(torch.zeros(2, dtype=torch.int64))
    assert (scored.micro, scored.macro) == (0.0, 0.0)
    assert scored.by_class.isnan().all()
    # Nothing lies above a threshold of 1.
    assert alarms.of_choice(torch.full((2,), len(GRID) - 1))["estimated"].sum() == 0


def test_certified_tags_name_scikit_learn_and_a_wrong_count_is_refused():
    rng = np.random.default_rng(3)
    truth = torch.from_numpy(rng.random((20, 5)) < 0.4)
    tagged = score_set_of_tags(torch.from_numpy(rng.random((20, 5), dtype=np.float32)), truth)
    decisions = tagged.scores > 0.4
    events = decode_events(tagged, decisions)
    counts = total_counts(count_decisions(tagged, Tagging(), decisions))
    report = evaluate(tagged.require_references(), events, Tagging(), counts)
    assert report.certified_by.startswith("scikit-learn ")
    micro, _ = sklearn_f1(truth.numpy(), decisions[..., 0].numpy())
    assert report.score.micro == pytest.approx(micro, abs=1e-12)
    with pytest.raises(CertificationError):
        evaluate(tagged.require_references(), events, Tagging(), {name: c + 1 for name, c in counts.items()})


def test_one_class_is_not_taken_for_a_binary_problem():
    tagged = score_set_of_tags(torch.tensor([[0.9], [0.1], [0.8]]), torch.tensor([[1], [0], [0]]))
    report = evaluate(tagged.require_references(), decode_events(tagged, tagged.scores > 0.5), Tagging())
    assert report.score.micro == pytest.approx(2 / 3)


def test_the_metric_is_chosen_by_name_and_survives_a_round_trip():
    config = build(TaskConfig, {"metric": {"metric": "tagging"}}, "here")
    assert config.metric == Tagging()
    assert build(TaskConfig, config.model_dump(mode="json"), "again").metric == Tagging()
    assert build(TaskConfig, {"metric": {"t_collar": 0.5}}, "here").metric == EventBased(t_collar=0.5)
    with pytest.raises(UserError, match="did you mean 'tagging'"):
        build(TaskConfig, {"metric": {"metric": "taging"}}, "here")
    with pytest.raises(UserError, match="did you mean 't_collar'"):
        build(TaskConfig, {"metric": {"t_colar": 0.5}}, "here")


def test_environments_play_on_tags():
    from rl_postproc.envs import PostProcessingEnv

    rng = np.random.default_rng(0)
    truth = torch.from_numpy(rng.random((9, 3)) < 0.5)
    tagged = score_set_of_tags(torch.from_numpy(rng.random((9, 3), dtype=np.float32)), truth)
    task = TuningTask.build(tagged, THRESHOLD, {"metric": "tagging"})
    env = PostProcessingEnv(task, reward="clip_f1")
    env.reset(seed=0)
    action = env.action_space.sample()
    _, _, _, _, info = env.step(action)
    found = tagged.scores[info["clip"], :, 0] > torch.tensor(GRID)[torch.from_numpy(action)]
    assert info["estimated"].tolist() == found.int().tolist()
    assert info["true_positives"].tolist() == (found & truth[info["clip"]]).int().tolist()
