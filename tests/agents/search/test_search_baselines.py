"""Search baselines and the published RL system: brute force, equal budgets, the same from the same seed."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from cases import small_simulation
from rl_postproc.agents import make_agent
from rl_postproc.agents.benchmark.config import BenchmarkConfig
from rl_postproc.agents.benchmark.run import run_benchmark
from rl_postproc.agents.rl.vpg_paper import VPGPaper
from rl_postproc.agents.search.trials import Trials

from rl_postproc.counts.grid import count_decisions
from rl_postproc.metrics import total_counts
from rl_postproc.pipeline.postprocessor import PostProcessor
from rl_postproc.task import TuningTask
from rl_postproc.utils.checked import build
from rl_postproc.utils.errors import UserError

STACK = [
    {"stage": "median", "kernel": [0.0, 0.3, 0.8]},
    {"stage": "threshold", "threshold": {"low": 0.1, "high": 0.9, "count": 9, "default": 0.5}},
]
SEARCHES = [
    {"agent": "random_search"},
    {"agent": "coordinate_ascent"},
    {"agent": "optuna_search", "sampler": "tpe"},
    {"agent": "optuna_search", "sampler": "cmaes"},
]


@pytest.fixture(scope="module")
def task() -> TuningTask:
    return TuningTask.build(small_simulation(n_clips=30), STACK)


def quality(task: TuningTask, fit, average: str = "macro") -> float:
    """F1 of a fit, by deciding and counting anew."""
    decisions = task.stack.decide(task.scores, fit.post_processor.choose(task.scores))
    scored = task.metric.summarise(total_counts(count_decisions(task.scores, task.metric, decisions)))
    return scored.macro if average == "macro" else scored.micro


def searcher(settings: dict, **more):
    if settings["agent"] == "optuna_search":
        pytest.importorskip("optuna")
        pytest.importorskip("cmaes")
    return make_agent({**settings, **more})


@pytest.mark.parametrize("settings", SEARCHES, ids=str)
@pytest.mark.parametrize("average", ["macro", "micro"])
def test_the_reported_f1_is_that_of_the_post_processor_and_never_falls(task, settings, average):
    fit = searcher(settings, trials=30, average=average).fit(task, 0)
    curve = [row[f"train_{average}_f1"] for row in fit.curve]
    assert curve == sorted(curve)
    assert quality(task, fit, average) == pytest.approx(curve[-1], abs=1e-12)
    assert (
        0
        < quality(task, fit, average)
        <= quality(task, make_agent({"agent": "exact_search", "selection": "maximum"}).fit(task, 0))
        + (average == "micro")
    )


@pytest.mark.parametrize("settings", SEARCHES, ids=str)
def test_budgets_are_equal_and_seeds_repeat(task, settings):
    fits = [searcher(settings, trials=40).fit(task, seed) for seed in (0, 0, 1)]
    assert {fit.evaluations for fit in fits} == {40 * task.scores.n_clips}
    values = [fit.post_processor.choose(task.scores) for fit in fits]
    assert torch.equal(values[0], values[1])
    assert fits[0].curve == fits[1].curve


@pytest.mark.parametrize("settings", SEARCHES, ids=str)
def test_no_search_beats_the_grid_and_a_long_one_comes_close(task, settings):
    best = quality(task, make_agent({"agent": "grid_search", "selection": "maximum"}).fit(task, 0))
    found = quality(task, searcher(settings, trials=150).fit(task, 0))
    assert found <= best + 1e-12
    assert found > best - 0.03


@pytest.mark.parametrize("average", ["macro", "micro"])
def test_random_search_keeps_the_best_of_its_draws(task, average):
    fit = make_agent({"agent": "random_search", "trials": 50, "average": average}).fit(task, 3)
    n_classes, table = task.scores.n_classes, task.table
    draws = torch.rand(50, 2 * n_classes, generator=torch.Generator().manual_seed(3))
    sizes = torch.tensor([3, 9] * n_classes)
    candidates = task.stack.space.candidate((draws * sizes).long().reshape(50, n_classes, 2))
    if average == "micro":
        best = max(table.score(choice).micro for choice in candidates)
    else:
        scores = torch.stack([table.score(choice).by_class for choice in candidates])
        best = float(scores.amax(0).nanmean())
    assert quality(task, fit, average) == pytest.approx(best, abs=1e-12)


def test_coordinate_ascent_ends_where_no_single_change_helps(task):
    agent = make_agent({"agent": "coordinate_ascent", "trials": 10**4, "average": "micro"})
    fit = agent.fit(task, 0)
    table, space = task.table, task.stack.space
    values = fit.post_processor.choose(task.scores)
    chosen = (space.values[:, None] == values).all(-1).byte().argmax(0)
    reached = table.score(chosen).micro
    for c in range(task.scores.n_classes):
        for candidate in range(space.n_candidates):
            if int((space.values[candidate] != space.values[chosen[c]]).sum()) == 1:
                moved = chosen.clone()
                moved[c] = candidate
                assert table.score(moved).micro <= reached + 1e-12


def test_coordinate_ascent_spends_one_trial_on_one_value_of_all_classes(task):
    fit = make_agent({"agent": "coordinate_ascent", "trials": 3}).fit(task, 0)
    # The first coordinate is the kernel with 3 values; the threshold stays at its default.
    table, space = task.table, task.stack.space
    at_default = [
        int((space.values == torch.tensor([k, 0.5])).all(1).nonzero()) for k in space.parameters[0].candidates
    ]
    best = torch.stack([table.score(torch.full((table.n_classes,), i)).by_class for i in at_default]).amax(0).nanmean()
    assert quality(task, fit) == pytest.approx(float(best), abs=1e-12)


def test_parameters_of_global_scope_stay_equal():
    stack = [{"stage": "median", "kernel": {"candidates": [0.0, 0.3, 0.8], "scope": "global"}}, STACK[1]]
    task = TuningTask.build(small_simulation(n_clips=20), stack)
    assert not Trials(task, "macro").separate
    for settings in SEARCHES:
        values = searcher(settings, trials=15).fit(task, 0).post_processor.choose(task.scores)
        assert len(values[:, 0].unique()) == 1


def test_one_parameter_a_class_is_searched_by_cma_es_in_one_study():
    task = TuningTask.build(small_simulation(n_clips=20), STACK[1:])
    fit = searcher(SEARCHES[3], trials=40).fit(task, 0)
    assert quality(task, fit) > 0


@pytest.mark.parametrize(("sampler", "missing"), [("tpe", "optuna"), ("cmaes", "cmaes")])
def test_a_missing_extra_is_named_before_any_work(monkeypatch, sampler, missing):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == missing else real(name, *rest))
    with pytest.raises(UserError, match=rf"{missing} is not installed; run `pip install rl-postproc\[search\]`"):
        make_agent({"agent": "optuna_search", "sampler": sampler})


def test_vpg_paper_repeats_from_its_seed_and_survives_saving(task, tmp_path):
    agent = make_agent({"agent": "vpg_paper", "passes": 8, "windows": [3, 5, 9]})
    fits = [agent.fit(task, seed) for seed in (0, 0, 1)]
    values = [fit.post_processor.choose(task.scores) for fit in fits]
    assert torch.equal(values[0], values[1])
    assert not torch.equal(values[0], values[2])
    assert values[0].shape == (task.scores.n_clips, task.scores.n_classes, 2)
    assert fits[0].evaluations == 8 * task.scores.n_clips
    fits[0].post_processor.save(tmp_path)
    assert torch.equal(PostProcessor.load(tmp_path).choose(task.scores), values[0])


def test_vpg_paper_counts_every_pass_as_the_environment_does(task, monkeypatch):
    agent, seen = VPGPaper(passes=4), []
    real = VPGPaper._play

    def play(self, engine, actions):
        found = real(self, engine, actions)
        seen.append((actions, *found))
        return found

    monkeypatch.setattr(VPGPaper, "_play", play)
    agent.fit(task, 0)
    actions, clips, reward, macro = seen[0]
    for k in range(4):
        assert sorted(clips[:, k].tolist()) == list(range(task.scores.n_clips))
        choice = task.stack.space.of_actions(actions[k], task.scores.n_classes)
        assert float(macro[k]) == pytest.approx(task.table.score(choice).macro, abs=1e-6)
        assert float(reward[k]) == pytest.approx(task.scores.n_clips * float(macro[k]), rel=1e-5)
    assert len({tuple(clips[:, k].tolist()) for k in range(4)}) > 1


def test_vpg_paper_makes_the_better_pass_likelier(task):
    agent = VPGPaper(batch=2, discount=1.0, entropy=0.0)
    kernels, _ = agent._kernels(task)
    torch.manual_seed(0)
    from rl_postproc.agents.rl.vpg_paper import PassNetwork

    network = PassNetwork(task.scores.n_classes, len(kernels), 8)
    mask, n = task.scores.valid.float(), task.scores.n_clips
    window = torch.stack([torch.zeros(n, task.scores.n_classes), torch.ones(n, task.scores.n_classes)]).long()
    threshold = torch.full(window.shape, 0.5)
    clips = torch.arange(n)[:, None].expand(-1, 2)

    def step() -> torch.Tensor:
        logits, means = network(task.scores.scores, mask)
        reward = torch.tensor([1.0, 2.0])
        agent._loss(network, logits, means, window, threshold, clips, reward).backward()
        return logits.log_softmax(-1)[..., 1].mean()

    before = step()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter -= 1e-2 * parameter.grad
    logits, _ = network(task.scores.scores, mask)
    assert logits.log_softmax(-1)[..., 1].mean() > before


def test_an_evaluation_set_and_published_figures_in_a_benchmark(tmp_path: Path):
    rng = np.random.default_rng(0)
    for name, n in (("train", 40), ("held", 25)):
        truth = rng.random((n, 3)) < 0.4
        np.save(tmp_path / f"{name}_truth.npy", truth.astype(np.float32))
        scores = (0.3 + 0.3 * truth + 0.2 * rng.standard_normal((n, 3))).clip(0, 1)
        np.save(tmp_path / f"{name}.npy", scores.astype(np.float32))
    values = {
        "data": {"scores": str(tmp_path / "train.npy"), "references": str(tmp_path / "train_truth.npy")},
        "evaluation": {"scores": str(tmp_path / "held.npy"), "references": str(tmp_path / "held_truth.npy")},
        "stack": STACK[1:],
        "metric": {"metric": "tagging"},
        "agents": ["default", {"agent": "exact_search", "average": "micro", "selection": "maximum"}],
        "published": {"source": "a paper", "figures": {"default": [50.0, 40.0]}},
    }
    config = build(BenchmarkConfig, values, "here")
    results = run_benchmark(config, config.load_data(), tmp_path / "out", lambda *_: None)
    rows = {row["agent"]: row for row in results["rows"]}
    from sklearn.metrics import f1_score

    for part, key in (("held", "micro_f1"), ("train", "train_micro_f1")):
        truth, tags = np.load(tmp_path / f"{part}_truth.npy"), np.load(tmp_path / f"{part}.npy") > np.float32(0.5)
        assert rows["default"][key] == pytest.approx(f1_score(truth, tags, average="micro"), abs=1e-12)
    assert rows["exact_search"]["train_micro_f1"] >= rows["default"]["train_micro_f1"]
    assert json.loads((tmp_path / "out" / "results.json").read_text())["n_evaluation_clips"] == 25
    from rl_postproc.results.tables import published_table

    table = published_table(results)
    assert list(table.columns[1].cells) == ["50.0 (40.0)", ""]
