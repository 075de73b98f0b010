"""The pictures of docs/concepts.md, computed from a simulated detector by the package itself.

python docs/pictures.py                        # all, into docs/pictures
python docs/pictures.py --out FOLDER level     # some, elsewhere
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
import torch
from matplotlib.figure import Figure

from rl_postproc import ScoreSet, SimulationConfig, Stack, TuningTask, simulate
from rl_postproc.data.folds import fold_of_clips
from rl_postproc.metrics import EventBased, Macro, f1
from rl_postproc.results.clips import plot_clip
from rl_postproc.results.figures import BLUE, ORANGE
from rl_postproc.utils.files import whole_file
from rl_postproc.utils.level_runs import level_runs

CLASSES = ["Cat", "Dog", "Speech"]
GREY, DARK = "#999999", "#444444"
EXCERPT = 60
"""Frames, or clips, of which single ones are to be seen."""
matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "rl_postproc", "font.family": "sans-serif"})


@cache
def detector() -> ScoreSet:
    """The simulated detector of all pictures."""
    return simulate(SimulationConfig(n_clips=200, classes=CLASSES, clip_seconds=8, seed=3))


@cache
def task() -> TuningTask:
    """Median filters and thresholds on it, counted."""
    return TuningTask(detector(), Stack.default(), EventBased())


def track(clip: int, label: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns the frame edges of a clip in seconds and one class's scores in it."""
    scores = detector()
    n = int(scores.n_frames[clip])
    edges = scores.edges[clip if len(scores.edges) > 1 else 0, : n + 1].numpy()
    return edges, scores.scores[clip, CLASSES.index(label), :n].numpy()


@cache
def telling() -> tuple[int, str]:
    """The clip with the most references of all classes, and of its tracks the one with the most distinct events."""
    references, decoded = detector().require_references().counts(), task().decoded
    n_events = torch.bincount(decoded.track, minlength=decoded.n_tracks).reshape(references.shape)
    own = int((references.clamp(max=2).sum(1) * 10_000 + n_events.sum(1)).argmax())
    return own, CLASSES[int(n_events[own].argmax())]


def spans_of_references(clip: int, label: str) -> list[tuple[float, float]]:
    """Returns onset and length of the references of a clip and class."""
    rows = detector().require_references().select(torch.tensor([clip])).to_rows()
    return [(onset, offset - onset) for _, onset, offset, own in rows if own == label]


def clip() -> Figure:
    """A clip: the scores of its classes, the events at threshold 0.5, the references."""
    scores, stack = detector(), Stack.default()
    return plot_clip(scores, telling()[0], {"threshold 0.5": stack.events(scores, stack.space.defaults)})


def tracks() -> Figure:
    """A track: one class's row of a clip's scores."""
    own, label = telling()
    edges, curve = track(own, label)
    figure = Figure(figsize=(7.5, 3.2), layout="constrained")
    rows, line = figure.subplots(2, 1, sharex=True, height_ratios=[1, 1.4])
    x = detector().scores[own, :, : len(curve)].numpy()
    rows.pcolormesh(edges, np.arange(len(CLASSES) + 1), x, cmap="viridis", vmin=0, vmax=1)
    rows.set_yticks(np.arange(len(CLASSES)) + 0.5, CLASSES)
    rows.invert_yaxis()
    rows.broken_barh([(edges[0], edges[-1])], (CLASSES.index(label) + 0.02, 0.96), facecolor="none", edgecolor=ORANGE,
                     linewidth=2)  # fmt: skip
    line.stairs(curve, edges, color=ORANGE)
    line.set(ylim=(0, 1.02), ylabel=f"score of {label}", xlabel="seconds", xlim=(edges[0], edges[-1]))
    return figure


def frame() -> Figure:
    """Frames: a run of those above the threshold becomes an event, from the first one's left edge to the last one's right."""
    own, label = telling()
    edges, curve = track(own, label)
    threshold = 0.5
    first, last = min((run for run in runs_above(curve, threshold) if run[0] > 4), key=lambda run: run[1] - run[0])
    begin, end = first - 5, min(len(curve), last + 6)
    figure = Figure(figsize=(7.5, 2.6), layout="constrained")
    axes = figure.add_subplot()
    for i in range(begin, end):
        active = curve[i] > threshold
        axes.fill_between(edges[i : i + 2], 0, curve[i], color=BLUE if active else GREY, alpha=0.8 if active else 0.4)
    axes.stairs(curve[begin:end], edges[begin : end + 1], color=DARK)
    axes.axhline(threshold, color=ORANGE, linewidth=1)
    axes.text(edges[end], threshold, " threshold", color=DARK, va="center")
    spans = [(edges[a], edges[b + 1] - edges[a]) for a, b in runs_above(curve, threshold)]
    axes.broken_barh(spans, (-0.16, 0.1), color=BLUE)
    axes.text(edges[begin], -0.11, "events ", ha="right", va="center")
    axes.set(xlim=(edges[begin], edges[end]), ylim=(-0.2, 1.02), xlabel="seconds, a tick at every frame edge")
    ticks = edges[begin : end + 1]
    axes.set_xticks(ticks, [f"{x:.2f}" if i % 3 == 0 else "" for i, x in enumerate(ticks)])
    axes.set_yticks([0, 0.5, 1])
    return figure


