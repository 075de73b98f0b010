"""What labels make of trained values: the formulas, and the two ends between which λ moves."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from artefact_cases import every_kind
from event_agents import small_task
from rl_postproc.agents.base import silent
from rl_postproc.agents.events.fit_value import counts_of_chosen
from rl_postproc.agents.parts import Parts
from rl_postproc.agents.universal import start
from rl_postproc.agents.universal.adapt import Adapted, Adapting, adapted, on_start
from rl_postproc.agents.universal.adapted_values import AdaptedValues
from rl_postproc.agents.universal.make import RealSource, SimulatedSources
from rl_postproc.agents.universal.operating_point import Wish
from rl_postproc.agents.universal.policy import UniversalPolicy
from rl_postproc.agents.universal.start import MadeAnew, loaded_start, made_anew

from rl_postproc.config import DataConfig
from rl_postproc.data.scores import ScoreSet
from rl_postproc.metrics.base import floating
from rl_postproc.simulation.config import SimulationConfig
from rl_postproc.simulation.data_set import simulate
from rl_postproc.task import TuningTask


@pytest.fixture(scope="module")
def task() -> TuningTask:
    return TuningTask.build(simulate(SimulationConfig(n_clips=30, n_classes=4, seed=321)))


@pytest.fixture(scope="module")
def shipped() -> UniversalPolicy:
    return loaded_start("universal")


def fit(shipped: UniversalPolicy, task: TuningTask, **settings: float) -> Adapted:
    return adapted(shipped, task, Adapting(**settings), True, 0, silent, Parts())  # pyright: ignore[reportArgumentType]


def test_without_values_of_its_own_it_is_the_recalibrated_start(shipped: UniversalPolicy, task: TuningTask) -> None:
    found = fit(shipped, task, own_values_from=1000)
    own = on_start(task, shipped)
    label = own.decoded.track % 4
    trained = torch.logit(shipped.probabilities(own.event_features).double(), 1e-6)
    expected = torch.sigmoid(found.values.gain * trained + found.values.shift[label])
    torch.testing.assert_close(found.probability.double(), expected, atol=1e-6, rtol=0)
    assert found.values.gain != 1 and bool((found.values.shift != 0).all())
    values = found.values.values(own.decoded, own.event_features, label)
    torch.testing.assert_close(values.double(), 2 * expected - found.lam[label], atol=1e-5, rtol=0)


def test_logits_of_both_models_are_averaged_by_their_share() -> None:
    task = small_task(16)
    mixed = every_kind(task)["adapted"].policy.value_function  # pyright: ignore[reportAttributeAccessIssue]
    assert isinstance(mixed, AdaptedValues) and mixed.own is not None and mixed.share == 0.5
    features, label = task.event_features, task.decoded.track % 3
    both = mixed.trained.probabilities(features, torch.zeros_like(label)), mixed.own.probabilities(features, label)
    logits = [torch.logit(p.double(), 1e-6) for p in both]
    expected = torch.sigmoid(0.5 * (mixed.gain * logits[0] + mixed.shift[label]) + 0.5 * logits[1])
    torch.testing.assert_close(mixed.probabilities(features, label).double(), expected, atol=1e-6, rtol=0)
    assert float((expected - torch.sigmoid(logits[0])).abs().max()) > 0.01


@pytest.mark.parametrize("own_values_from", [5, 1000])
def test_lam_moves_from_what_scores_promise_to_what_labels_reach(
    own_values_from: int, shipped: UniversalPolicy, task: TuningTask
) -> None:
    own = on_start(task, shipped)
    label, settings = own.decoded.track % 4, {"own_values_from": own_values_from}
    few = fit(shipped, task, references_for_lam=1e9, **settings)
    hours = float(task.scores.durations.sum()) / 3600
    promised = shipped.point.lam(own.decoded, few.probability, 4, hours, Wish())
    torch.testing.assert_close(few.lam.double(), promised, atol=1e-4, rtol=0)
    many = fit(shipped, task, references_for_lam=1e-9, **settings)
    counts = counts_of_chosen(own, own.decoded, 2 * many.probability - many.lam[label], "events")
    reached = task.metric.score(floating({name: x.sum(0) for name, x in counts.items()}))
    torch.testing.assert_close(many.lam.double(), reached, atol=5e-3, rtol=0)
    n = task.scores.require_references().counts().sum(0)
    half = fit(shipped, task, references_for_lam=float(n[2]), **settings)
    assert float(half.lam[2]) == pytest.approx(float(few.lam[2] + many.lam[2]) / 2, abs=1e-4)


def test_events_in_one_inner_fold_alone_give_no_values_of_their_own(shipped: UniversalPolicy, task: TuningTask) -> None:
    five = task.scores.select(torch.arange(5))
    silence = five.scores.clone()
    silence[1:] = 0.0
    references = five.require_references().select(torch.arange(5))
    quiet = ScoreSet.build(silence, five.edges, five.clip_ids, five.classes, five.n_frames, five.durations, references)
    found = fit(shipped, TuningTask.build(quiet))
    assert found.share == 0 and len(found.probability) > 0
    assert len(fit(shipped, TuningTask.build(ScoreSet.build(0 * silence, five.edges, five.clip_ids, five.classes,
               five.n_frames, five.durations, references))).probability) == 0  # fmt: skip


def test_classes_are_left_out_of_real_sources_alone(task: TuningTask, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    real = start.training_sets

    def watched(recipe: Any, scores: Any, without: Any, report: Any) -> Any:
        asked.append(without)
        return real(recipe, scores, without, report)

    monkeypatch.setattr(start, "training_sets", watched)
    source = RealSource(
        data=DataConfig(simulated=SimulationConfig(n_clips=30, n_classes=4, seed=5)), copies=1, clips=20
    )
    small = {
        "simulated": SimulatedSources(detectors=2, clips=15),
        "rounds": 5,
        "leaves": 7,
        "class_groups": 2,
        "seed": 9,
    }
    without = [("class_00", "class_02"), ("class_01", "class_03")]
    for group in without:
        made_anew(MadeAnew(real=[source], **small), task, group, silent)
    for group in without:
        made_anew(MadeAnew(**small), task, group, silent)
    assert asked == [*without, ()]
    # What learns from the clips of the task is made anew for other clips, and taken up for the same.
    own = MadeAnew(**small, own_clips=True)
    half = task.select(torch.arange(15))
    found = [made_anew(own, on, (), silent) for on in (task, half, task)]
    assert found[0] is found[2] and asked == [*without, (), ()]
    assert found[0].trees.leaf_value.tolist() != found[1].trees.leaf_value.tolist()


def test_hardly_any_events_give_no_values_of_their_own(shipped: UniversalPolicy, task: TuningTask) -> None:
    five = task.scores.select(torch.arange(5))
    values = torch.zeros_like(five.scores)
    values[:4, 0, 10:14] = 0.9
    few = ScoreSet.build(
        values, five.edges, five.clip_ids, five.classes, five.n_frames, five.durations, five.references
    )
    found = fit(shipped, TuningTask.build(few))
    assert found.share == 0 and 4 <= len(found.probability) < 100
