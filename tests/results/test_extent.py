"""Figures stay small whatever the data, show what differs most, and say what they leave out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from rl_postproc.data.events import Events
from rl_postproc.data.frames import even_edges
from rl_postproc.data.scores import ScoreSet
from rl_postproc.results.clips import plot_clip
from rl_postproc.results.extent import outline
from rl_postproc.results.plots import plot_classes


def class_rows(n_classes: int, n_agents: int = 2) -> list[dict[str, Any]]:
    """Results in which agents differ more and more from class to class, but for the last one without references."""
    name = "a very long name of a class of sounds that nobody reads to its end"
    return [
        {
            "agent": f"agent {j}",
            "classes": {
                f"class {k} {name}": {"f1": None if k == n_classes - 1 else 0.2 + 0.7 * j * k / n_classes}
                for k in range(n_classes)
            },
        }
        for j in range(n_agents)
    ]


@pytest.mark.parametrize("n_agents", [1, 2, 40])
def test_of_many_classes_the_twenty_are_drawn_on_which_agents_differ_most_and_the_title_says_so(n_agents: int) -> None:
    figure = plot_classes(class_rows(527, n_agents), "title")
    assert max(figure.get_size_inches()) <= 14
    axes = figure.axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    expected = range(506, 526) if n_agents > 1 else range(20)  # the last class has no references
    assert [name.split()[1] for name in names] == [str(k) for k in expected]
    assert all(len(name) <= 28 for name in names)
    assert "20 of 527 classes" in axes.get_title("left")


def test_few_classes_are_all_drawn() -> None:
    axes = plot_classes(class_rows(20), "title").axes[0]
    assert len(axes.get_yticks()) == 20
    assert axes.get_title("left") == "title"


def long_clip(n_classes: int, n_frames: int) -> tuple[ScoreSet, Events, Events]:
    """A clip with references everywhere; two event lists differ in the later classes around one time."""
    names = tuple(f"class_{k}" for k in range(n_classes))
    x = torch.rand(1, n_classes, n_frames, generator=torch.Generator().manual_seed(0))
    x[0, -1, n_frames // 2] = 1.0
    rows = [("c0", 1.0, 2.0, name) for name in names]
    time = 0.02 * n_frames * 0.75
    more = [("c0", time - 0.1 * k, time + 0.1 * k, name) for k, name in enumerate(names) if k]
    events, others = (Events.from_rows(found, ["c0"], names) for found in (rows, rows + more))
    return ScoreSet.build(x, even_edges(0.02, n_frames), ["c0"], names, references=events), events, others


def test_of_a_long_clip_of_many_classes_a_bounded_part_is_drawn_where_the_event_lists_differ() -> None:
    scores, events, others = long_clip(60, 30_000)
    figure = plot_clip(scores, 0, {"defaults": events, "policy": others})
    assert max(figure.get_size_inches()) <= 14
    assert [axes.get_ylabel() for axes in figure.axes] == [f"class\n{k}" for k in range(40, 60)]
    begin, end = figure.axes[0].get_xlim()
    assert end - begin == pytest.approx(60, abs=0.5)
    assert begin < 450 < end
    caption = figure.axes[-1].get_xlabel().replace("\n", " ")
    assert "20 of 60 classes, in which 'defaults' and 'policy' differ longest" in caption
    assert "of 10:00, where 'defaults' and 'policy' differ most" in caption
    for axes in figure.axes:
        assert all(len(patch.get_path().vertices) <= 4 * 1000 + 8 for patch in axes.patches)


def test_joined_frames_keep_their_least_and_greatest_score() -> None:
    x = np.zeros(12_345, dtype=np.float32)
    x[777], x[9_999] = 0.9, 0.4
    low, high, edges = outline(x, np.arange(12_346) * 0.5)
    assert len(low) <= 1000
    assert sorted(high[high > 0].tolist()) == pytest.approx([0.4, 0.9])
    (peak,) = np.flatnonzero(high > 0.5)
    assert edges[peak] <= 777 * 0.5 < edges[peak + 1]
    assert not low.any()
    assert edges[-1] == 12_345 * 0.5


def test_a_short_clip_is_drawn_whole_without_a_caption() -> None:
    scores, events, others = long_clip(3, 500)
    figure = plot_clip(scores, 0, {"defaults": events, "policy": others})
    assert len(figure.axes) == 3
    assert figure.axes[0].get_xlim() == (0, 10)
    assert figure.axes[-1].get_xlabel() == "seconds"
