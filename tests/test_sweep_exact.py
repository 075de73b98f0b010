"""Counts at every threshold, and the best of them, against decoding and matching at each threshold in turn."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
import pytest
import torch
from cases import make_set
from hypothesis import given, settings
from hypothesis import strategies as st

from rl_postproc.certify import match_events, sed_eval_counts
from rl_postproc.errors import UserError
from rl_postproc.exact import StepCounts, sweep_exact
from rl_postproc.metrics import EventBased, Tagging, f1
from rl_postproc.scores import ScoreSet
from rl_postproc.stack import Stack, decode_events
from rl_postproc.stages import Stage
from rl_postproc.stages.base import Kind
from rl_postproc.stages.median import MedianFilter
from rl_postproc.stages.threshold import Threshold
from rl_postproc.sweep import sweep

HOP = 0.1
STACK = Stack.from_config([
    {"stage": "median", "kernel": [0.0, 0.3, 0.7, 1.9]},
    {"stage": "threshold", "threshold": [0.1, 0.2, 0.25, 0.5, 0.75, 1.0]},
])  # fmt: skip
KINDS = ("fine", "ties", "plateaus", "equal", "zero", "ones", "peak")
scenes = st.fixed_dictionaries({
    "seed": st.integers(0, 2**32 - 1),
    "kind": st.sampled_from(KINDS),
    "n_clips": st.integers(1, 4),
    "n_classes": st.integers(1, 3),
    "width": st.integers(1, 20),
    "equal_lengths": st.booleans(),
    "most": st.integers(0, 4),
})  # fmt: skip
collars = st.sampled_from(((0.2, 0.2), (0.2, 0.5), (0.3, 1.0), (0.1, 0.0))).map(
    lambda pair: EventBased(t_collar=pair[0], percentage_of_length=pair[1])
)


class Onward(Stage):
    """A stage that passes decisions on."""

    stage: Literal["onward"] = "onward"
    takes: ClassVar[Kind] = "decisions"
    gives: ClassVar[Kind] = "decisions"

    def __call__(self, x: torch.Tensor, n_frames: torch.Tensor, hop: float, **values: torch.Tensor) -> torch.Tensor:
        return x


class Halved(Onward):
    """A filter of scores that keeps their order but not the scores."""

    stage: Literal["halved"] = "halved"  # pyright: ignore[reportIncompatibleVariableOverride]
    takes: ClassVar[Kind] = "scores"
    gives: ClassVar[Kind] = "scores"

    def __call__(self, x: torch.Tensor, n_frames: torch.Tensor, hop: float, **values: torch.Tensor) -> torch.Tensor:
        return x / 2


def draw_scores(rng: np.random.Generator, kind: str, shape: tuple[int, int, int]) -> np.ndarray:
    """Draws tracks of one kind, float32 ``[clip, class, frame]``."""
    if kind in ("zero", "ones", "equal"):
        return np.full(shape, {"zero": 0.0, "ones": 1.0, "equal": rng.random()}[kind], dtype=np.float32)
    x = rng.random(shape).astype(np.float32)
    if kind == "ties":
        return (np.floor(x * 5) / 4).clip(0, 1)
    if kind == "plateaus":
        return np.take(x, np.arange(shape[2]) // 3, axis=2)
    return x ** (1 if kind == "fine" else 40)


def draw_scene(scene: dict) -> ScoreSet:
    """Draws a score set; many of its references lie near the runs of some threshold, overlapping at will."""
    rng = np.random.default_rng(scene["seed"])
    n_clips, n_classes, width = scene["n_clips"], scene["n_classes"], scene["width"]
    scores = draw_scores(rng, scene["kind"], (n_clips, n_classes, width))
    n_frames = np.full(n_clips, width) if scene["equal_lengths"] else rng.integers(1, width + 1, n_clips)
    rows = []
    for clip, label in np.ndindex(n_clips, n_classes):
        for _ in range(rng.integers(0, scene["most"] + 1)):
            a, b = np.sort(rng.integers(0, n_frames[clip] + 1, 2)) * HOP
            rows.append((f"c{clip}", float(a), float(b + rng.choice([0.0, 0.05, 0.1])), f"k{label}"))
    return make_set(scores, rows, hop=HOP, n_frames=n_frames.tolist())


def counts_by_decoding(scores: ScoreSet, metric: EventBased, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns true positives and estimates ``[clip, class]`` of decoded and matched events."""
    estimates = decode_events(scores, STACK.decide(scores, values))
    return match_events(scores.require_references(), estimates, metric), estimates.counts()


def all_thresholds(scores: ScoreSet) -> list[float]:
    """Returns every score, the middle between any two neighbours, 0 and 1, as float32 values."""
    distinct = np.unique(np.append(scores.scores.numpy(), [0.0, 1.0]).astype(np.float32))
    middle = ((distinct[1:].astype(np.float64) + distinct[:-1]) / 2).astype(np.float32)
    return np.unique(np.concatenate([distinct, middle])).tolist()


