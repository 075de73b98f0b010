"""Clips that tell how one event list differs from another: where it gains most, as usual, and where it loses most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from matplotlib.figure import Figure

from rl_postproc.data.events import Events
from rl_postproc.data.scores import ScoreSet
from rl_postproc.metrics.base import Metric, floating
from rl_postproc.results.clips import plot_clips
from rl_postproc.results.figures import save
from rl_postproc.results.plots import plot_curves
from rl_postproc.results.tables import score_label
from rl_postproc.task import TuningTask


def plot_examples(scores: ScoreSet, metric: Metric, before: Events, after: Events, name: str) -> Figure:
    """Draws the clips with the largest gain, the median gain and the largest loss of an event list over the defaults.

    Args:
        scores: the score set, with references.
        metric: what is counted.
        before: events of the defaults.
        after: events to compare with them.
        name: what the latter are called.
    """
    references = scores.require_references()
    gain = clip_gain(metric, references, after, before)
    busy = (references.counts() + after.counts() + before.counts()).sum(1)
    titles = {
        clip: f"{what} of '{name}': clip {scores.clip_ids[clip]}, {float(gain[clip]):+.2f} "
        f"{score_label(metric.score_name)} in sum over its classes"
        for clip, what in telling_clips(gain, busy).items()
    }
    return plot_clips(scores, titles, {"defaults": before, name: after})


def draw_run(
    out: Path, title: str, task: TuningTask, name: str, events: Events, curve: Sequence[Mapping[str, float]]
) -> None:
    """Draws a tuned post-processor: ``curve.png`` where there is a learning curve, ``clip.png`` where clips have frames.

    Args:
        out: folder.
        title: what the curve shows.
        task: the clips that it was tuned on.
        name: of the agent.
        events: what the post-processor has found on them.
        curve: figures along the way.
    """
    figure = plot_curves({name: [curve]}, title, task.metric.score_name)
    if figure.axes[0].lines:
        save(figure, out / "curve.png")
    if task.scores.width > 1:
        scores = task.scores.to("cpu")
        before = task.stack.events(scores, task.stack.space.defaults)
        save(plot_examples(scores, task.metric, before, events.to("cpu"), name), out / "clip.png")


def clip_gain(metric: Metric, references: Events, after: Events, before: Events) -> torch.Tensor:
    """Returns by how much the scores of each clip's classes rise in sum, float64 ``[clip]``.

    A class without references in a clip has no score there; silence counts 1 and output 0.
    """
    total = torch.zeros(len(references.clip_ids), dtype=torch.float64)
    for sign, events in ((1, after), (-1, before)):
        counts = metric.count(references, events)
        score = metric.score(floating(counts))
        total += sign * torch.where(score.isnan(), (metric.output(counts) == 0).double(), score).sum(1)
    return total


def telling_clips(gain: torch.Tensor, busy: torch.Tensor) -> dict[int, str]:
    """Chooses the clips with the largest gain, the median and the largest loss, and says what each of them is.

    Args:
        gain: of each clip, ``[clip]``.
        busy: how much there is to see of each, ``[clip]``; of equal gains the busiest clip is chosen.
    """
    ordered = gain.sort().values
    most, least = float(ordered[-1]), float(ordered[0])
    values = {
        "Largest gain" if most > 0 else "No gain" if most == 0 else "Smallest loss": most,
        "Median gain": float(ordered[(len(ordered) - 1) // 2]),
        "Largest loss" if least < 0 else "No loss" if least == 0 else "Smallest gain": least,
    }
    found: dict[int, str] = {}
    for what, value in values.items():
        clip = int(torch.where(gain == value, busy.double(), -1.0).argmax())
        found.setdefault(clip, what)
    return found