def runs_above(curve: np.ndarray, threshold: float) -> list[tuple[int, int]]:
    """Returns first and last frame of each run strictly above a threshold."""
    change = np.flatnonzero(np.diff(np.r_[0, curve > threshold, 0]))
    return [(int(a), int(b) - 1) for a, b in zip(change[::2], change[1::2], strict=True)]


def level() -> Figure:
    """Levels: each rectangle is one run of frames, as wide as the run, and as high as the thresholds at which it is there."""
    own, label = telling()
    edges, curve = (part[:n] for part, n in zip(track(own, label), (EXCERPT + 1, EXCERPT), strict=True))
    value, rank = np.unique(np.r_[0.0, curve], return_inverse=True)
    found = level_runs(torch.from_numpy(rank[1:]).reshape(1, -1, 1))
    figure = Figure(figsize=(7.5, 3.2), layout="constrained")
    axes = figure.add_subplot()
    for first, last, low, high in zip(found.first, found.last, found.low, found.high, strict=True):
        left, right = edges[int(first)], edges[int(last) + 1]
        bottom, top = value[int(low)], value[int(high)]
        axes.fill_between([left, right], bottom, top, facecolor=BLUE, alpha=0.25, edgecolor=BLUE, linewidth=0.6)
    axes.stairs(curve, edges, color=DARK)
    axes.set(xlim=(edges[0], edges[-1]), ylim=(0, 1.02), xlabel="seconds", ylabel=f"score of {label}")
    axes.set_title(f"{len(curve)} frames, {len(found.first)} distinct runs over all thresholds", loc="left")
    return figure


def candidate() -> Figure:
    """Candidates: F1 of one class over all clips, for each length of the median filter and each threshold."""
    label = telling()[1]
    values = class_f1(label)
    kernel, threshold = (np.array(parameter.candidates) for parameter in task().stack.space.parameters)
    figure = Figure(figsize=(7.5, 3), layout="constrained")
    axes = figure.add_subplot()
    grid = 100 * values.reshape(len(kernel), len(threshold))
    image = axes.imshow(grid, aspect="auto", origin="lower", cmap="viridis")
    row, column = divmod(int(values.argmax()), len(threshold))
    axes.plot(column, row, "o", markersize=11, markerfacecolor="none", markeredgecolor="white", markeredgewidth=2)
    axes.set_yticks(range(len(kernel)), [f"{k:g}" for k in kernel])
    shown = range(4, len(threshold), 10)
    axes.set_xticks(shown, [f"{threshold[i]:.2f}" for i in shown])
    axes.set(xlabel="threshold", ylabel="median filter, seconds")
    axes.set_title(f"{label}: {grid.size} candidates, the best {grid.max():.1f} %", loc="left")
    figure.colorbar(image, label="F1 in %")
    return figure


def class_f1(label: str) -> np.ndarray:
    """Returns the F1 of a class of every candidate, over all clips, ``[candidate]``."""
    counts, k = task().table.totals(), CLASSES.index(label)
    hits, found, wanted = (counts[name][:, k] for name in ("true_positives", "estimated", "reference"))
    return f1(hits, found, wanted).numpy()


