"""SGL-Thresh's gradients: the formula, finite differences, and torch's autograd."""

from __future__ import annotations

import pytest
import torch
from cases import small_simulation
from rl_postproc.agents.thresholds.surrogate import SurrogateCounts, SurrogateSteps, learn_thresholds
from sklearn.metrics import f1_score
from threshold_cases import THRESHOLD, random_tags

from rl_postproc.counts.all_thresholds import sweep_all_thresholds
from rl_postproc.counts.column_counts import ColumnCounts
from rl_postproc.metrics import EventBased, f1
from rl_postproc.pipeline.stack import Stack


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
