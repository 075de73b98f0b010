"""Which constants are taken: the maximum, the top of smoothed scores, or what inner folds prefer."""

from __future__ import annotations

import pytest
import torch
from cases import make_set, small_simulation
from rl_postproc.agents import make_agent
from rl_postproc.agents.search import inner_folds
from rl_postproc.agents.search.exact_search import SPAN, STEPS, smoothed_best
from scipy.ndimage import gaussian_filter1d

from rl_postproc.counts.all_thresholds import sweep_all_thresholds
from rl_postproc.counts.choice import macro_gain
from rl_postproc.data.folds import fold_of_clips
from rl_postproc.metrics.base import total_counts
from rl_postproc.task import TuningTask
from rl_postproc.utils.errors import UserError

STACK = [
    {"stage": "median", "kernel": [0, 0.3]},
    {"stage": "threshold", "threshold": {"low": 0.1, "high": 0.9, "count": 17}},
]


@pytest.fixture(scope="module")
def task() -> TuningTask:
    return TuningTask.build(small_simulation(40, 3), STACK)


def held_out(task: TuningTask, agent: dict, width: float) -> float:
    """The macro F1 of constants on inner folds, written out."""
    fold = fold_of_clips(task.scores.clip_ids, 5)
    total: dict[str, torch.Tensor] = {}
    for k in range(5):
        train, held = (task.select((fold != k).nonzero()[:, 0]), task.select((fold == k).nonzero()[:, 0]))
        own = {"selection": "smoothed", "smoothing": width} if width else {"selection": "maximum"}
        events = make_agent({**agent, **own}).fit(train, 0).post_processor.apply(held.scores)
        for name, column in total_counts(held.metric.count(held.scores.require_references(), events)).items():
            total[name] = total.get(name, torch.zeros_like(column)) + column
    return task.metric.summarise(total).macro


@pytest.mark.parametrize(("agent", "usual"), [("grid_search", 0.08), ("exact_search", 0.4)])
def test_inner_folds_choose_the_width_that_holds_out_clearly_best(task: TuningTask, agent: str, usual: float) -> None:
    values = {width: held_out(task, {"agent": agent}, width * usual) for width in inner_folds.WIDTHS}
    best = max(values, key=values.__getitem__)
    expected = best if values[best] > values[1.0] + inner_folds.MARGIN else 1.0
    own = {"selection": "smoothed", "smoothing": expected * usual} if expected else {"selection": "maximum"}
    chosen, written = (
        make_agent({"agent": agent, **x}).fit(task, 0).post_processor.choose(task.scores)
        for x in ({"selection": "inner_folds"}, own)
    )
    assert torch.equal(chosen, written)


def test_the_selections_are_told_apart(task: TuningTask) -> None:
    fits = [
        make_agent({"agent": "grid_search", "selection": s}).fit(task, 0)
        for s in ("maximum", "smoothed", "inner_folds")
    ]
    values = [fit.post_processor.choose(task.scores) for fit in fits]
    assert not torch.equal(values[0], values[1])
    assert fits[2].evaluations > fits[0].evaluations
    assert make_agent("grid_search").model_dump()["selection"] == "inner_folds"


def test_one_clip_has_no_inner_folds() -> None:
    few = TuningTask.build(small_simulation(1, 2), STACK)
    chosen, smooth = (
        make_agent({"agent": "grid_search", "selection": s}).fit(few, 0).post_processor.choose(few.scores)
        for s in ("inner_folds", "smoothed")
    )
    assert torch.equal(chosen, smooth)


def test_the_smoothed_exact_search_takes_the_top_of_its_smoothed_gain(task: TuningTask) -> None:
    counts = sweep_all_thresholds(task.scores, task.stack, task.metric)
    gain, levels = macro_gain(counts.column_reference), torch.linspace(-SPAN, SPAN, STEPS).sigmoid()
    choice = smoothed_best(counts, gain, 0.5)
    for column in range(counts.n_columns):
        tried = []
        for level in levels.tolist():
            hits, found = counts.at(torch.full((counts.n_columns,), level))
            tried.append(float(gain(hits[column, None], found[column, None], torch.tensor([column]))))
        smooth = gaussian_filter1d(tried, 0.5 * (STEPS - 1) / (2 * SPAN), mode="nearest").round(12)
        assert float(choice.threshold[column]) == pytest.approx(float(levels[int(smooth.argmax())]))