def decoded_event() -> Figure:
    """Decoded events: all that the candidates decode of one track, those of most candidates darkest."""
    own, label = telling()
    edges, curve = track(own, label)
    decoded = task().decoded
    number = own * len(CLASSES) + CLASSES.index(label)
    events = decoded.of_tracks(number, number + 1)
    votes = torch.zeros(len(events), dtype=torch.int64).index_add_(0, events.event, events.high - events.low)
    figure = Figure(figsize=(7.5, 4.2), layout="constrained")
    line, axes = figure.subplots(2, 1, sharex=True, height_ratios=[1, 2.2])
    line.stairs(curve, edges, color=DARK)
    line.broken_barh(spans_of_references(own, label), (-0.2, 0.13), color=ORANGE)
    line.text(edges[0], -0.13, "references ", ha="right", va="center", fontsize=8)
    line.set(ylim=(-0.25, 1.02), yticks=[0, 1])
    order = votes.argsort(descending=True, stable=True)
    colours = matplotlib.colormaps["Blues"](0.25 + 0.75 * (votes[order] / votes.max()).sqrt().numpy())
    for row, (i, colour) in enumerate(zip(order.tolist(), colours, strict=True)):
        left = edges[int(events.first[i])]
        axes.broken_barh([(left, edges[int(events.last[i]) + 1] - left)], (row, 0.9), facecolor=colour)
    axes.set(xlim=(edges[0], edges[-1]), xlabel="seconds", ylabel="events, by votes")
    axes.invert_yaxis()
    found = f"{task().stack.space.n_candidates} candidates decode {len(events)} distinct events"
    line.set_title(f"{label}: {found}", loc="left")
    return figure


def lam() -> Figure:
    """λ: what each candidate is worth at a price λ; the best is worth nothing where λ is the highest F1."""
    label = telling()[1]
    counts, k = task().table.totals(), CLASSES.index(label)
    hits, found, wanted = (counts[name][:, k].double() for name in ("true_positives", "estimated", "reference"))
    price = torch.linspace(0, 1, 101, dtype=torch.float64)
    worth = 2 * hits[:, None] - price * (found + wanted)[:, None]
    best = float(class_f1(label).max())
    figure = Figure(figsize=(7.5, 3), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(price, worth[::17].T.numpy(), color=GREY, linewidth=0.4, alpha=0.6)
    axes.plot(price, worth.amax(0).numpy(), color=BLUE, linewidth=2, label="the best candidate at each λ")
    axes.axhline(0, color=DARK, linewidth=0.8)
    axes.axvline(best, color=ORANGE, linewidth=1)
    axes.plot(best, 0, "o", color=ORANGE, label=f"λ = highest F1 = {best:.3f}")
    low = float(worth[class_f1(label).argmax()].min())
    axes.set(xlim=(0, 1), ylim=(1.3 * low, 1.05 * float(worth.max())), xlabel="λ", ylabel="2·TP − λ·(est + ref)")
    axes.legend(frameon=False, loc="upper right")
    return figure


def held_out() -> Figure:
    """The held-out protocol: which clips are tuned on and which counted, and what both give."""
    fold, table = fold_of_clips(detector().clip_ids), task().table
    figure = Figure(figsize=(7.5, 2.4), layout="constrained")
    clips, bars = figure.subplots(1, 2, width_ratios=[2, 1], sharey=True)
    counted = (fold[None] == torch.arange(5)[:, None]).numpy()
    two = matplotlib.colors.ListedColormap(["#d9d9d9", BLUE])
    clips.pcolormesh(counted[:, :EXCERPT], cmap=two, edgecolors="white", linewidth=0.3)
    clips.set_yticks(np.arange(5) + 0.5, [f"fold {i + 1}" for i in range(5)])
    clips.set(xlabel=f"{EXCERPT} of {len(fold)} clips (blue: counted, grey: tuned on)")
    clips.invert_yaxis()
    for i in range(5):
        training, others = (table.select((fold != i).nonzero()[:, 0]), table.select((fold == i).nonzero()[:, 0]))
        choice = training.best_per_class(Macro())
        for part, mark, colour, name in (training, "s", GREY, "on its training clips"), (others, "o", BLUE, "held out"):
            bars.plot(100 * part.score(choice).macro, i + 0.5, mark, color=colour, label=None if i else name)
    bars.set(xlabel="macro F1 in %, best constants")
    bars.legend(frameon=False, fontsize=7, loc="lower center", bbox_to_anchor=(0.5, 1), ncol=2)
    return figure


PICTURES: dict[str, Callable[[], Figure]] = {
    "clip": clip,
    "track": tracks,
    "frame": frame,
    "level": level,
    "candidate": candidate,
    "decoded_event": decoded_event,
    "lambda": lam,
    "held_out": held_out,
}


def main() -> None:
    """Draws what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(PICTURES)}; all by default")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "pictures")
    given = parser.parse_args()
    if unknown := {*given.names} - {*PICTURES}:
        parser.error(f"no such picture: {', '.join(sorted(unknown))}")
    given.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    for name in given.names or PICTURES:
        with whole_file(given.out / f"{name}.svg") as temporary:
            PICTURES[name]().savefig(temporary, format="svg", metadata={"Date": None}, bbox_inches="tight")


if __name__ == "__main__":
    main()
