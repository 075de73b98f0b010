"""SGL-Thresh and the other methods of its paper: gradients and brute-force replicas."""

from __future__ import annotations

import itertools
from typing import ClassVar, Literal

import numpy as np
import pytest
import torch
from cases import count_hits, small_simulation
from rl_postproc.agents import make_agent
from rl_postproc.agents.search.exact_search import best_constants
from rl_postproc.agents.thresholds.frame_counts import frame_counts, frame_references
from rl_postproc.agents.thresholds.heu_thresh import HeuThresh
from rl_postproc.agents.thresholds.num_thresh import NumThresh
from rl_postproc.agents.thresholds.surrogate import SurrogateCounts, SurrogateSteps, learn_thresholds
from sklearn.metrics import f1_score

from rl_postproc.counts.all_thresholds import sweep_all_thresholds
from rl_postproc.counts.column_counts import ColumnCounts
from rl_postproc.formats.tags import score_set_of_tags
from rl_postproc.metrics import EventBased, Metric, f1
from rl_postproc.metrics.event_based.sed_eval import sed_eval_counts
from rl_postproc.pipeline.stack import Stack
from rl_postproc.stages.base import Kind, Stage
from rl_postproc.task import TuningTask
from rl_postproc.utils.errors import UserError

THRESHOLD = [{"stage": "threshold", "threshold": {"low": 0.0, "high": 1.0, "count": 21, "default": 0.3}}]


class Onward(Stage):
    """For tests: passes decisions on."""

    stage: Literal["test_passed_on"] = "test_passed_on"
    takes: ClassVar[Kind] = "decisions"
    gives: ClassVar[Kind] = "decisions"

    def __call__(self, x, frames, **values):
        return x


