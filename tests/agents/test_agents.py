"""Agents: each fits, is reproducible and keeps its task as it was; the exact ones against trying everything."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from cases import decode_events, sed_eval_totals, small_simulation
from event_agents import files_of
from rl_postproc.agents import Agent, make_agent

from rl_postproc.formats import read_scores, write_scores
from rl_postproc.metrics.certify import evaluate
from rl_postproc.pipeline.policy import Constant
from rl_postproc.pipeline.postprocessor import PostProcessor
from rl_postproc.pipeline.stack import Stack
from rl_postproc.task import TuningTask
from rl_postproc.utils.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
STACK = Stack.from_config([
    {"stage": "median", "kernel": [0, 0.3, 0.9]}, {"stage": "threshold", "threshold": [0.1, 0.3, 0.5, 0.7, 0.9]},
])  # fmt: skip
QUICK = {
    "trials": 5, "rounds": 3, "epochs": 2, "iterations": 3, "passes": 2, "inner_folds": 2, "leaves": 4,
    "rollouts": 2, "visits": 4, "batch_size": 64, "hidden": 8, "channels": 4,
}  # fmt: skip
"""Small values of the settings that make an agent slow."""


OWN = [name for name, kind in Agent.types().items() if kind.__module__.startswith("rl_postproc.")]
"""The agents of the package; other tests define some of their own."""
NAMES = sorted(set(OWN) - {"ray_tune"})  # which starts Ray; it has tests of its own


@pytest.fixture(scope="module")
def task() -> TuningTask:
    return TuningTask.build(small_simulation(16, 3, short=0.5), STACK)


def on_own_stack(name: str, task: TuningTask) -> TuningTask:
    """Returns the task on the default stack for the agent that takes no other."""
    return TuningTask.build(task.scores) if name == "universal" else task


def quick(name: str, **settings: Any) -> Agent:
    """Builds an agent with small settings."""
    fields = Agent.types()[name].model_fields
    values: dict[str, Any] = {key: value for key, value in QUICK.items() if key in fields}
    if "value" in fields:
        inner = Agent.types()["event_value"].model_fields
        values["value"] = {"agent": "event_value", **{key: value for key, value in QUICK.items() if key in inner}}
    return make_agent({"agent": name, **values, **settings})


def fit_or_skip(agent: Agent, task: TuningTask, seed: int = 0, **arguments: Any) -> Any:
    """Fits, or skips the test where the agent's optional packages are missing."""
    try:
        return agent.fit(task, seed, **arguments)
    except UserError as error:
        if "install" in str(error):
            pytest.skip(str(error))
        raise


def test_the_promised_agents_exist() -> None:
    assert {"default", "grid_search", "sgl_thresh", "ppo"} <= set(Agent.types())
    for name in NAMES:
        assert Agent.types()[name].summary()
        assert make_agent(name).agent == name


@pytest.mark.parametrize("name", NAMES)
def test_every_agent_fits_and_its_events_are_certified(task: TuningTask, name: str, tmp_path: Path) -> None:
    task, told = on_own_stack(name, task), []
    fit = fit_or_skip(quick(name), task, report=lambda fraction, figures: told.append(fraction))
    assert all(0 <= fraction <= 1 + 1e-9 for fraction in told)
    assert told == sorted(told)
    assert fit.evaluations >= 0
    events = fit.post_processor.apply(task.scores)
    report = evaluate(task.scores.require_references(), events, task.metric)
    assert report.certified_by.startswith("sed_eval")
    assert events.clip_ids == task.scores.clip_ids
    fit.post_processor.save(tmp_path)
    assert PostProcessor.load(tmp_path).apply(task.scores).to_rows() == events.to_rows()
    json.dumps(fit.curve, allow_nan=False)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_bytes_and_the_task_stays_as_it_was(
    task: TuningTask, name: str, tmp_path: Path
) -> None:
    task = on_own_stack(name, task)
    scores, linearisation = task.scores.scores.clone(), task.linearisation.lam.clone()
    files = []
    for i in range(2):
        torch.manual_seed(i)
        fit = fit_or_skip(quick(name), task, seed=3)
        files.append(files_of(fit.post_processor, tmp_path / str(i)))
        assert torch.equal(task.scores.scores, scores)
        assert torch.equal(task.linearisation.lam, linearisation)
    assert files[0] == files[1]


