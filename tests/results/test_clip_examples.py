"""Which clips are drawn as examples, and what stands over them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from cases import decode_events, make_set, small_simulation

from rl_postproc.data.events import Events
from rl_postproc.metrics import EventBased
from rl_postproc.results.clips import plot_clips
from rl_postproc.results.examples import clip_gain, draw_run, plot_examples, telling_clips
from rl_postproc.results.figures import COLOURS, LINES, save
from rl_postproc.task import TuningTask


@pytest.mark.parametrize(
    ("gain", "busy", "expected"),
    [
        ([0.0, 2.0, -1.0, 0.5, 0.0], [1, 1, 1, 1, 3], {1: "Largest gain", 4: "Median gain", 2: "Largest loss"}),
        ([0.0, 0.0], [1, 5], {1: "No gain"}),
        ([0.5, 1.0, 2.0], [1, 1, 1], {2: "Largest gain", 1: "Median gain", 0: "Smallest gain"}),
        ([-0.5, -1.0, -2.0], [1, 1, 1], {0: "Smallest loss", 1: "Median gain", 2: "Largest loss"}),
        ([1.0, 0.0, 0.0], [1, 1, 2], {0: "Largest gain", 2: "Median gain"}),
        ([0.3], [0], {0: "Largest gain"}),
    ],
)
def test_largest_gain_median_and_largest_loss_are_drawn_of_equals_the_busiest(
    gain: list[float], busy: list[int], expected: dict[int, str]
) -> None:
    assert telling_clips(torch.tensor(gain, dtype=torch.float64), torch.tensor(busy)) == expected


def test_gain_is_the_rise_of_the_score_of_each_class_where_silence_without_references_is_right() -> None:
    ids, classes = ["c0", "c1", "c2"], ["k0", "k1"]
    references = Events.from_rows([("c0", 0.0, 1.0, "k0"), ("c1", 0.0, 1.0, "k0")], ids, classes)
    found = Events.from_rows([("c0", 0.0, 1.0, "k0"), ("c2", 0.0, 1.0, "k1")], ids, classes)
    silence = Events.from_rows([], ids, classes)
    assert clip_gain(EventBased(), references, found, silence).tolist() == [1.0, 0.0, -1.0]


def test_the_figure_has_a_part_for_each_clip_that_says_what_it_shows() -> None:
    scores = small_simulation(12)
    before, after = (decode_events(scores, scores.scores > level) for level in (0.5, 0.3))
    figure = plot_examples(scores, EventBased(), before, after, "mine")
    titles = [part.get_suptitle() for part in figure.subfigs]
    assert 2 <= len(titles) <= 3
    gain = clip_gain(EventBased(), scores.require_references(), after, before)
    best = int(gain.argmax())
    assert titles[0].startswith("Largest gain of 'mine': clip ")
    assert f"{float(gain[best]):+.2f} F1" in titles[0]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["defaults", "mine", "reference"]


def test_many_classes_of_several_clips_stay_within_the_figure(tmp_path: Path) -> None:
    scores = make_set(torch.full((3, 30, 20), 0.6))
    figure = plot_clips(scores, {0: "a", 1: "b", 2: "c"}, {})
    assert max(figure.get_size_inches()) <= 14
    assert [len(part.axes) for part in figure.subfigs] == [6, 6, 6]
    assert "6 of 30 classes" in figure.subfigs[0].axes[-1].get_xlabel()
    save(figure, tmp_path / "clips.png")


def test_a_run_is_drawn_with_its_curve_if_it_has_one(tmp_path: Path) -> None:
    task = TuningTask.build(small_simulation(4, 2))
    events = task.stack.events(task.scores, task.stack.space.defaults)
    draw_run(tmp_path / "a", "title", task, "grid_search", events, [])
    assert {path.name for path in (tmp_path / "a").iterdir()} == {"clip.png"}
    curve = [{"steps": 0.0, "train_macro_f1": 0.2}, {"steps": 10.0, "train_macro_f1": 0.4}]
    draw_run(tmp_path / "b", "title", task, "ppo", events, curve)
    assert {path.name for path in (tmp_path / "b").iterdir()} == {"clip.png", "curve.png"}


BLIND = {
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "all colours": np.eye(3).tolist(),
}
"""How linear RGB is seen (Machado, Oliveira and Fernandes, IEEE TVCG 2009, severity 1)."""


def seen(colour: str, matrix: list[list[float]]) -> np.ndarray:
    """The colour as it is seen, CIE L*a*b*."""
    rgb = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    linear = np.clip(np.array(matrix) @ linear, 0, 1)
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ linear
    f = np.cbrt(xyz / np.array([0.9505, 1.0, 1.089]))
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def least_difference(colours: list[str], matrix: list[list[float]]) -> float:
    points = [seen(colour, matrix) for colour in colours]
    return min(float(np.linalg.norm(a - b)) for i, a in enumerate(points) for b in points[:i])


@pytest.mark.parametrize("vision", BLIND)
def test_colours_are_told_apart_without_red_and_green(vision: str) -> None:
    assert least_difference([*COLOURS.values()], BLIND[vision]) > 40
    assert least_difference([*LINES], BLIND[vision]) > 10
    if vision != "all colours":  # a red and a green that were used once
        assert least_difference(["#c44e52", "#55a868"], BLIND[vision]) < 40