def random_tags(n_clips: int = 60, n_tags: int = 4, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    truth = rng.random((n_clips, n_tags)) < 0.3
    scores = (0.25 + 0.3 * truth + 0.25 * rng.standard_normal((n_clips, n_tags))).clip(0.01, 0.99)
    return torch.from_numpy(scores.astype(np.float32)), torch.from_numpy(truth)


def tag_task(scores: torch.Tensor, truth: torch.Tensor) -> TuningTask:
    return TuningTask.build(score_set_of_tags(scores, truth), THRESHOLD, {"metric": "tagging"})


def thresholds_of(agent: dict, task: TuningTask, seed: int = 0) -> torch.Tensor:
    return make_agent(agent).fit(task, seed).post_processor.choose(task.scores)[:, -1]


def smooth_counts(x: torch.Tensor, truth: torch.Tensor, t: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """The surrogate that the gradients belong to: logistic functions in place of steps, in double precision."""
    soft = torch.sigmoid(sigma * (x.double() - t))
    return torch.stack([(soft * truth).sum(0), soft.sum(0)])


def test_surrogate_gradients_are_the_formula_and_finite_differences_of_the_surrogate():
    x, truth = random_tags()
    steps, grad = ColumnCounts.of_items(x, truth), torch.tensor([[1.0, -2.0, 0.5, 3.0], [0.3, 1.0, -1.0, 0.2]])
    t = torch.tensor([0.2, 0.4, 0.5, 0.7], requires_grad=True)
    sigma = torch.tensor([50.0, 20.0, 8.0, 35.0], requires_grad=True)
    counts = SurrogateCounts.apply(t, sigma, steps, SurrogateSteps(steps, 1024))
    assert torch.equal(counts.long(), torch.stack([((x > t) & truth).sum(0), (x > t).sum(0)]))
    counts.backward(grad)

    d = x.double() - t.detach().double()
    weight = grad[0].double() * truth + grad[1].double()
    s = torch.sigmoid(sigma.detach().double() * d)
    torch.testing.assert_close(t.grad.double(), (-weight * sigma.detach() * s * (1 - s)).sum(0), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(sigma.grad.double(), (weight * d * s * (1 - s)).sum(0), rtol=1e-4, atol=1e-5)

    h = 1e-6
    for parameter, other in ((0, "t"), (1, "sigma")):
        at = [t.detach().double(), sigma.detach().double()]
        up, down = list(at), list(at)
        up[parameter], down[parameter] = at[parameter] + h, at[parameter] - h
        slope = (grad * (smooth_counts(x, truth, *up) - smooth_counts(x, truth, *down))).sum(0) / (2 * h)
        own = (t.grad, sigma.grad)[parameter].double()
        torch.testing.assert_close(own, slope, rtol=1e-3, atol=1e-4, msg=other)


def test_event_counts_have_the_gradient_of_their_own_surrogate():
    scores = small_simulation(n_clips=10)
    steps = sweep_all_thresholds(scores, Stack.from_config(THRESHOLD), EventBased()).by_column
    t = torch.full((scores.n_classes,), 0.4, requires_grad=True)
    sigma = torch.full((scores.n_classes,), 30.0)
    SurrogateCounts.apply(t, sigma, steps, SurrogateSteps(steps, 1024)).sum().backward()
    total = (steps.true_positives + steps.estimated).double()
    knots, h = steps.knots.double().clamp(max=2), 1e-6

    def smooth(at: float) -> torch.Tensor:
        # A count that falls by w at a knot is w times a logistic function of the distance to the knot.
        return (-total.diff(dim=1) * torch.sigmoid(30.0 * (knots - at))).sum(1)

    slope = (smooth(0.4 + h) - smooth(0.4 - h)) / (2 * h)
    assert bool((slope.abs() > 1).any())
    torch.testing.assert_close(t.grad.double(), slope, rtol=1e-3, atol=1e-3)


def test_binned_steps_learn_nearly_the_same_thresholds(monkeypatch):
    steps = ColumnCounts.of_items(*random_tags(400, 6))
    exact, _ = learn_thresholds(steps, average="micro")
    monkeypatch.setattr("rl_postproc.agents.thresholds.surrogate.EXACT_STEPS", 0)
    binned_steps = SurrogateSteps(steps, 128)
    assert binned_steps.x.shape == (6, 128)
    assert torch.equal(
        binned_steps.weight.sum(-1), torch.stack([steps.true_positives[:, 0], steps.estimated[:, 0]]).float()
    )
    binned, _ = learn_thresholds(steps, average="micro", bins=512)
    assert (exact - binned).abs().max() < 0.02
    micro = [float(f1(*(part.sum() for part in (*steps.at(t), steps.reference)))) for t in (exact, binned)]
    assert micro[0] == pytest.approx(micro[1], abs=0.01)


def test_learning_is_that_of_torch_autograd_and_adam():
    x, truth = random_tags(80, 3, seed=2)
    found, curve = learn_thresholds(ColumnCounts.of_items(x, truth), average="micro", epochs=30)

    class Step(torch.autograd.Function):
        @staticmethod
        def forward(ctx, distance, sigma):
            ctx.save_for_backward(distance, sigma)
            return (distance > 0).float()

        @staticmethod
        def backward(ctx, grad):
            distance, sigma = ctx.saved_tensors
            slope = grad * torch.sigmoid(sigma * distance) * torch.sigmoid(-sigma * distance)
            return sigma * slope, distance * slope

    t, sigma = torch.full((3,), 0.3, requires_grad=True), torch.full((3,), 50.0, requires_grad=True)
    optimiser = torch.optim.Adam([t, sigma], lr=1e-2)
    for i in range(30):
        tags = Step.apply(x - t, sigma)
        assert f1_score(truth.numpy(), tags.detach().numpy() > 0, average="micro") == pytest.approx(curve[i], abs=1e-6)
        loss = -2 * (tags * truth).sum() / (tags.sum() + truth.sum() + 1e-12)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    torch.testing.assert_close(found, t.detach(), rtol=0, atol=1e-4)


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


def macro_f1(task: TuningTask, values: torch.Tensor) -> float:
    """Macro F1 of parameter values on the task's clips."""
    hits, found = count_hits(task.scores, task.metric, task.stack.decide(task.scores, values))
    reference = task.scores.require_references().counts().sum(0)
    return float(f1(hits.sum(0), found.sum(0), reference).nanmean())


@pytest.mark.parametrize("objective", ["event", "segment", "frame"])
def test_on_events_the_learned_constants_beat_the_defaults(objective):
    task = TuningTask.build(small_simulation(n_clips=60), [{"stage": "median", "kernel": [0.0, 0.6]}, *THRESHOLD])
    fit = make_agent({"agent": "sgl_thresh", "objective": objective}).fit(task, 0)
    assert macro_f1(task, fit.post_processor.choose(task.scores)) > macro_f1(task, task.stack.space.defaults)


@pytest.mark.parametrize("average", ["micro", "macro"])
def test_exact_search_finds_the_best_of_all_combinations(average):
    for seed in range(6):
        scores, truth = random_tags(5, 3, seed)
        found = thresholds_of({"agent": "exact_search", "average": average}, tag_task(scores, truth))
        levels = [sorted({0.0, 1.0, *column.tolist()}) for column in scores.T]
        known = truth.any(0).numpy()

        def quality(t, scores=scores, truth=truth, known=known) -> float:
            tags = (scores > torch.as_tensor(t)).numpy()
            if average == "micro":
                return f1_score(truth.numpy(), tags, average="micro", zero_division=0)
            return np.mean(f1_score(truth.numpy(), tags, average=None, zero_division=0)[known])

        best = max(quality(t) for t in itertools.product(*levels))
        assert quality(found) == pytest.approx(best, abs=1e-12)


def _f1(tags: torch.Tensor, truth: torch.Tensor) -> float:
    return 2 * int((tags & truth).sum()) / max(1, int(tags.sum() + truth.sum()))


def test_exact_search_chooses_filters_as_the_grid_does_where_the_grid_has_every_score():
    scores = small_simulation(n_clips=30)
    levels = torch.linspace(0, 1, 21)
    quantised = scores.scores.mul(20).round().div(20)
    scores = type(scores)(**{**scores.__dict__, "scores": quantised})
    middles = ((levels[1:] + levels[:-1]) / 2).tolist()
    stack = [
        {"stage": "median", "kernel": [0.0, 0.3, 0.8]},
        {"stage": "threshold", "threshold": {"candidates": middles, "default": middles[5]}},
    ]
    task = TuningTask.build(scores, stack)

    reached = [macro_f1(task, make_agent(name).fit(task, 0).post_processor.choose(scores))
               for name in ("exact_search", "grid_search")]  # fmt: skip
    assert reached[0] == pytest.approx(reached[1], abs=1e-12)


@pytest.mark.parametrize("average", ["macro", "micro"])
def test_the_exact_optimum_scores_in_sed_eval_what_it_promises_and_beats_the_grid(average):
    task = TuningTask.build(small_simulation(n_clips=40), [{"stage": "median", "kernel": [0.0, 0.6]}, *THRESHOLD])
    counts = sweep_all_thresholds(task.scores, task.stack, task.metric)
    values, promised = best_constants(task, counts, average)
    events = task.stack.events(task.scores, values)
    _, score = sed_eval_counts(task.scores.require_references(), events, task.metric)
    assert (score.macro if average == "macro" else score.micro) == pytest.approx(promised, abs=1e-12)
    grid = task.table.score(task.table.best_per_class(task.objective))
    assert promised >= (grid.macro if average == "macro" else grid.micro)


def test_heu_thresh_accepts_what_one_trial_after_the_other_accepts():
    x, truth = random_tags(40, 3, seed=4)
    agent = HeuThresh(rounds=4, trials=60)
    found = agent.search(ColumnCounts.of_items(x, truth), np.random.default_rng(7))
    rng = np.random.default_rng(7)
    best, best_f1 = np.full(3, 0.3), f1_score(truth.numpy(), x.numpy() > 0.3, average="micro")
    accepted = 0
    for _ in range(4):
        t, ratio, noise = np.full(3, 0.3), 0.2, rng.standard_normal((60, 3))
        for z in noise:
            tried = t + ratio * (t + 0.6 * z)
            ratio -= 1e-3
            value = f1_score(truth.numpy(), x.numpy() > tried.astype(np.float32), average="micro")
            if value > best_f1:
                t, best, best_f1, accepted = tried, tried, value, accepted + 1
    assert accepted > 2
    assert found.numpy() == pytest.approx(best.clip(0, 1), abs=1e-6)


def test_heu_thresh_by_class_is_a_chain_for_each_class():
    x, truth = random_tags(40, 3, seed=4)
    found = HeuThresh(rounds=3, trials=50, average="macro").search(
        ColumnCounts.of_items(x, truth), np.random.default_rng(7)
    )
    rng = np.random.default_rng(7)
    noise = rng.standard_normal((3, 50, 3))
    for c in range(3):
        t, best = 0.3, _f1(x[:, c] > 0.3, truth[:, c])
        for z in noise[:, :, c]:
            for m in range(50):
                tried = t + (0.2 - 1e-4 * m) * (t + 0.6 * z[m])
                value = _f1(x[:, c] > np.float32(tried), truth[:, c])
                if value > best:
                    t, best = tried, value
        assert float(found[c]) == pytest.approx(min(max(t, 0), 1), abs=1e-6)


@pytest.mark.parametrize("average", ["micro", "macro"])
def test_num_thresh_takes_the_numerical_gradient_of_f1(average):
    x, truth = random_tags(50, 3, seed=6)
    agent, t = NumThresh(average=average), np.array([0.3, 0.55, 0.8])
    gradient, quality, trials = agent.gradient(ColumnCounts.of_items(x, truth), torch.from_numpy(t))

    def f1(at: np.ndarray) -> float:
        return f1_score(truth.numpy(), x.numpy() > at.astype(np.float32), average=average)

    assert quality == pytest.approx(f1(t), abs=1e-12)
    tried = 1
    for c in range(3):
        for width in range(1, 11):
            moved = t.copy()
            moved[c] += 0.01 * width
            tried += 1
            if f1(moved) != f1(t):
                break
        assert float(gradient[c]) == pytest.approx((f1(moved) - f1(t)) / (0.01 * width), abs=1e-9)
    assert trials == tried


def test_thresholds_need_a_stack_that_ends_with_one_of_each_class():
    scores, truth = random_tags(10, 2)
    stack = [{"stage": "threshold", "threshold": {"candidates": [0.2, 0.5], "default": 0.5, "scope": "global"}}]
    task = TuningTask.build(score_set_of_tags(scores, truth), stack, {"metric": "tagging"})
    for name in ("sgl_thresh", "exact_search", "heu_thresh", "num_thresh"):
        with pytest.raises(UserError, match=f"'{name}' learns one threshold a class"):
            make_agent(name).check(task)


@pytest.mark.parametrize("name", ["sgl_thresh", "exact_search", "heu_thresh", "num_thresh"])
def test_what_does_not_fit_is_said_before_any_work(name):
    class NoFastPath(EventBased):
        """For tests: a metric that cannot count all thresholds at once."""

        metric: Literal["test_no_fast_path"] = "test_no_fast_path"

        def prepare(self, scores):
            return None

    class NoMatches(Metric):
        """For tests: a metric without hits."""

        metric: Literal["test_no_matches"] = "test_no_matches"
        columns: ClassVar[tuple[str, ...]] = ("estimated",)

        def count(self, references, estimates):
            return {"estimated": estimates.counts()}

        def score(self, counts):
            return -counts["estimated"].double()

    scores, agent = small_simulation(n_clips=4), make_agent(name)
    agent.check(TuningTask.build(scores, THRESHOLD))
    for metric, reason in ((NoFastPath(), "at all thresholds"), (NoMatches(), "does not count true_positives")):
        with pytest.raises(UserError, match=reason):
            agent.check(TuningTask(scores, Stack.from_config(THRESHOLD), metric))
    with pytest.raises(UserError, match="a stack that ends with one"):
        agent.check(TuningTask(scores, Stack([*Stack.from_config(THRESHOLD).stages, Onward()]), EventBased()))


def test_filters_of_global_scope_are_the_same_for_all_classes():
    stack = [{"stage": "median", "kernel": {"candidates": [0.0, 0.3, 0.8], "scope": "global"}}, *THRESHOLD]
    task = TuningTask.build(small_simulation(n_clips=30), Stack.from_config(stack))
    for average in ("macro", "micro"):
        values = (
            make_agent({"agent": "exact_search", "average": average}).fit(task, 0).post_processor.choose(task.scores)
        )
        assert len(values[:, 0].unique()) == 1


@pytest.mark.parametrize("name", ["default", "sgl_thresh", "exact_search", "heu_thresh", "num_thresh"])
def test_what_searches_thresholds_of_its_own_never_counts_the_table(name, monkeypatch):
    def refuse(*_):
        raise AssertionError("the table of all candidates was counted")

    monkeypatch.setattr("rl_postproc.task.sweep", refuse)
    task = tag_task(*random_tags())
    assert make_agent(name).fit(task, 0).post_processor.choose(task.scores).isfinite().all()
    with pytest.raises(AssertionError, match="was counted"):
        make_agent("grid_search").fit(task, 0)
