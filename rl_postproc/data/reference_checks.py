"""What looks wrong in reference events and durations, in sentences that count, name the first and tell the remedy.

Nothing is changed: references count as they stand, as in sed_eval.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from rl_postproc.data.events import Events

if TYPE_CHECKING:
    from rl_postproc.data.scores import ScoreSet

ROUNDING = 0.2
"""Seconds, the usual collar, by which an event may pass its clip's end without a word: times and lengths are rounded."""
SAMPLE_RATES = (8000, 16000, 22050, 24000, 32000, 44100, 48000)


def reference_problems(score_set: ScoreSet) -> list[str]:
    """Returns what looks wrong in the references and durations of a score set, one sentence each; empty if nothing does.

    Looked for are events that are listed more than once, events that pass their clip's end, times in milliseconds,
    frames or samples, and clips that last longer than their scores.
    """
    found = score_problems(score_set)
    if score_set.references is not None:
        found = event_problems(score_set.references, score_set.durations, score_set.hop) + found
    return found


def event_problems(events: Events, durations: torch.Tensor | None = None, hop: float | None = None) -> list[str]:
    """Returns what looks wrong in reference events.

    Args:
        events: the references.
        durations: length of each clip in seconds, float64 ``[clip]``; without them only repeated events are looked for.
        hop: frame length in seconds, by which times that are frame numbers are known.
    """
    found = [repeated_events(events)]
    if durations is not None:
        ends = durations.to(events.offset.device)[events.clip]
        found.append(other_unit(events, ends, hop) or late_events(events, ends, hop))
    return [sentence for sentence in found if sentence]


def repeated_events(events: Events) -> str:
    """Says which events are listed more than once, or nothing."""
    columns = torch.stack([events.clip.double(), events.label.double(), events.onset, events.offset])
    again = (columns[:, 1:] == columns[:, :-1]).all(0).nonzero()[:, 0] + 1
    if not len(again):
        return ""
    return (f"{_of(len(again), events)} repeat another one ({_first(events, again)}); each row counts as an event of "
            "its own, as in sed_eval, so that a repeated one is missed; remove the repeated rows.")  # fmt: skip


def late_events(events: Events, ends: torch.Tensor, hop: float | None = None) -> str:
    """Says which events pass their clip's end by more than rounding, or nothing.

    Args:
        events: the references.
        ends: end of each event's clip in seconds, float64 ``[event]``.
        hop: frame length in seconds; clips without durations end with their last whole frame.
    """
    allowed = max(ROUNDING, hop or 0.0)
    late = (events.offset > ends + allowed).nonzero()[:, 0]
    if not len(late):
        return ""
    return (f"{_of(len(late), events)} end more than {allowed:g} s after their clip ({_first(events, late)}, which ends "
            f"at {float(ends[late[0]]):g} s); they count as they stand, as in sed_eval, though nothing is detected past "
            "a clip's end; correct the references, the durations or the hop.")  # fmt: skip


def other_unit(events: Events, ends: torch.Tensor, hop: float | None = None, end: str = "their clip's end") -> str:
    """Says that the times of events look like milliseconds, frames or samples, or nothing.

    Args:
        events: the references.
        ends: time in seconds that each event hardly passes, float64 ``[event]``.
        hop: frame length in seconds.
        end: what these times are, for the message.
    """
    late = (events.offset > ends + ROUNDING).nonzero()[:, 0]
    if 2 * len(late) <= len(events):
        return ""
    units = [("milliseconds; divide them by 1000", 1e-3)]
    times = torch.cat([events.onset, events.offset])
    if bool((times == times.round()).all()):
        units += [(f"frame numbers; multiply them by the hop of {hop:g} s", hop)] if hop else []
        units += [(f"samples at {rate} Hz; divide them by {rate}", 1 / rate) for rate in SAMPLE_RATES]
    # Of the units in which the events end within their clips, the true one is that in which the last ends latest.
    reach = float((events.offset / ends).max())
    fits = [(reach * seconds, text) for text, seconds in units if 0.2 < reach * seconds <= 1.05]
    if not fits:
        return ""
    return (f"{_of(len(late), events)} lie past {end} ({_first(events, late)}), and their times look like "
            f"{max(fits)[1]}, because times are given in seconds.")  # fmt: skip


def score_problems(score_set: ScoreSet) -> list[str]:
    """Returns a sentence if most clips last longer than their scores by more than rounding.

    Single ones may: operating points end with the last detection of the set.
    """
    edges = score_set.edges.expand(score_set.n_clips, -1)
    ends = edges.gather(1, score_set.n_frames[:, None])[:, 0]
    return late_clips(score_set.clip_ids, score_set.durations, ends, score_set.hop)


def late_clips(clip_ids: Sequence[str], durations: torch.Tensor, ends: torch.Tensor, hop: float) -> list[str]:
    """Returns a sentence if most clips last longer than their scores by more than rounding.

    Args:
        clip_ids: names of the clips.
        durations: their lengths in seconds, float64 ``[clip]``.
        ends: ends of their last frames, likewise.
        hop: frame length in seconds.
    """
    short = (durations - ends > max(ROUNDING, 2 * hop)).nonzero()[:, 0]
    if 2 * len(short) <= len(clip_ids):
        return []
    first = int(short[0])
    length, end = float(durations[first]), float(ends[first])
    unit = "; the durations look like milliseconds, so divide them by 1000" if 500 * end < length < 2000 * end else (
        "; nothing is detected after that: check the durations and the hop")  # fmt: skip
    return [f"{len(short)} of {len(clip_ids)} clips last longer than their scores (the first: "
            f"'{clip_ids[first]}' of {length:g} s, whose scores end at {end:g} s){unit}."]  # fmt: skip


def _of(count: int, events: Events) -> str:
    return f"{count} of {len(events)} reference events"


def _first(events: Events, found: torch.Tensor) -> str:
    i = int(found[0])
    clip, label = events.clip_ids[int(events.clip[i])], events.classes[int(events.label[i])]
    return f"the first: '{label}' from {float(events.onset[i]):g} to {float(events.offset[i]):g} s in clip '{clip}'"