def test_the_default_is_threshold_one_half_without_a_filter(task: TuningTask) -> None:
    stack = Stack.default()
    processor = make_agent("default").fit(TuningTask.build(task.scores, stack), 0).post_processor
    expected = decode_events(task.scores, task.scores.scores > 0.5)
    assert processor.apply(task.scores).to_rows() == expected.to_rows()


def macro_f1(task: TuningTask, values: torch.Tensor) -> float:
    """Scores constant parameter values by sed_eval."""
    events = decode_events(task.scores, task.stack.decide(task.scores, values))
    tp, estimated, reference = sed_eval_totals(task.scores.require_references(), events, task.metric)
    scores = [2 * t / (e + r) for t, e, r in zip(tp, estimated, reference, strict=True) if r]
    return sum(scores) / len(scores)


def test_grid_search_is_as_good_as_the_best_of_all_constants(task: TuningTask) -> None:
    task = TuningTask.build(
        task.scores.select(range(8)),
        [{"stage": "median", "kernel": [0, 0.3]}, {"stage": "threshold", "threshold": [0.3, 0.7]}],
    )
    every = task.stack.space.values
    best = max(macro_f1(task, every[list(choice)]) for choice in itertools.product(range(4), repeat=3))
    fit = make_agent({"agent": "grid_search", "selection": "maximum"}).fit(task, 0)
    assert macro_f1(task, fit.post_processor.choose(task.scores)) == pytest.approx(best)
    assert fit.evaluations == 4 * 8
    shared = make_agent({"agent": "grid_search", "scope": "global", "selection": "maximum"}).fit(task, 0)
    assert macro_f1(task, shared.post_processor.choose(task.scores)) == pytest.approx(
        max(macro_f1(task, v) for v in every)
    )
    assert shared.post_processor.choose(task.scores).unique(dim=0).shape[0] == 1


def test_no_agent_with_constants_from_the_grid_beats_grid_search_on_its_own_clips(task: TuningTask) -> None:
    best = macro_f1(
        task,
        make_agent({"agent": "grid_search", "selection": "maximum"}).fit(task, 0).post_processor.choose(task.scores),
    )
    compared = 0
    for name in NAMES:
        try:
            processor = quick(name).fit(task, 0).post_processor
        except UserError:
            continue
        if not isinstance(processor.policy, Constant):
            continue
        values = processor.choose(task.scores)
        if bool((values[:, None] == task.stack.space.values).all(-1).any(-1).all()):
            compared += 1
            assert macro_f1(task, values) <= best + 1e-12, name
    assert compared >= 2


def test_the_surrogate_gradient_is_the_published_formula() -> None:
    from rl_postproc.agents.thresholds.surrogate import SurrogateCounts

    generator = torch.Generator().manual_seed(0)
    x = torch.rand(3, 40, generator=generator)
    weight = torch.randint(0, 2, (2, 3, 40), generator=generator).float()
    t = torch.tensor([0.3, 0.5, 0.45], requires_grad=True)
    sigma = torch.tensor([50.0, 20.0, 5.0], requires_grad=True)
    steps = SimpleNamespace(at=lambda t: [((x > t[:, None]) * w).sum(1) for w in weight])
    counts: Any = SurrogateCounts.apply(t, sigma, steps, SimpleNamespace(x=x, weight=weight))
    assert torch.equal(counts, torch.stack([((x > t[:, None]) * w).sum(1) for w in weight]))
    mixture = torch.tensor([[1.0, 2.0, 3.0], [0.5, -1.0, 0.2]])
    (counts * mixture).sum().backward()
    with torch.no_grad():
        z = sigma[:, None] * (x - t[:, None])
        slope = torch.sigmoid(z) * torch.sigmoid(-z) * (mixture[..., None] * weight).sum(0)
        assert torch.allclose(t.grad, (-sigma[:, None] * slope).sum(1), rtol=1e-4)
        assert torch.allclose(sigma.grad, ((x - t[:, None]) * slope).sum(1), rtol=1e-4, atol=1e-6)
    # and the logistic function's own derivative by automatic differentiation
    t2, sigma2 = t.detach().clone().requires_grad_(), sigma.detach().clone().requires_grad_()
    smooth = (torch.sigmoid(sigma2[:, None] * (x - t2[:, None])) * weight).sum(2)
    (smooth * mixture).sum().backward()
    assert torch.allclose(t.grad, t2.grad, rtol=1e-4)
    assert torch.allclose(sigma.grad, sigma2.grad, rtol=1e-3, atol=1e-5)


