"""Many events: sed_eval certifies them in pieces, which changes no count, and past a size a sample of clips, named."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from cases import sed_eval_scorer

from rl_postproc.data.events import Events
from rl_postproc.metrics import EventBased
from rl_postproc.metrics.certify import CertificationError, evaluate, sampled_clips
from rl_postproc.metrics.event_based import event_lists
from rl_postproc.metrics.event_based import metric as metric_module
from rl_postproc.metrics.event_based import sed_eval as oracle_module
from rl_postproc.metrics.event_based.sed_eval import sed_eval_counts
from rl_postproc.utils.tensors import ragged_ranges


def random_events(
    seed: int, n: int, seconds: float, n_clips: int = 2, n_classes: int = 3, step: float = 0.05
) -> Events:
    """Draws events on a grid of times, so that many onsets are exactly a collar apart; they overlap at will."""
    rng = np.random.default_rng(seed)
    onset = torch.from_numpy(rng.integers(0, round(seconds / step), n) * step)
    length = torch.from_numpy(rng.integers(1, 20, n) * step)
    clip, label = (torch.from_numpy(rng.integers(0, most, n)) for most in (n_clips, n_classes))
    names = [f"c{i}" for i in range(n_clips)], [f"k{i}" for i in range(n_classes)]
    return Events.from_tensors(*names, clip, label, onset, onset + length)


@pytest.mark.parametrize("most_pairs", [0, 400])
@pytest.mark.parametrize(("n", "seconds", "collar"), [(60, 20, 0.2), (60, 200, 0.2), (100, 60, 1.0), (3, 5, 0.2)])
def test_pieces_give_sed_evals_counts_of_whole_files(
    n: int, seconds: float, collar: float, most_pairs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oracle_module, "_MOST_PAIRS", most_pairs)
    metric = EventBased(t_collar=collar)
    for seed in range(3):
        references, estimates = random_events(seed, n, seconds), random_events(seed + 100, 2 * n, seconds)
        counts, figures = sed_eval_counts(references, estimates, metric)
        scorer = sed_eval_scorer(references, estimates, metric)
        whole = [[scorer.class_wise[k][name] for k in references.classes] for name in ("Ntp", "Nsys", "Nref")]
        assert counts.tolist() == whole
        assert figures.macro == scorer.results_class_wise_average_metrics()["f_measure"]["f_measure"]
        assert figures.micro == scorer.results_overall_metrics()["f_measure"]["f_measure"]
        ours = metric.count(references, estimates)
        assert torch.stack([ours[name].sum(0) for name in metric.columns]).tolist() == whole


def test_sed_eval_is_not_handed_what_cannot_match(monkeypatch: pytest.MonkeyPatch) -> None:
    handed = []
    scorer = oracle_module._scorer

    def watched(*arguments):
        found = scorer(*arguments)
        evaluate_files = found.evaluate
        found.evaluate = lambda ours, theirs: handed.append(len(ours) * len(theirs)) or evaluate_files(ours, theirs)
        return found

    monkeypatch.setattr(oracle_module, "_scorer", watched)
    references, estimates = (random_events(seed, 3000, 3600.0, n_clips=1, n_classes=1) for seed in (1, 2))
    report = evaluate(references, estimates)
    assert report.certified_by.startswith("sed_eval")
    assert 0 < sum(handed) < 30_000  # of nine million pairs


def test_only_pairs_of_near_onsets_are_matched(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    monkeypatch.setattr(
        event_lists, "ragged_ranges", lambda first, size: sizes.append(int(size.sum())) or ragged_ranges(first, size)
    )
    references, estimates = (random_events(seed, 5000, 3600.0, n_clips=1, n_classes=1) for seed in (1, 2))
    EventBased().count(references, estimates)
    assert 0 < sizes[0] < 10_000  # of 25 million pairs


class Sparing(EventBased):
    most_certified = 400


def test_past_a_size_a_sample_of_clips_is_certified_and_the_result_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    references, estimates = (random_events(seed, 2000, 10.0, n_clips=2500, n_classes=4) for seed in (1, 2))
    whole, part = evaluate(references, estimates), evaluate(references, estimates, Sparing())
    said, _, sample = part.certified_by.partition(", on ")
    assert said == whole.certified_by
    n, _, others = sample.partition(" of ")
    assert others == "2 500 clips"
    assert 100 < int(n) < 400
    # What is reported is of all clips, as ever.
    assert part.to_json() == {**whole.to_json(), "certified_by": part.certified_by}
    assert evaluate(references, estimates, Sparing()).certified_by == part.certified_by


def test_our_counts_of_the_sampled_clips_must_be_sed_evals(monkeypatch: pytest.MonkeyPatch) -> None:
    references, estimates = (random_events(seed, 2000, 10.0, n_clips=2500, n_classes=4) for seed in (1, 2))
    clips = sampled_clips((references.counts() + estimates.counts()).sum(1), 400)
    assert clips is not None
    for clip, wrong in (
        (int(clips[0]), True),
        (int(clips[-1]), True),
        (next(i for i in range(2500) if i not in clips), False),
    ):
        matched = event_lists.match_events(references, estimates, EventBased())
        matched[clip, 2] += 1
        with monkeypatch.context() as patch:
            patch.setattr(metric_module, "match_events", lambda *_, matched=matched: matched)
            if wrong:
                with pytest.raises(CertificationError, match="sed_eval counted"):
                    evaluate(references, estimates, Sparing())
            else:
                evaluate(references, estimates, Sparing())


@pytest.mark.parametrize(
    ("sizes", "most", "expected"),
    [
        ([5, 5, 5], 15, None),
        ([5, 5, 5], None, None),
        ([0, 9, 7, 8], 6, {2}),  # each has more than that: the one with the fewest
        ([100, 1, 1, 1, 0, 90], 80, {1, 2, 3}),
    ],
)
def test_the_sample_keeps_to_its_size(sizes: list[int], most: int | None, expected: set[int] | None) -> None:
    found = sampled_clips(torch.tensor(sizes), most)
    assert (None if found is None else set(found.tolist())) == expected


def test_the_sample_has_the_fullest_clips_that_fit_a_quarter_of_it() -> None:
    sizes = torch.randint(1, 20, (1000,), generator=torch.Generator().manual_seed(0))
    sizes[[3, 500]] = 60
    found = sampled_clips(sizes, 1000)
    assert found is not None
    assert {3, 500} <= set(found.tolist())
    assert 900 < int(sizes[found].sum()) <= 1000
    assert torch.equal(found, found.unique())