@settings(max_examples=150)
@given(scenes, collars)
def test_counts_at_every_threshold_equal_those_of_decoded_events(scene: dict, metric: EventBased) -> None:
    scores = draw_scene(scene)
    thresholds = all_thresholds(scores)[:: max(1, scene["width"] // 5)]
    table = sweep_exact(scores, STACK, metric).at(thresholds)
    for candidate, values in enumerate(table.space.values):
        true_positives, estimated = counts_by_decoding(scores, metric, values)
        assert torch.equal(table.true_positives[..., candidate].long(), true_positives), values
        assert torch.equal(table.estimated[..., candidate].long(), estimated), values


@settings(max_examples=300)
@given(scenes, collars)
def test_a_grid_is_looked_up_as_the_sweep_counts_it(scene: dict, metric: EventBased) -> None:
    scores = draw_scene(scene)
    expected = sweep(scores, STACK, metric)
    found = sweep_exact(scores, STACK, metric).at(STACK.space.parameters[-1].candidates)
    assert found.space.names == expected.space.names
    assert torch.equal(found.space.values, expected.space.values)
    assert torch.equal(found.true_positives.long(), expected.true_positives.long())
    assert torch.equal(found.estimated.long(), expected.estimated.long())
    assert torch.equal(found.reference, expected.reference)


@settings(max_examples=300)
@given(scenes, collars)
def test_the_best_thresholds_equal_trying_all_of_them(scene: dict, metric: EventBased) -> None:
    scores = draw_scene(scene)
    steps = sweep_exact(scores, STACK, metric)
    best = steps.best_thresholds()
    thresholds = all_thresholds(scores)
    shape = scores.n_classes, steps.n_filters, len(thresholds)
    true_positives, estimated, reference = steps.at(thresholds).totals()
    quality = f1(true_positives, estimated, reference[:, None]).nan_to_num(0).reshape(shape)
    assert torch.equal(best.f1.nan_to_num(0), quality.amax(2))
    for setting, kernel in enumerate(STACK.space.parameters[0].candidates):
        values = torch.stack([torch.full((scores.n_classes,), kernel), best.threshold[:, setting]], 1)
        assert bool(((values[:, 1] >= 0) & (values[:, 1] <= 1)).all())
        found = counts_by_decoding(scores, metric, values)
        assert torch.equal(best.true_positives[:, setting], found[0].sum(0))
        assert torch.equal(best.estimated[:, setting], found[1].sum(0))
        silent = best.true_positives[:, setting] == 0
        assert not best.estimated[silent, setting].any(), "without a hit, a false alarm gains nothing"


def test_neighbouring_floats_are_told_apart() -> None:
    low = np.float32(0.3)
    high = np.nextafter(low, np.float32(1))
    # Only a threshold of exactly `low` splits the two events that the references ask for.
    scores = make_set(np.array([[[0, high, high, high, low, high, high, high, 0]]]),
                      [("c0", 0.1, 0.4, "k0"), ("c0", 0.5, 0.8, "k0")], hop=0.1)  # fmt: skip
    best = sweep_exact(scores, STACK, EventBased(t_collar=0.05)).best_thresholds()
    assert best.threshold[0, 0].item() == low
    assert best.f1[0, 0].item() == 1.0


def test_the_best_values_score_in_sed_eval_what_they_promise() -> None:
    scores = draw_scene({"seed": 5, "kind": "fine", "n_clips": 30, "n_classes": 3, "width": 40,
                         "equal_lengths": False, "most": 3})  # fmt: skip
    best = sweep_exact(scores, STACK, EventBased()).best_thresholds()
    estimates = decode_events(scores, STACK.decide(scores, best.values()))
    counts, scored = sed_eval_counts(scores.require_references(), estimates, EventBased())
    choice = best.best_filter()[:, None]
    assert counts[0].tolist() == best.true_positives.gather(1, choice)[:, 0].tolist()
    assert counts[1].tolist() == best.estimated.gather(1, choice)[:, 0].tolist()
    assert scored.macro_f1 == pytest.approx(float(best.f1.amax(1).mean()))
    grid = sweep(scores, STACK, EventBased())
    assert scored.macro_f1 >= grid.score(grid.best_per_class()).macro_f1


def same(a: StepCounts, b: StepCounts) -> bool:
    names = ("cell", "value", "true_positives", "estimated", "reference")
    return all(torch.equal(getattr(a, name), getattr(b, name)) for name in names)


def test_chunks_and_threads_do_not_show() -> None:
    scores = draw_scene({"seed": 1, "kind": "ties", "n_clips": 40, "n_classes": 3, "width": 30,
                         "equal_lengths": False, "most": 4})  # fmt: skip
    expected = sweep_exact(scores, STACK, EventBased(), chunk_bytes=1 << 30)
    seen: list[tuple[int, int]] = []
    assert same(sweep_exact(scores, STACK, EventBased(), chunk_bytes=1, progress=lambda *at: seen.append(at)), expected)
    assert seen == [(i + 1, 40) for i in range(40)]
    torch.set_num_threads(3)
    assert same(sweep_exact(scores, STACK, EventBased(), chunk_bytes=1000), expected)
    assert torch.get_num_threads() == 3
    torch.set_num_threads(1)


def test_selected_clips_count_as_if_they_were_alone_and_again_when_named_twice() -> None:
    scores = draw_scene({"seed": 2, "kind": "fine", "n_clips": 9, "n_classes": 2, "width": 15,
                         "equal_lengths": True, "most": 3})  # fmt: skip
    steps = sweep_exact(scores, STACK, EventBased())
    clips = torch.tensor([7, 0, 3, 3])
    alone = sweep_exact(scores.select([7, 0, 3]), STACK, EventBased())
    assert same(steps.select(clips[:3]), alone)
    table, again = steps.at([0.2, 0.6]), steps.select(clips).at([0.2, 0.6])
    assert torch.equal(again.true_positives, table.true_positives[clips])
    assert torch.equal(again.estimated, table.estimated[clips])
    assert torch.equal(again.reference, table.reference[clips])


def test_other_metrics_count_at_every_threshold_too() -> None:
    scores = draw_scene({"seed": 3, "kind": "ties", "n_clips": 6, "n_classes": 2, "width": 8,
                         "equal_lengths": False, "most": 1})  # fmt: skip
    expected = sweep(scores, STACK, Tagging())
    found = sweep_exact(scores, STACK, Tagging()).at(STACK.space.parameters[-1].candidates)
    assert torch.equal(found.true_positives, expected.true_positives)
    assert torch.equal(found.estimated, expected.estimated)


@pytest.mark.parametrize("kind", KINDS)
def test_filters_that_change_the_scores_are_counted_at_the_filtered_scores(kind: str) -> None:
    scores = draw_scene({"seed": 6, "kind": kind, "n_clips": 5, "n_classes": 2, "width": 12,
                         "equal_lengths": False, "most": 3})  # fmt: skip
    stack = Stack([MedianFilter.model_validate({"kernel": [0.0, 0.3]}), Halved(), Threshold()])
    expected = sweep(scores, stack, EventBased())
    found = sweep_exact(scores, stack, EventBased()).at(stack.space.parameters[-1].candidates)
    assert torch.equal(found.true_positives, expected.true_positives)
    assert torch.equal(found.estimated, expected.estimated)


def test_a_class_without_references_is_best_silent() -> None:
    scores = make_set(np.array([[[0.2, 0.9, 0.4]]]), [], hop=HOP)
    best = sweep_exact(scores, STACK, EventBased()).best_thresholds()
    assert best.estimated.tolist() == [[0] * 4]
    assert bool(best.f1.isnan().all())
    assert best.threshold[0, 0].item() == pytest.approx(0.95)


def test_a_stack_without_a_last_threshold_is_refused() -> None:
    scores = draw_scene({"seed": 3, "kind": "ties", "n_clips": 1, "n_classes": 1, "width": 8,
                         "equal_lengths": True, "most": 1})  # fmt: skip
    with pytest.raises(UserError, match="last stage is 'threshold'"):
        sweep_exact(scores, Stack([Threshold(), Onward()]), EventBased())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_counts_as_the_cpu_does() -> None:
    scores = draw_scene({"seed": 4, "kind": "ties", "n_clips": 50, "n_classes": 4, "width": 60,
                         "equal_lengths": False, "most": 4})  # fmt: skip
    on_gpu = scores.to("cuda")
    expected, found = sweep_exact(scores, STACK, EventBased()), sweep_exact(on_gpu, STACK, EventBased())
    assert found.value.device.type == "cuda"
    assert same(found.to("cpu"), expected)
    best, best_found = expected.best_thresholds(), found.best_thresholds()
    assert torch.equal(best_found.threshold.cpu(), best.threshold)
    grid, on_device = sweep(scores, STACK, EventBased()), sweep(on_gpu, STACK, EventBased())
    assert on_device.true_positives.device.type == "cuda"
    assert torch.equal(on_device.to("cpu").true_positives, grid.true_positives)
    assert torch.equal(on_device.to("cpu").estimated, grid.estimated)


def test_real_scores_reach_at_least_the_optimum_of_the_grid(data_root) -> None:
    from rl_postproc.formats import read_scores

    folder = data_root / "desed_validation"
    scores = read_scores(folder / "baseline2021_student" / "operating_points",
                         references=folder / "ground_truth.tsv", durations=folder / "durations.tsv")  # fmt: skip
    scores = scores.select(range(200))
    steps = sweep_exact(scores, Stack.default(), EventBased())
    table = sweep(scores, Stack.default(), EventBased())
    found = steps.at(Stack.default().space.parameters[-1].candidates)
    assert torch.equal(found.true_positives, table.true_positives)
    assert torch.equal(found.estimated, table.estimated)
    best = steps.best_thresholds()
    known = best.reference > 0
    grid = table.score(table.best_per_class()).class_f1
    assert bool((best.f1.amax(1)[known] >= grid[known]).all())