def test_silence_stays_where_no_threshold_is_worth_anything() -> None:
    x = torch.full((2, 1, 20), 0.5)
    x[:, 0, 3] = 0.9
    nothing = make_set(x, [("c0", 0.0, 0.9, "k0")])
    task = TuningTask.build(nothing, [{"stage": "threshold"}])
    fit = make_agent({"agent": "exact_search", "selection": "smoothed"}).fit(task, 0)
    assert len(fit.post_processor.apply(nothing)) == 0


def test_kernels_follow_the_median_lengths_of_events(task: TuningTask) -> None:
    kernels = [0.0, 0.1, 0.2, 0.4, 0.8, 1.6]
    levels = {"low": 0.1, "high": 0.9, "count": 9}
    own = TuningTask.build(
        task.scores, [{"stage": "median", "kernel": kernels}, {"stage": "threshold", "threshold": levels}]
    )
    references, choices = own.scores.require_references(), {}
    fractions = [0.1, 0.25, 0.6]
    for fraction in fractions:
        agent = {"agent": "grid_search", "selection": "maximum", "fractions": {"median.kernel": [fraction]}}
        values = choices[fraction] = make_agent(agent).fit(own, 0).post_processor.choose(own.scores)
        for label in range(3):
            length = references.offset - references.onset
            median = float(length[references.label == label].median())
            nearest = min(kernels, key=lambda k: abs(k - fraction * median))
            assert float(values[label, 0]) == pytest.approx(nearest)
            same = [c for c, v in enumerate(own.stack.space.values) if float(v[0]) == float(values[label, 0])]
            score = own.metric.score({k: v.double() for k, v in own.table.totals().items()})[same, label]
            index = (own.stack.space.values == values[label]).all(1).byte().argmax()
            assert float(score.max()) == float(score[same.index(int(index))])
    reached = {f: own.metric.summarise(counts(own, v)).macro for f, v in choices.items()}
    both = make_agent({"agent": "grid_search", "selection": "maximum", "fractions": {"median.kernel": fractions}})
    assert torch.equal(
        both.fit(own, 0).post_processor.choose(own.scores), choices[max(reached, key=reached.__getitem__)]
    )


def counts(task: TuningTask, values: torch.Tensor) -> dict[str, torch.Tensor]:
    return dict(
        total_counts(task.metric.count(task.scores.require_references(), task.stack.events(task.scores, values)))
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"fractions": {"median.kern": [0.3]}}, r"no such parameter in seconds \(it has median\.kernel\)"),
        ({"fractions": {"threshold.threshold": [0.3]}}, "no such parameter in seconds"),
        ({"fractions": {"median.kernel": [0.3]}, "scope": "global"}, "make no setting for all classes"),
        ({"fractions": {"median.kernel": [-1]}}, "greater than 0"),
    ],
)
def test_fractions_that_make_no_sense_are_refused(task: TuningTask, settings: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        make_agent({"agent": "grid_search", **settings}).check(task)


@pytest.mark.parametrize(("better", "chosen"), [(0.003, 1.0), (0.005, 2.0), (-0.1, 1.0)])
def test_another_width_must_be_better_by_the_margin(task: TuningTask, better: float, chosen: float) -> None:
    def counts_of(train: TuningTask, held: TuningTask, width: float) -> dict[str, torch.Tensor]:
        hits = torch.full((3,), int(1000 * (0.5 + (better if width == 2.0 else 0.0 if width == 1.0 else -0.2))))
        return {"true_positives": hits, "estimated": hits * 0 + 1000, "reference": hits * 0 + 1000}

    assert inner_folds.best_width(task, counts_of) == chosen
