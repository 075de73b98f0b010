"""Applying a post-processor to files: any number of them, of any length, here or by several workers."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rl_postproc.data.checked_pieces import CheckedClip, ClipFacts
from rl_postproc.data.clip_source import ClipSource, ScoreSource
from rl_postproc.data.events import Events
from rl_postproc.data.report import DataReport, data_report, streamed_report
from rl_postproc.data.streamed import StreamedScores
from rl_postproc.formats.read import read_scores
from rl_postproc.formats.stream import stream_scores
from rl_postproc.pipeline.apply_parts import apply_parts
from rl_postproc.pipeline.other_hop import other_hop
from rl_postproc.pipeline.policy import Constant
from rl_postproc.pipeline.postprocessor import PostProcessor, require_classes
from rl_postproc.pipeline.streaming import not_in_pieces, stream_events
from rl_postproc.utils.errors import UserError, heard_warnings, unwarned, warn
from rl_postproc.work import Engine, Report, Serial, in_order

LARGE_FILE, LARGE_SET = 1 << 22, 1 << 28
"""Bytes of a file, and of all files, from which on they are read in pieces where that is possible."""
PIECE_BYTES = 1 << 20
"""Size of the scores that are read at a time."""

Columns = tuple[np.ndarray, ...]
"""Clip, label, onset, offset and confidence of events."""
Progress = Callable[[str, float, dict[str, float]], None]
"""Called with what is being done, the share that is done, and figures."""


@dataclass(frozen=True)
class ScoreFiles:
    """The scores of one detector on a set of clips, as files.

    Attributes:
        path: where they lie.
        options: keywords of `rl_postproc.formats.read_scores`.
        note: a sentence on how they were found, for the report.
    """

    path: Path
    options: dict[str, Any] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True)
class Applied:
    """What came of it.

    Attributes:
        events: of all clips of all sets, in the order in which they were given.
        reports: what each set holds.
        gives_confidence: whether the events say how sure they are.
    """

    events: Events
    reports: tuple[DataReport, ...]
    gives_confidence: bool


def apply_files(
    load: Callable[[], PostProcessor],
    sets: Sequence[ScoreFiles],
    *,
    engine: Engine | None = None,
    progress: Progress | None = None,
    told: Callable[[DataReport], None] | None = None,
) -> Applied:
    """Applies a post-processor to sets of files.

    Constant parameters are applied clip by clip where there are several workers or large files, read in pieces where all
    stages allow it; the results are the same. Other policies look at clips as a whole, and may look at all clips of a set.

    Args:
        load: makes the post-processor; pickled where workers are other processes.
        sets: the files; no clip may be in two of them.
        engine: where they are worked on, from where all files are found by their paths; here when None.
        progress: told what is being done.
        told: told what each set holds, in order.

    Raises:
        UserError: the scores cannot be used, or the post-processor does not suit them.

    Warns:
        DataWarning: the scores have frames of another length than those that the post-processor was tuned on.
    """
    processor, engine = load(), engine or Serial()
    plan = [_planned(processor, files, engine.is_apart) for files in sets]
    tasks: list[_Task] = []
    for i, (files, source) in enumerate(zip(sets, plan, strict=True)):
        if source is None:
            tasks.append(_Task(i, None, str(files.path)))
        else:
            tasks += [_Task(i, clip, source.clips[clip].clip_id) for clip in range(len(source.clips))]
    worker = functools.partial(_Worker, load if engine.is_apart else _already(processor), tuple(sets), tuple(plan))
    results: list[list[_Result]] = [[] for _ in sets]
    reports: list[DataReport] = []
    if progress:
        progress(f"applying to {tasks[0].name}", 0.0, {"done": 0, "of": len(tasks)})
    for n, (task, result) in enumerate(in_order(engine, worker, tasks), 1):
        for sentence in result.said:
            warn(sentence)
        results[task.number].append(result)
        source = plan[task.number]
        if source is None or task.clip == len(source.clips) - 1:
            reports.append(_report(processor, source, results[task.number], sets[task.number].note))
            if told:
                told(reports[-1])
        if progress:
            name = tasks[n].name if n < len(tasks) else "writing"
            progress(f"applying to {name}", n / len(tasks), {"done": n, "of": len(tasks)})
    return Applied(
        _merged([result for own in results for result in own]),
        tuple(reports),
        processor.policy.gives_confidence(processor.stack),
    )


@dataclass(frozen=True)
class _Task:
    """What is worked on at a time: a clip of a set, or all of them where ``clip`` is None."""

    number: int
    clip: int | None
    name: str


@dataclass(frozen=True)
class _Result:
    """What a task gives: plain arrays, which go from process to process."""

    clip_ids: tuple[str, ...]
    classes: tuple[str, ...]
    columns: Columns
    facts: ClipFacts | None
    report: DataReport | None
    said: tuple[str, ...]


class _Worker:
    """Applies a post-processor to one task after another."""

    def __init__(
        self,
        load: Callable[[], PostProcessor],
        sets: Sequence[ScoreFiles],
        plan: Sequence[ScoreSource | None],
    ):
        self._processor, self._sets, self._plan = load(), sets, plan

    def __call__(self, task: _Task, report: Report) -> _Result:
        with heard_warnings() as said, unwarned():
            source = self._plan[task.number]
            if source is None or task.clip is None:
                result = self._whole(self._sets[task.number])
            else:
                result = self._in_pieces(source, source.clips[task.clip])
        known = result.report.notes if result.report else ()
        sentences = tuple(dict.fromkeys(sentence for sentence in said if sentence not in known))
        return _Result(result.clip_ids, result.classes, result.columns, result.facts, result.report, sentences)

    def _whole(self, files: ScoreFiles) -> _Result:
        scores = read_scores(files.path, **files.options, in_parts=True)
        if files.note:
            scores = scores.with_origin(notes=(files.note, *scores.origin.notes))
        self._processor.check(scores)
        report = data_report(scores)
        if isinstance(scores, StreamedScores):
            events = apply_parts(self._processor, scores)[0]
        else:
            events = self._processor.apply(scores)
        columns = events.clip, events.label, events.onset, events.offset, events.confidence
        return _Result(events.clip_ids, events.classes, tuple(c.numpy() for c in columns), None, report, ())

    def _in_pieces(self, source: ScoreSource, clip: ClipSource) -> _Result:
        processor = self._processor
        assert isinstance(processor.policy, Constant)
        classes = processor.classes or source.classes
        checked = CheckedClip(clip, source.classes, classes, max(1, PIECE_BYTES // (4 * len(classes))))
        found = stream_events(checked.pieces, processor.stack, processor.policy.values, source.hop, clip.duration)
        clips = np.zeros(len(found), dtype=np.int64)
        columns = found.track, found.onset, found.offset, found.confidence
        return _Result((clip.clip_id,), classes, (clips, *(c.numpy() for c in columns)), checked.facts, None, ())


def _planned(processor: PostProcessor, files: ScoreFiles, apart: bool) -> ScoreSource | None:
    """Returns the clips of a set where they are to be worked on one by one, in pieces, else None.

    Warns:
        DataWarning: large files are read as a whole; or frames are of another length than those of the tuning.
    """
    sizes = [file.stat().st_size for file in ([files.path] if files.path.is_file() else files.path.glob("*"))]
    large = max(sizes, default=0) > LARGE_FILE or sum(sizes) > LARGE_SET
    # References may call clips by other names than their files.
    unsuited = not isinstance(processor.policy, Constant) or files.options.get("references") is not None
    if unsuited or not (large or apart):
        return None
    if stage := not_in_pieces(processor.stack):
        warn(f"The stage '{stage}' looks at clips as a whole, so '{files.path}' is read into memory as a whole.")
        return None
    options = {name: value for name, value in files.options.items() if name != "references"}
    source = stream_scores(files.path, **options)
    if source is None:
        return None
    require_classes(source.classes, processor.classes)
    said = "" if processor.hop is None else other_hop(source.hop, processor.hop, processor.policy, processor.stack)
    if said:
        warn(said)
    return source


def _report(processor: PostProcessor, source: ScoreSource | None, results: list[_Result], note: str) -> DataReport:
    if source is None:
        report = results[0].report
        assert report is not None
        return report
    ordered = ScoreSource(processor.classes or source.classes, source.clips, source.hop, source.format,
                          source.hop_known, source.lengths_known)  # fmt: skip
    report = streamed_report(ordered, [result.facts for result in results if result.facts is not None])
    return replace(report, notes=(note, *report.notes)) if note else report


def _merged(results: list[_Result]) -> Events:
    """Returns the events of all results over the clips and classes of all of them."""
    clip_ids = tuple(name for result in results for name in result.clip_ids)
    if len(set(clip_ids)) < len(clip_ids):
        seen: set[str] = set()
        twice = next(name for name in clip_ids if name in seen or seen.add(name))
        raise UserError(f"The clip '{twice}' is in two of the sets of scores; apply to them one after the other.")
    classes = tuple(dict.fromkeys(name for result in results for name in result.classes))
    parts, before = [], 0
    for result in results:
        label = np.array([classes.index(name) for name in result.classes])
        clip, own, *rest = result.columns
        parts.append((clip + before, label[own], *rest))
        before += len(result.clip_ids)
    columns = [torch.from_numpy(np.concatenate(column)) for column in zip(*parts, strict=True)]
    return Events.from_tensors(clip_ids, classes, *columns)


def _already(processor: PostProcessor) -> Callable[[], PostProcessor]:
    return lambda: processor
