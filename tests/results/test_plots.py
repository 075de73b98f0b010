"""What the plots show."""

from __future__ import annotations

import dataclasses
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from cases import make_set
from matplotlib.collections import LineCollection
from matplotlib.text import Text

from rl_postproc.results.clips import plot_clip
from rl_postproc.results.figures import save
from rl_postproc.results.plots import plot_agents, plot_classes, plot_curves


def curve(*points: tuple[float, float]) -> list[dict[str, float]]:
    return [{"steps": steps, "train_macro_f1": f1} for steps, f1 in points]


def test_curves_are_the_mean_over_seeds_within_the_band_that_all_of_them_have_reached() -> None:
    runs = [curve((0, 0.2), (10, 0.4), (20, 0.6)), curve((0, 0.4), (20, 0.6), (40, 0.9))]
    axes = plot_curves({"ppo": runs, "other": [curve((0, 0.1), (5, 0.2))], "none": [[{"epoch": 1.0}]]}, "title").axes[0]
    assert [line.get_label() for line in axes.lines] == ["ppo", "other"]
    x, y = np.asarray(axes.lines[0].get_xdata()), np.asarray(axes.lines[0].get_ydata())
    assert x.tolist() == [0, 10, 20]
    assert y == pytest.approx([30, 45, 60])
    (band,) = axes.collections
    corners = {tuple(point) for point in band.get_paths()[0].vertices.round(6).tolist()}
    assert {(0, 20), (0, 40), (10, 40), (10, 50), (20, 60)} <= corners


def test_where_clips_are_watched_their_curve_is_drawn_with_that_of_training_beside_it() -> None:
    rows = [{"steps": s, "train_macro_f1": a, "held_out_macro_f1": b} for s, a, b in ((0, 0.1, 0.2), (5, 0.5, 0.3))]
    again = [{"steps": 0.0, "train_macro_f1": 0.9}, {"steps": 5.0, "train_macro_f1": 0.9}]
    axes = plot_curves({"ppo": [rows + again], "other": [curve((0, 0.1), (5, 0.2))]}, "title").axes[0]
    drawn = [
        (list(line.get_xdata()), np.round(line.get_ydata(), 9).tolist(), line.get_linestyle()) for line in axes.lines
    ]
    assert drawn == [([0, 5], [20, 30], "-"), ([0, 5], [10, 50], ":"), ([0, 5], [10, 20], "-")]
    assert "set aside" in axes.get_ylabel()


def test_a_figure_without_curves_has_no_lines() -> None:
    assert not plot_curves({"default": [[]]}, "title").axes[0].lines


def test_a_class_without_reference_says_so_and_is_not_drawn_as_zero() -> None:
    rows = [{"agent": "a", "classes": {"Cat": {"f1": 0.0}, "Dog": {"f1": None}}}]
    axes = plot_classes(rows, "title").axes[0]
    assert [text.get_text() for text in axes.texts] == ["0.0", "no reference"]
    drawn = axes.images[0].get_array()
    assert drawn is not None and np.ma.getmaskarray(drawn).tolist() == [[False], [True]]


def test_agents_are_drawn_with_their_intervals() -> None:
    rows = [
        {"agent": agent, "macro_f1": f1, "train_macro_f1": 0.6} for agent, f1 in (("a", 0.3), ("b", 0.5), ("a", 0.4))
    ]
    figure = plot_agents(rows, "title", intervals={"a": (0.25, 0.42), "b": (0.45, 0.56)})
    (lines,) = [found for found in figure.axes[0].collections if isinstance(found, LineCollection)]
    drawn = np.array(lines.get_segments())
    assert drawn == pytest.approx(np.array([[[25, 1], [42, 1]], [[45, 0], [56, 0]]]))
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "95 % interval over clips and seeds" in labels
    bare = plot_agents(rows, "title")
    assert not [found for found in bare.axes[0].collections if isinstance(found, LineCollection)]


def test_names_are_drawn_as_they_are(tmp_path: Path) -> None:
    names = ["$a_{b$", "$x$", "犬", "[/b]"]
    rows = [
        {"agent": agent, "macro_f1": 0.5, "train_macro_f1": 0.5, "classes": {name: {"f1": 0.5} for name in names}}
        for agent in names
    ]
    clip = make_set(torch.full((1, 2, 20), 0.6), [("c0", 0.5, 1.0, "k1")])
    clip = dataclasses.replace(clip, classes=("$a_{b$", "$x$"))
    figures = [
        plot_agents(rows, "$a_{b$"),
        plot_classes(rows, "$x$ $y$"),
        plot_curves({name: [curve((0, 0.1), (5, 0.2))] for name in names}, "$x$"),
        plot_clip(clip, 0, {"$y$": clip.require_references()}),
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for i, figure in enumerate(figures):
            save(figure, tmp_path / f"{i}.png")
    drawn = [text for figure in figures for text in figure.findobj(Text) if "$" in text.get_text()]
    assert len(drawn) >= 12
    assert not any(text.get_parse_math() for text in drawn)
