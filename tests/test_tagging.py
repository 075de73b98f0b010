"""Tagging F1 against scikit-learn, and its counts along every threshold against plain counting."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from cases import make_set, small_simulation
from hypothesis import given
from hypothesis import strategies as st
from rl_postproc.envs import TuningTask
from sklearn.metrics import f1_score

from rl_postproc.certify import CertificationError, certify
from rl_postproc.config import TaskConfig, build
from rl_postproc.count_steps import macro_quality, metric_steps, micro_gain
from rl_postproc.errors import UserError
from rl_postproc.formats.tags import score_set_of_tags
from rl_postproc.metrics import EventBased, Tagging, score_counts
from rl_postproc.stack import Stack, decode_events
from rl_postproc.sweep import count_decisions, sweep

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
        assert scored.micro_f1 == pytest.approx(micro, abs=1e-12)
        assert scored.class_f1.numpy()[known] == pytest.approx(per_class[known], abs=1e-12)
        assert scored.macro_f1 == pytest.approx(per_class[known].mean() if known.any() else 0.0, abs=1e-12)


def test_a_large_random_set_scores_as_scikit_learn():
    rng = np.random.default_rng(0)
    truth = rng.random((400, 30)) < rng.random(30) ** 3
    scores = torch.from_numpy(rng.random((400, 30), dtype=np.float32) * 0.6 + 0.4 * truth.astype(np.float32))
    thresholds = torch.from_numpy(rng.random(30, dtype=np.float32))
    tagged = score_set_of_tags(scores, torch.from_numpy(truth))
    decisions = Stack.from_config(THRESHOLD).decide(tagged, thresholds[:, None])
    hits, found = count_decisions(tagged, Tagging(), decisions)
    scored = score_counts(hits.sum(0), found.sum(0), torch.from_numpy(truth).sum(0))
    micro, per_class = sklearn_f1(truth, (scores > thresholds).numpy())
    assert scored.micro_f1 == pytest.approx(micro, abs=1e-12)
    assert scored.class_f1.numpy()[truth.any(0)] == pytest.approx(per_class[truth.any(0)], abs=1e-12)


def test_frame_scores_have_the_tags_of_their_decoded_events():
    scores = small_simulation(n_clips=12)
    stack = Stack.from_config([{"stage": "median", "kernel": [0.0, 0.5]}, *THRESHOLD])
    table = sweep(scores, stack, Tagging())
    wanted = scores.require_references().counts() > 0
    for candidate, values in enumerate(stack.space.values):
        found = decode_events(scores, stack.decide(scores, values)).counts() > 0
        hits, estimated = table.of_choice(torch.full((scores.n_classes,), candidate))
        assert torch.equal(hits, (found & wanted).long())
        assert torch.equal(estimated, found.long())


def test_several_reference_events_of_a_class_are_one_tag():
    scores = make_set(np.full((1, 1, 5), 0.8), [("c0", 0.0, 0.1, "k0"), ("c0", 0.3, 0.4, "k0")])
    table = sweep(scores, Stack.from_config(THRESHOLD), Tagging())
    assert table.reference.tolist() == [[1]]
    assert table.score(torch.tensor([3])).micro_f1 == 1.0


def test_silence_and_false_alarms_have_defined_scores():
    zeros, ones = torch.zeros(3, 2), torch.ones(3, 2)
    nothing = sweep(score_set_of_tags(zeros, zeros), Stack.from_config(THRESHOLD), Tagging())
    assert nothing.score(torch.zeros(2, dtype=torch.int64)).micro_f1 == 0.0
    alarms = sweep(score_set_of_tags(ones, zeros), Stack.from_config(THRESHOLD), Tagging())
    scored = alarms.score(torch.zeros(2, dtype=torch.int64))
    assert (scored.micro_f1, scored.macro_f1) == (0.0, 0.0)
    assert scored.class_f1.isnan().all()
    # Nothing lies above a threshold of 1.
    assert alarms.of_choice(torch.full((2,), len(GRID) - 1))[1].sum() == 0


@given(tag_cases(), st.floats(0, 1, width=32))
def test_counts_at_any_threshold_are_those_of_plain_comparison(case, threshold):
    scores, truth = case
    steps = metric_steps(Tagging(), score_set_of_tags(scores, truth), scores.flatten()[None, None])
    hits, found = steps.at(torch.full((scores.shape[1],), threshold))
    assert torch.equal(found, (scores > threshold).sum(0))
    assert torch.equal(hits, ((scores > threshold) & truth).sum(0))


def all_thresholds(scores: torch.Tensor) -> list[float]:
    """A threshold between all neighbouring scores, below all (but not below 0) and above all."""
    values = sorted({0.0, 1.0, *scores.flatten().tolist()})
    return [*values, *((a + b) / 2 for a, b in pairwise(values))]


@given(tag_cases())
def test_no_threshold_is_better_than_the_exact_ones(case):
    scores, truth = case
    steps = metric_steps(Tagging(), score_set_of_tags(scores, truth), scores.flatten()[None, None])
    best = steps.best(macro_quality(steps))
    for column in range(scores.shape[1]):
        x, y = scores[:, column].double(), truth[:, column]

        def quality(t: float, x: torch.Tensor = x, y: torch.Tensor = y) -> float:
            return 2 * int(((x > t) & y).sum()) / max(1, int((x > t).sum() + y.sum()))

        assert quality(best.threshold[column].item()) == max(
            quality(t) for t in all_thresholds(scores[:, column].double())
        )


@given(tag_cases(), st.sampled_from([0.0, 0.3, 0.7, 1.0]))
def test_the_choice_at_a_given_lambda_is_the_maximum(case, lam):
    scores, truth = case
    steps = metric_steps(Tagging(), score_set_of_tags(scores, truth), scores.flatten()[None, None])
    best = steps.best(micro_gain(lam))
    tried = torch.tensor(all_thresholds(scores))[:, None].expand(-1, scores.shape[1])
    hits, found = steps.at(tried)
    assert torch.equal(
        (2 * hits - lam * found.double()).amax(0), 2 * best.true_positives - lam * best.estimated.double()
    )
    assert torch.equal(torch.stack(steps.at(best.threshold)), torch.stack([best.true_positives, best.estimated]))


@pytest.mark.parametrize("metric", [EventBased(), Tagging()])
def test_steps_of_a_metric_on_frames_agree_with_decisions_at_any_threshold(metric):
    scores = small_simulation(n_clips=10)
    stack = Stack.from_config([{"stage": "median", "kernel": [0.0, 0.5]}, *THRESHOLD])
    x = scores.scores.flatten(0, 1).T.contiguous()
    filtered = stack.sweep(x, scores.n_frames.repeat_interleave(scores.n_classes), scores.hop, stack.filters)
    steps = metric_steps(metric, scores, filtered)
    for threshold in np.random.default_rng(0).random(20, dtype=np.float32):
        hits, found = (part.reshape(2, -1) for part in steps.at(torch.full((len(steps.knots),), float(threshold))))
        for i, kernel in enumerate((0.0, 0.5)):
            decisions = stack.decide(scores, torch.tensor([kernel, float(threshold)]))
            expected = count_decisions(scores, metric, decisions)
            assert torch.equal(hits[i], expected[0].sum(0))
            assert torch.equal(found[i], expected[1].sum(0))


def test_certified_tags_name_scikit_learn_and_a_wrong_count_is_refused():
    rng = np.random.default_rng(3)
    truth = torch.from_numpy(rng.random((20, 5)) < 0.4)
    tagged = score_set_of_tags(torch.from_numpy(rng.random((20, 5), dtype=np.float32)), truth)
    decisions = tagged.scores > 0.4
    events = decode_events(tagged, decisions)
    counts = torch.stack(count_decisions(tagged, Tagging(), decisions)).sum(1)
    report = certify(tagged.require_references(), events, Tagging(), counts)
    assert report.certified_by.startswith("scikit-learn ")
    micro, _ = sklearn_f1(truth.numpy(), decisions[..., 0].numpy())
    assert report.scored.micro_f1 == pytest.approx(micro, abs=1e-12)
    with pytest.raises(CertificationError):
        certify(tagged.require_references(), events, Tagging(), counts + 1)


def test_one_class_is_not_taken_for_a_binary_problem():
    tagged = score_set_of_tags(torch.tensor([[0.9], [0.1], [0.8]]), torch.tensor([[1], [0], [0]]))
    report = certify(tagged.require_references(), decode_events(tagged, tagged.scores > 0.5), Tagging())
    assert report.scored.micro_f1 == pytest.approx(2 / 3)


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
