"""The paired test: against all swaps there are, and where there is nothing to find."""

from __future__ import annotations

import itertools

import pytest
import torch

from rl_postproc.metrics import EventBased, Macro
from rl_postproc.results.bootstrap import resampled
from rl_postproc.results.permutation import permutation_p


def random_counts(n_clips: int, better: float, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns counts ``[column, clip, class]`` of two lists, of which the second finds a share more of the references."""
    generator = torch.Generator().manual_seed(seed)
    reference = torch.randint(1, 4, (n_clips, 2), generator=generator)
    lists = []
    for share in (0.5, 0.5 + better):
        hits = torch.binomial(reference.double(), torch.full((n_clips, 2), share).double(), generator=generator)
        lists.append(torch.stack([hits, hits + 1, reference.double()]))
    assert EventBased().columns == ("true_positives", "estimated", "reference")
    return lists[0], lists[1]


@pytest.mark.parametrize("seed", range(4))
def test_it_agrees_with_all_swaps(seed: int) -> None:
    metric, (first, second) = EventBased(), random_counts(8, 0.2, seed)

    def difference(swaps: tuple[int, ...]) -> float:
        kept = torch.tensor(swaps).bool()[None, :, None]
        a, b = torch.where(kept, second, first), torch.where(kept, first, second)
        counts = torch.stack([a, b])
        value = resampled(metric, Macro(), counts, torch.ones(1, 8).double())[0]
        return float(value[1] - value[0])

    observed = abs(difference((0,) * 8))
    every = [abs(difference(swaps)) >= observed - 1e-12 for swaps in itertools.product((0, 1), repeat=8)]
    exact, samples = sum(every) / len(every), 4000
    assert permutation_p(metric, Macro(), first, second, samples) == pytest.approx(
        exact, abs=4 * (exact * (1 - exact) / samples) ** 0.5 + 1 / samples
    )


def test_equal_lists_differ_by_nothing_and_the_order_does_not_matter() -> None:
    first, second = random_counts(40, 0.3, 0)
    metric = EventBased()
    assert permutation_p(metric, Macro(), first, first) == 1
    p = permutation_p(metric, Macro(), first, second, 500)
    assert p == permutation_p(metric, Macro(), second, first, 500)
    assert p < 0.05
    # The smallest there is: the observed case alone.
    assert permutation_p(metric, Macro(), *random_counts(200, 0.5, 1), samples=99) == 0.01
