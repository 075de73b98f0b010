"""Counts at every threshold, and the best of them, against decoding and matching at each threshold in turn."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
import pytest
import torch
from cases import decode_events, make_set
from hypothesis import given, settings
from hypothesis import strategies as st

from rl_postproc.counts.all_thresholds import sweep_all_thresholds
from rl_postproc.counts.choice import Choice, macro_gain, micro_gain
from rl_postproc.counts.grid import sweep
from rl_postproc.counts.table import CountTable
from rl_postproc.counts.threshold_counts import ThresholdCounts
from rl_postproc.data.frames import Frames
from rl_postproc.data.scores import ScoreSet
from rl_postproc.metrics import EventBased, Macro, Metric, PreparedMetric, Tagging
from rl_postproc.metrics.event_based.event_lists import match_events
from rl_postproc.pipeline.stack import Stack
from rl_postproc.stages import Stage
from rl_postproc.stages.base import Kind
from rl_postproc.stages.median import MedianFilter
from rl_postproc.stages.threshold import Threshold
from rl_postproc.utils.errors import UserError

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
    """For tests: passes decisions on."""

    stage: Literal["test_onward"] = "test_onward"
    takes: ClassVar[Kind] = "decisions"
    gives: ClassVar[Kind] = "decisions"

    def __call__(self, x: torch.Tensor, frames: Frames, **values: torch.Tensor) -> torch.Tensor:
        return x


class Halved(Onward):
    """For tests: keeps the order of scores but not the scores."""

    stage: Literal["test_halved"] = "test_halved"  # pyright: ignore[reportIncompatibleVariableOverride]
    takes: ClassVar[Kind] = "scores"
    gives: ClassVar[Kind] = "scores"

    def __call__(self, x: torch.Tensor, frames: Frames, **values: torch.Tensor) -> torch.Tensor:
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


def same_table(found: CountTable, expected: CountTable) -> bool:
    return all(torch.equal(found.counts[name].long(), expected.counts[name].long()) for name in expected.counts)


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
    counts = sweep_all_thresholds(scores, STACK, metric)
    table = counts.table(thresholds)
    summed = [part.reshape(len(thresholds), -1, scores.n_classes)
              for part in counts.at(torch.tensor(thresholds)[:, None].expand(-1, counts.n_columns))]  # fmt: skip
    for candidate, values in enumerate(table.space.values):
        at = candidate % len(thresholds), candidate // len(thresholds)
        found = counts_by_decoding(scores, metric, values)
        for name, part, expected in zip(("true_positives", "estimated"), summed, found, strict=True):
            assert torch.equal(table.counts[name][..., candidate].long(), expected), values
            assert torch.equal(part[at], expected.sum(0)), values


@settings(max_examples=300)
@given(scenes, collars)
def test_a_grid_is_looked_up_as_the_sweep_counts_it(scene: dict, metric: EventBased) -> None:
    scores = draw_scene(scene)
    expected = sweep(scores, STACK, metric)
    found = sweep_all_thresholds(scores, STACK, metric).table(STACK.space.parameters[-1].candidates)
    assert found.space.names == expected.space.names
    assert torch.equal(found.space.values, expected.space.values)
    assert same_table(found, expected)


def assert_best(scores: ScoreSet, counts: ThresholdCounts, lam: float | None, metric: EventBased) -> None:
    """Holds the choices against all thresholds there are, and against decoding at the chosen ones."""
    gain = macro_gain(counts.column_reference) if lam is None else micro_gain(lam)
    best, columns = counts.best(gain), torch.arange(counts.n_columns)
    tried = torch.tensor(all_thresholds(scores))[:, None].expand(-1, counts.n_columns)
    hits, found = counts.at(tried)
    quality = gain(hits.flatten(), found.flatten(), columns.repeat(len(tried))).reshape(len(tried), -1)
    assert torch.equal(gain(best.true_positives, best.estimated, columns), quality.amax(0))
    threshold, hits, found = (part.reshape(-1, scores.n_classes) for part in best)
    assert bool(((threshold >= 0) & (threshold <= 1)).all())
    for setting, kernel in enumerate(STACK.space.parameters[0].candidates):
        values = torch.stack([torch.full((scores.n_classes,), kernel), threshold[setting]], 1)
        decoded = counts_by_decoding(scores, metric, values)
        assert torch.equal(hits[setting], decoded[0].sum(0))
        assert torch.equal(found[setting], decoded[1].sum(0))
        assert not found[setting, hits[setting] == 0].any(), "without a hit, a false alarm gains nothing"


@settings(max_examples=300)
@given(scenes, collars, st.sampled_from((None, None, 0.0, 0.3, 0.5, 1.0)))
def test_the_best_thresholds_equal_trying_all_of_them(scene: dict, metric: EventBased, lam: float | None) -> None:
    scores = draw_scene(scene)
    assert_best(scores, sweep_all_thresholds(scores, STACK, metric), lam, metric)


@settings(max_examples=100)
@given(scenes, collars, st.sampled_from((None, 0.0, 0.3, 0.5)))
def test_bins_choose_as_the_merged_steps_do(scene: dict, metric: EventBased, lam: float | None) -> None:
    counts = sweep_all_thresholds(draw_scene(scene), STACK, metric)
    gain = macro_gain(counts.column_reference) if lam is None else micro_gain(lam)
    for found, expected in zip(counts.best(gain), counts.by_column.best(gain), strict=True):
        assert torch.equal(found, expected)
    assert counts.n_choices == len(counts.by_column.candidates.column) + counts.n_columns


def best_of(scores: ScoreSet, metric: Metric) -> tuple[ThresholdCounts, Choice]:
    counts = sweep_all_thresholds(scores, STACK, metric)
    return counts, counts.best(macro_gain(counts.column_reference))


def test_neighbouring_floats_are_told_apart() -> None:
    low = np.float32(0.3)
    high = np.nextafter(low, np.float32(1))
    # Only a threshold of exactly `low` splits the two events that the references ask for.
    scores = make_set(np.array([[[0, high, high, high, low, high, high, high, 0]]]),
                      [("c0", 0.1, 0.4, "k0"), ("c0", 0.5, 0.8, "k0")], hop=0.1)  # fmt: skip
    _, best = best_of(scores, EventBased(t_collar=0.05))
    assert [part[0].item() for part in best] == [low, 2, 2]


def test_equal_gains_take_the_widest_interval_and_silence_lies_above_every_score() -> None:
    scores = make_set(np.array([[[0.0, 0.9, 0.0], [0.2, 0.6, 0.2]]]), [("c0", 0.1, 0.2, "k0")], hop=0.1)
    counts, best = best_of(scores, EventBased(t_collar=0.05))
    assert best.threshold[0].item() == pytest.approx(0.45)
    assert best.threshold[1].item() == pytest.approx(0.8)
    assert best.estimated.reshape(-1, 2)[:, 1].tolist() == [0] * 4
    assert counts.at(best.threshold)[1].tolist() == best.estimated.tolist()


def same(a: ThresholdCounts, b: ThresholdCounts) -> bool:
    names = ("cell", "value", "true_positives", "estimated", "reference")
    return all(torch.equal(getattr(a, name), getattr(b, name)) for name in names)


def test_chunks_and_threads_do_not_show() -> None:
    scores = draw_scene({"seed": 1, "kind": "ties", "n_clips": 40, "n_classes": 3, "width": 30,
                         "equal_lengths": False, "most": 4})  # fmt: skip
    expected = sweep_all_thresholds(scores, STACK, EventBased(), chunk_bytes=1 << 30)
    seen: list[tuple[int, int]] = []
    assert same(
        sweep_all_thresholds(scores, STACK, EventBased(), chunk_bytes=1, progress=lambda *at: seen.append(at)), expected
    )
    assert seen == [(i + 1, 40) for i in range(40)]
    torch.set_num_threads(3)
    assert same(sweep_all_thresholds(scores, STACK, EventBased(), chunk_bytes=1000), expected)
    assert torch.get_num_threads() == 3
    torch.set_num_threads(1)


def test_selected_clips_count_as_if_they_were_alone_and_again_when_named_twice() -> None:
    scores = draw_scene({"seed": 2, "kind": "fine", "n_clips": 9, "n_classes": 2, "width": 15,
                         "equal_lengths": True, "most": 3})  # fmt: skip
    steps = sweep_all_thresholds(scores, STACK, EventBased())
    clips = torch.tensor([7, 0, 3, 3])
    alone = sweep_all_thresholds(scores.select([7, 0, 3]), STACK, EventBased())
    assert same(steps.select(clips[:3]), alone)
    assert same_table(steps.select(clips).table([0.2, 0.6]), steps.table([0.2, 0.6]).select(clips))


@pytest.mark.parametrize("stack", [STACK, Stack([Halved(), Threshold()])])
@settings(max_examples=50)
@given(scene=scenes)
def test_tags_are_counted_at_every_threshold_too(scene: dict, stack: Stack) -> None:
    scores = draw_scene(scene)
    counts = sweep_all_thresholds(scores, stack, Tagging())
    assert counts.peaks_only
    expected = sweep(scores, stack, Tagging())
    candidates = stack.space.parameters[-1].candidates
    assert same_table(counts.table(candidates), expected)
    summed = counts.at(torch.tensor(candidates)[:, None].expand(-1, counts.n_columns))
    for name, part in zip(("true_positives", "estimated"), summed, strict=True):
        by_candidate = part.reshape(len(candidates), -1, scores.n_classes).transpose(0, 1).flatten(0, 1)
        assert torch.equal(by_candidate, expected.totals()[name])


class Doubled(Tagging):
    """For tests: every tag counts twice, which no sort of hits and misses can tell."""

    metric: Literal["test_doubled"] = "test_doubled"  # pyright: ignore[reportIncompatibleVariableOverride]

    def prepare(self, scores: ScoreSet) -> PreparedMetric:
        prepared = super().prepare(scores)
        single = type(prepared).intervals

        class Twice(type(prepared)):
            def intervals(self, *args, **kwargs):
                return tuple(part._replace(weight=2 * part.weight) for part in single(self, *args, **kwargs))

        return Twice(prepared.fixed)


def test_peaks_of_any_weight_are_counted() -> None:
    scores = draw_scene({"seed": 3, "kind": "ties", "n_clips": 6, "n_classes": 2, "width": 8,
                         "equal_lengths": False, "most": 1})  # fmt: skip
    once, twice = (sweep_all_thresholds(scores, STACK, metric) for metric in (Tagging(), Doubled()))
    thresholds = torch.rand(50, once.n_columns, generator=torch.Generator().manual_seed(0))
    for found, expected in zip(twice.at(thresholds), once.at(thresholds), strict=True):
        assert torch.equal(found, 2 * expected)


@pytest.mark.parametrize("kind", KINDS)
def test_filters_that_change_the_scores_are_counted_at_the_filtered_scores(kind: str) -> None:
    scores = draw_scene({"seed": 6, "kind": kind, "n_clips": 5, "n_classes": 2, "width": 12,
                         "equal_lengths": False, "most": 3})  # fmt: skip
    stack = Stack([MedianFilter.model_validate({"kernel": [0.0, 0.3]}), Halved(), Threshold()])
    found = sweep_all_thresholds(scores, stack, EventBased()).table(stack.space.parameters[-1].candidates)
    assert same_table(found, sweep(scores, stack, EventBased()))


def test_a_class_without_references_is_best_silent() -> None:
    scores = make_set(np.array([[[0.2, 0.9, 0.4]]]), [], hop=HOP)
    _, best = best_of(scores, EventBased())
    assert best.estimated.tolist() == [0] * 4
    assert best.threshold[0].item() == pytest.approx(0.95)


class Slow(EventBased):
    """For tests: a metric without a fast path."""

    metric: Literal["test_slow"] = "test_slow"  # pyright: ignore[reportIncompatibleVariableOverride]

    def prepare(self, scores: ScoreSet) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        return None


def test_what_cannot_count_all_thresholds_is_refused() -> None:
    scores = draw_scene({"seed": 3, "kind": "ties", "n_clips": 1, "n_classes": 1, "width": 8,
                         "equal_lengths": True, "most": 1})  # fmt: skip
    with pytest.raises(UserError, match="last stage is 'threshold'"):
        sweep_all_thresholds(scores, Stack([Threshold(), Onward()]), EventBased())
    with pytest.raises(UserError, match="'test_slow' does not count true positives and estimates at all thresholds"):
        sweep_all_thresholds(scores, STACK, Slow())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_counts_as_the_cpu_does() -> None:
    scores = draw_scene({"seed": 4, "kind": "ties", "n_clips": 50, "n_classes": 4, "width": 60,
                         "equal_lengths": False, "most": 4})  # fmt: skip
    on_gpu = scores.to("cuda")
    expected, found = (
        sweep_all_thresholds(scores, STACK, EventBased()),
        sweep_all_thresholds(on_gpu, STACK, EventBased()),
    )
    assert found.value.device.type == "cuda"
    assert same(found.to("cpu"), expected)
    for metric in (EventBased(), Tagging()):
        (_, best), (_, best_found) = best_of(scores, metric), best_of(on_gpu, metric)
        assert best_found.threshold.device.type == "cuda"
        assert all(torch.equal(a.cpu(), b) for a, b in zip(best_found, best, strict=True))
    grid, on_device = sweep(scores, STACK, EventBased()), sweep(on_gpu, STACK, EventBased())
    assert on_device.counts["estimated"].device.type == "cuda"
    assert same_table(on_device.to("cpu"), grid)


def test_real_scores_reach_at_least_the_optimum_of_the_grid(data_root) -> None:
    from rl_postproc.formats import read_scores

    folder = data_root / "desed_validation"
    scores = read_scores(folder / "baseline2021_student" / "operating_points",
                         references=folder / "ground_truth.tsv", durations=folder / "durations.tsv")  # fmt: skip
    scores = scores.select(range(200))
    stack = Stack.default()
    counts = sweep_all_thresholds(scores, stack, EventBased())
    table = sweep(scores, stack, EventBased())
    assert same_table(counts.table(stack.space.parameters[-1].candidates), table)
    gain, columns = macro_gain(counts.column_reference), torch.arange(counts.n_columns)
    best = counts.best(gain)
    reached = gain(best.true_positives, best.estimated, columns).reshape(-1, scores.n_classes).amax(0)
    grid = table.score(table.best_per_class(Macro())).by_class
    assert bool((reached >= grid)[~grid.isnan()].all())
