"""Event-additive policies: their arithmetic against brute force, their optimum, and the tasks they refuse."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from cases import make_set, small_simulation
from event_agents import AGENTS, agent, random_actor, small_task
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from rl_postproc.agents.events.actor import EventActor, initial_policy
from rl_postproc.agents.events.event_value import EventValue
from rl_postproc.agents.events.exact_gradient import expected_counts
from rl_postproc.agents.events.fit_value import counts_of_chosen, fit_value, fixed_point
from rl_postproc.agents.events.policy import EventAdditive, best_candidates
from rl_postproc.agents.events.set_policy import EventSetPolicy

from rl_postproc.candidates.features import FeatureGrid
from rl_postproc.counts.table import CountTable
from rl_postproc.metrics import EventBased, Macro, total_counts
from rl_postproc.metrics.certify import evaluate
from rl_postproc.metrics.f1 import DETECTION
from rl_postproc.pipeline.policy import Constant
from rl_postproc.pipeline.stack import Stack
from rl_postproc.task import TuningTask
from rl_postproc.utils.errors import UserError


@pytest.fixture(scope="module")
def task() -> TuningTask:
    return small_task()


def test_logits_of_a_batch_are_sums_over_the_events_of_each_candidate(task: TuningTask) -> None:
    actor, events = random_actor(task), task.decoded
    values = actor.network(actor.features, actor.label) + actor.base
    expected = torch.zeros(events.n_tracks, events.n_candidates)
    for candidate in range(events.n_candidates):
        chosen = events.of_candidates(torch.full((events.n_tracks,), candidate))
        expected[:, candidate] = torch.zeros(events.n_tracks).index_add(0, events.track[chosen], values[chosen]) / 0.5
    tracks = torch.randint(events.n_tracks, (200,), generator=torch.Generator().manual_seed(1))
    assert torch.allclose(actor.logits(tracks), expected[tracks], atol=1e-4)
    assert expected.std() > 0.5
    everything = torch.arange(events.n_tracks)
    best = best_candidates(events, values)
    assert torch.allclose(expected.gather(1, best[:, None])[:, 0], expected[everything].amax(1), atol=1e-4)


def test_expected_counts_are_what_sampling_gives_on_average(task: TuningTask) -> None:
    actor = random_actor(task)
    tp, estimated = task.table.counts["true_positives"].flatten(0, 1), task.table.counts["estimated"].flatten(0, 1)
    tracks = torch.arange(task.decoded.n_tracks)
    pi = actor.logits(tracks).softmax(-1)
    n, moving = 4000, 0
    drawn = torch.multinomial(pi, n, replacement=True, generator=torch.Generator().manual_seed(0))
    for counts in (tp, estimated):
        exact = expected_counts(pi, counts.float())
        sampled = counts.float().gather(1, drawn)
        error = (sampled.mean(1) - exact).abs()
        spread = sampled.std(1) / n**0.5
        assert bool((error <= 6 * spread + 1e-3).all())
        moving += int((spread > 0).sum())
    assert moving > 20


def test_the_exact_gradient_agent_climbs_the_expected_f1(task: TuningTask) -> None:
    fit = agent("exact", start="nothing", epochs=20, learning_rate=1e-2, members=1, dropout=0.0).fit(task, 0)
    figures = [row["expected_macro_f1"] for row in fit.curve]
    assert figures[-1] > figures[0] + 0.05


tables = st.tuples(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(1, 3), st.integers(1, 5))


@given(tables)
@settings(max_examples=200)
def test_the_optimum_of_the_linearised_reward_is_the_optimum_of_f1(case: tuple[int, int, int, int]) -> None:
    seed, n_clips, n_classes, n_candidates = case
    rng = np.random.default_rng(seed)
    reference = rng.integers(0, 3, (n_clips, n_classes))
    estimated = rng.integers(0, 4, (n_clips, n_classes, n_candidates))
    tp = rng.integers(0, np.minimum(reference[..., None], estimated) + 1)
    assume(reference.sum() > 0)
    grid = [float(v) for v in np.linspace(0.1, 0.9, n_candidates)]
    space = Stack.from_config([{"stage": "threshold", "threshold": grid}]).space
    counts = dict(zip(DETECTION, (torch.from_numpy(x) for x in (tp, estimated, reference)), strict=True))
    table = CountTable({n: x.int() if n != "reference" else x for n, x in counts.items()}, EventBased(), space)
    point, reached = table.linearise(Macro(), table.best_per_class(Macro())), -1.0
    for _ in range(30):
        rewards = point.scale[:, None] * (2 * table.counts["true_positives"] - point.lam[:, None] * (
            table.counts["estimated"] + table.counts["reference"][..., None]))  # fmt: skip
        choice = rewards.argmax(-1)
        chosen = table.of_choice(choice)
        assert torch.allclose(
            point.reward(torch.stack([chosen[name] for name in DETECTION], -2)),
            rewards.gather(-1, choice[..., None])[..., 0],
        )
        reached = table.score(choice).macro
        point = table.linearise(Macro(), choice)
    assert reached == pytest.approx(best_of_all_choices(table), abs=1e-6)


def best_of_all_choices(table: CountTable) -> float:
    """Macro F1 of the best choice of one candidate for every clip and class, by trying all of them."""
    scores = []
    every = torch.tensor(list(itertools.product(range(table.space.n_candidates), repeat=table.n_clips)))
    clips = torch.arange(table.n_clips)
    for label in range(table.n_classes):
        total = int(table.counts["reference"][:, label].sum())
        if total:
            tp, estimated = (
                x[clips, label, every].sum(1) for x in (table.counts["true_positives"], table.counts["estimated"])
            )
            scores.append(float((2 * tp / (estimated + total)).max()))
    return float(np.mean(scores))


@given(st.integers(0, 2**32 - 1), st.integers(1, 3))
@settings(max_examples=60)
def test_with_perfect_values_the_fixed_point_is_the_optimum_over_all_choices(seed: int, n_clips: int) -> None:
    rng = np.random.default_rng(seed)
    x = np.repeat(rng.random((n_clips, 2, 10)).round(1), rng.integers(2, 5), axis=2)
    hop, n = 0.1, x.shape[2]
    rows = []
    for clip, label in itertools.product(range(n_clips), range(2)):
        cuts = np.sort(rng.choice(np.arange(n + 1), 2 * rng.integers(0, 3), replace=False)) * hop
        rows += [(f"c{clip}", on, off, f"k{label}") for on, off in cuts.reshape(-1, 2).tolist()]
    stack = Stack.from_config([
        {"stage": "median", "kernel": [0, 0.5]}, {"stage": "threshold", "threshold": [0.15, 0.35, 0.55, 0.75]},
    ])  # fmt: skip
    task = TuningTask.build(make_set(x, rows, hop=hop), stack)
    prepared = task.metric.prepare(task.scores)
    assert prepared is not None
    perfect = prepared.matches(task.decoded.track, task.decoded.first, task.decoded.last).float()
    # Two events of one candidate may compete for one reference; then the sum of matches is not the true positives.
    hits = task.decoded.sum_over_candidates(perfect).reshape(task.table.counts["true_positives"].shape)
    assume(bool(rows) and torch.equal(hits, task.table.counts["true_positives"].float()))
    lam, counts = fixed_point(task, task.decoded, perfect)
    scored = task.metric.summarise(total_counts(counts))
    assert scored.macro == pytest.approx(best_of_all_choices(task.table), abs=1e-6)
    assert torch.allclose(lam.double(), scored.by_class.nan_to_num(0.0), atol=1e-3)


def test_with_perfect_values_a_set_of_events_has_no_false_alarm_and_beats_every_choice_of_candidates() -> None:
    gains = []
    for seed in range(6):
        task = small_task(4, seed)
        prepared = task.metric.prepare(task.scores)
        assert prepared is not None
        perfect = prepared.matches(task.decoded.track, task.decoded.first, task.decoded.last).float()
        totals = total_counts(fixed_point(task, task.decoded, perfect, "events")[1])
        # Two of them may compete for one reference, and then one is none.
        assert int((totals["estimated"] - totals["true_positives"]).sum()) <= 2
        gains.append(task.metric.summarise(totals).macro - best_of_all_choices(task.table))
    assert min(gains) > -1e-6 and max(gains) > 0.01


def test_the_set_policy_scores_held_out_clips_as_its_agent_does_inside(task: TuningTask) -> None:
    fit = agent("set").fit(task, 0)
    policy = fit.post_processor.policy
    assert isinstance(policy, EventSetPolicy) and isinstance(policy.judge, EventAdditive) and policy.lam is not None
    events = fit.post_processor.apply(task.scores)
    values = policy.judge.event_values(task.scores, task.decoded)
    counts = counts_of_chosen(task, task.decoded, values, "events")
    scored = evaluate(task.scores.require_references(), events, task.metric).score
    assert scored.macro == pytest.approx(task.metric.summarise(total_counts(counts)).macro, abs=1e-12)
    # Confidences are P(match); only events whose 2p exceeds their class's are chosen, and none of them overlap.
    assert bool((2 * events.confidence > policy.lam[events.label] - 1e-6).all())
    same = (events.clip[1:] == events.clip[:-1]) & (events.label[1:] == events.label[:-1])
    assert bool((events.onset[1:] >= events.offset[:-1] - 1e-9)[same].all())
    with pytest.raises(UserError, match="chooses events, not parameter values"):
        fit.post_processor.choose(task.scores)


def test_constants_are_kept_where_inner_validation_prefers_them() -> None:
    outcomes = set()
    for n_clips, seed in ((14, 0), (14, 1), (40, 0), (60, 1)):
        task = small_task(n_clips, seed)
        value = fit_value(task, EventValue.model_validate(AGENTS["boosted"]), 0)
        wins = value.inner < value.constants
        outcomes.add(wins)
        for name in ("boosted", "exact", "features_on_values"):
            policy = agent(name, fallback=True).fit(task, 0).post_processor.policy
            assert isinstance(policy, Constant) is wins
            if isinstance(policy, Constant):
                assert torch.equal(policy.values, task.stack.space.values[task.best_constants])
            assert isinstance(agent(name).fit(task, 0).post_processor.policy, EventAdditive)
    assert outcomes == {True, False}


def test_the_value_function_starts_the_policy_at_its_own_argmax(task: TuningTask) -> None:
    value = EventValue.model_validate(AGENTS["boosted"])
    initial = initial_policy(value, task, "value", value, 0)
    actor = EventActor(task, initial.values, 8, 0.3)
    found = fit_value(task, value, 0)
    own = best_candidates(task.decoded, actor.network(actor.features, actor.label).detach() + actor.base)
    assert task.table.score(own.reshape(task.scores.n_clips, -1)).macro == pytest.approx(found.inner, abs=0.02)


def test_starting_at_the_best_constants_chooses_them(task: TuningTask) -> None:
    initial = initial_policy(EventValue(), task, "best_constants", EventValue(), 0)
    actor = EventActor(task, initial.values, 8, 0.3)
    policy = EventAdditive(actor.value_function(initial.value_function), FeatureGrid(task.scores.hop))
    chosen = policy.choose(task.scores, task.stack)
    counts = task.table.of_choice(task.stack.space.candidate(
        torch.stack([torch.searchsorted(torch.tensor(p.candidates), chosen[..., i].contiguous())
                     for i, p in enumerate(task.stack.space.parameters)], -1)
    ))  # fmt: skip
    expected = task.table.of_choice(task.best_constants)
    assert all(torch.equal(counts[name], expected[name]) for name in DETECTION)


EVENT_AGENTS = ("boosted", "network", "exact", "events", "features", "features_from_constants")


@pytest.mark.parametrize("name", EVENT_AGENTS)
def test_tasks_without_event_boundaries_are_refused_in_one_sentence(name: str) -> None:
    scores = small_simulation(12, 2)
    with pytest.raises(UserError, match=r"metric 'tagging'.*use the metric event_based"):
        agent(name).fit(TuningTask.build(scores, metric={"metric": "tagging"}), 0)
    tags = make_set(torch.rand(12, 2, 1), [("c0", 0.0, 0.1, "k0")])
    with pytest.raises(UserError, match=r"clips have one frame each"):
        agent(name).fit(TuningTask.build(tags), 0)
    silent = make_set(torch.zeros(12, 2, 20), [("c0", 0.0, 0.1, "k0")])
    with pytest.raises(UserError, match=r"No candidate .* decodes any event"):
        agent(name).fit(TuningTask.build(silent), 0)


@pytest.mark.parametrize("name", ["boosted", "network", "exact", "events", "features"])
def test_a_task_of_which_no_event_matches_still_gives_a_policy(name: str) -> None:
    x = torch.rand(8, 2, 30, generator=torch.Generator().manual_seed(0))
    task = TuningTask.build(make_set(x, [("c0", 0.0, 30.0, "k0")], durations=[3.0] * 8))
    values = agent(name).fit(task, 0).post_processor.choose(task.scores)
    assert int(task.table.of_choice(task.best_constants)["true_positives"].sum()) == 0
    assert task.table.score(task.best_constants).macro == 0 and bool(values.isfinite().all())


def test_too_few_clips_for_inner_folds_are_refused() -> None:
    with pytest.raises(UserError, match="at least two clips"):
        agent("boosted").fit(small_task(1), 0)
