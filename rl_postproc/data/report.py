"""The data report: what a score set holds, how that is known, what was left out, and what looks wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from rl_postproc.data.checked_pieces import ClipFacts
from rl_postproc.data.clip_source import ScoreSource
from rl_postproc.data.origin import Origin
from rl_postproc.data.probabilities import scores_clipped
from rl_postproc.data.reference_checks import late_clips, reference_problems
from rl_postproc.data.score_checks import class_problems, flat_classes, frames_cut
from rl_postproc.data.scores import ScoreSet
from rl_postproc.data.streamed import StreamedScores


@dataclass(frozen=True)
class DataReport:
    """What a score set holds.

    Attributes:
        n_clips: number of clips.
        classes: class names.
        hop: seconds per frame.
        n_frames: frames of the shortest and of the longest clip.
        seconds: length of the shortest and of the longest clip.
        origin: how hop and lengths are known.
        references: number of reference events of each class, None where there are no references.
        n_silent: number of clips without a reference event.
        notes: sentences on what was guessed, cut or skipped, and on what looks wrong.
    """

    n_clips: int
    classes: tuple[str, ...]
    hop: float
    n_frames: tuple[int, int]
    seconds: tuple[float, float]
    origin: Origin
    references: dict[str, int] | None
    n_silent: int
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Returns the JSON form."""
        return {
            "clips": self.n_clips,
            "classes": list(self.classes),
            "format": self.origin.format,
            "hop": self.hop,
            "hop_known": self.origin.hop,
            "frames": list(self.n_frames),
            "seconds": list(self.seconds),
            "seconds_known": self.origin.durations,
            "references": self.references,
            "clips_without_references": self.n_silent if self.references is not None else None,
            "notes": list(self.notes),
        }


def data_report(scores: ScoreSet) -> DataReport:
    """Returns what a score set holds, and what looks wrong in it.

    Example:
        >>> from rl_postproc import ScoreSet, data_report
        >>> arrays = {"a": [[0.1, 0.0], [0.9, 0.2], [0.8, 0.1]], "b": [[0.0, 0.7], [0.1, 0.6]]}
        >>> report = data_report(ScoreSet.from_arrays(arrays, hop=0.5, classes=["Cat", "Dog"], references=[]))
        >>> report.n_clips, report.n_frames, report.references
        (2, (2, 3), {'Cat': 0, 'Dog': 0})
        >>> report.notes
        ('There is no reference event at all, so that nothing can be found; check the references.',)
    """
    references, n_silent = None, 0
    if scores.references is not None:
        n_events = torch.bincount(scores.references.label, minlength=scores.n_classes)
        references = dict(zip(scores.classes, n_events.tolist(), strict=True))
        n_silent = scores.n_clips - len(scores.references.clip.unique())
    return DataReport(
        scores.n_clips,
        scores.classes,
        scores.hop,
        (int(scores.n_frames.min()), int(scores.n_frames.max())),
        (float(scores.durations.min()), float(scores.durations.max())),
        scores.origin,
        references,
        n_silent,
        tuple(dict.fromkeys([*scores.origin.notes, *data_problems(scores)])),
    )


def streamed_report(source: ScoreSource, facts: Sequence[ClipFacts]) -> DataReport:
    """Returns what a set of clips holds that was read in pieces, and what looks wrong in it.

    Args:
        source: where the clips come from.
        facts: of each clip, once it is read.
    """
    names = [own.clip_id for own in facts]
    durations, ends = (torch.tensor([getattr(own, name) for own in facts], dtype=torch.float64)
                       for name in ("duration", "end"))  # fmt: skip
    lost, given = (torch.tensor([getattr(own, name) for own in facts]) for name in ("n_lost", "n_given"))
    lowest, highest = (torch.from_numpy(np.stack(rows)) for rows in
                       ([own.lowest for own in facts], [own.highest for own in facts]))  # fmt: skip
    notes = [frames_cut(lost, given, names, durations)]
    if clipped := sum(own.n_clipped for own in facts):
        clip, (label, frame, score) = next((own.clip_id, own.first_clipped) for own in facts if own.first_clipped)
        notes.append(scores_clipped(clipped, f"clip '{clip}', class '{label}', frame {frame}: the score {score}"))
    notes += late_clips(names, durations, ends, source.hop)
    notes += flat_classes(lowest.amin(0), highest.amax(0), source.classes)
    n_frames = [own.n_frames for own in facts]
    return DataReport(
        len(facts),
        source.classes,
        source.hop,
        (min(n_frames), max(n_frames)),
        (float(durations.min()), float(durations.max())),
        Origin(source.format, source.hop_known, source.lengths_known),
        None,
        0,
        tuple(note for note in notes if note),
    )


def data_problems(scores: ScoreSet) -> list[str]:
    """Returns what looks wrong in scores and references, one sentence each; empty if nothing does."""
    if scores.references is not None and not len(scores.references):
        return ["There is no reference event at all, so that nothing can be found; check the references."]
    # Of scores that are read in parts those of quiet tracks are left out, so that a silent class tells nothing.
    return reference_problems(scores) + ([] if isinstance(scores, StreamedScores) else class_problems(scores))