def test_sgl_thresh_improves_a_bad_threshold(task: TuningTask) -> None:
    stack = Stack.from_config([{"stage": "threshold", "threshold": {"candidates": [0.1, 0.9], "default": 0.9}}])
    task = TuningTask.build(task.scores, stack)
    values = make_agent({"agent": "sgl_thresh"}).fit(task, 0).post_processor.choose(task.scores)
    assert macro_f1(task, values) > macro_f1(task, torch.tensor([0.9]))


def test_ppo_learns_within_a_few_rollouts(task: TuningTask) -> None:
    task = TuningTask.build(small_simulation(40, 3), STACK)
    settings = {"rollouts": 12, "visits": 16, "learning_rate": 4e-3, "batch_size": 240, "hidden": 32, "members": 1}
    fit = quick("ppo", **settings).fit(task, 0)
    figures = [row["train_macro_f1"] for row in fit.curve]
    assert figures[-1] > figures[1] + 0.02
    events = fit.post_processor.apply(task.scores)
    report = evaluate(task.scores.require_references(), events, task.metric)
    assert report.score.macro == pytest.approx(figures[-1], abs=1e-6)
    assert report.score.macro > macro_f1(task, torch.tensor([0.0, 0.5]))


@pytest.mark.parametrize("policy", ["events", "tracks"])
def test_another_seed_gives_another_ppo(task: TuningTask, policy: str, tmp_path: Path) -> None:
    settings = {"policy": policy}
    first, second = (
        files_of(quick("ppo", **settings).fit(task, seed).post_processor, tmp_path / str(seed)) for seed in (0, 1)
    )
    assert first["postprocessor.safetensors"] != second["postprocessor.safetensors"]


@pytest.mark.parametrize("policy", ["events", "tracks"])
def test_a_saved_policy_decides_the_same_in_a_new_process(task: TuningTask, policy: str, tmp_path: Path) -> None:
    processor = quick("ppo", policy=policy).fit(task, 0).post_processor
    write_scores(task.scores, tmp_path / "scores")
    lengths = "".join(
        f"{name}\t{length}\n" for name, length in zip(task.scores.clip_ids, task.scores.durations.tolist(), strict=True)
    )
    (tmp_path / "durations.tsv").write_text(lengths)
    processor.save(tmp_path / "run")
    command = (
        "import json, sys, torch; torch.set_num_threads(1)\n"
        "import rl_postproc.agents\n"
        "from rl_postproc.formats import read_scores\n"
        "from rl_postproc.pipeline.postprocessor import PostProcessor\n"
        "scores = read_scores(sys.argv[1] + '/scores', durations=sys.argv[1] + '/durations.tsv')\n"
        "print(json.dumps(PostProcessor.load(sys.argv[1] + '/run').apply(scores).to_rows()))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", command, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    scores = read_scores(tmp_path / "scores", durations=tmp_path / "durations.tsv")
    expected = [list(row) for row in processor.apply(scores).to_rows()]
    assert json.loads(done.stdout) == expected
    assert expected


def test_settings_that_do_not_exist_are_refused_with_a_suggestion() -> None:
    with pytest.raises(UserError, match=r"agent 'ppo'.*'rollout'.*did you mean 'rollouts'"):
        make_agent({"agent": "ppo", "rollout": 5})
    with pytest.raises(UserError, match=r"did you mean 'grid_search'"):
        make_agent("gridsearch")
    with pytest.raises(UserError, match=r"'rollouts' is 0"):
        make_agent({"agent": "ppo", "rollouts": 0})
