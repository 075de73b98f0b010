"""What files and folders hold, clip by clip and class by class, and whether scores among them can be tuned."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rl_postproc.data.report import DataReport, data_report
from rl_postproc.data.scores import ScoreSet
from rl_postproc.formats.base import Given
from rl_postproc.formats.clips import load_references
from rl_postproc.formats.companions import Table, nearest
from rl_postproc.formats.durations import read_durations
from rl_postproc.formats.read import AUTO, read_scores
from rl_postproc.formats.survey import Found, survey
from rl_postproc.utils.errors import UserError, unwarned

TAGS = "tags"


@dataclass(frozen=True)
class Summary:
    """What one file or folder holds.

    Attributes:
        found: where it lies and what it is.
        facts: what is in it, such as the number of clips, in the order in which it is told.
        problem: why it cannot be read, else empty.
    """

    found: Found
    facts: dict[str, Any] = field(default_factory=dict)
    problem: str = ""


@dataclass(frozen=True)
class ScoreSummary(Summary):
    """What one set of scores holds, with the references and durations that lie with it.

    Attributes:
        references: where its references lie, None where there are none.
        durations: where its durations lie.
        subset: whether references and durations name further clips.
        report: what it holds, None where it cannot be read.
        notes: what was guessed.
    """

    references: Path | None = None
    durations: Path | None = None
    subset: bool = False
    report: DataReport | None = None
    notes: tuple[str, ...] = ()

    @property
    def can_be_tuned(self) -> bool:
        """Whether there are reference events to tune by."""
        return self.report is not None and bool(sum((self.report.references or {}).values()))


def examine(
    paths: Sequence[Path],
    given: Given | None = None,
    format: str | dict[str, Any] = AUTO,
    tell: Callable[[str, float], None] = lambda what, share: None,
) -> list[Summary]:
    """Looks through files and folders, and reads what is there.

    Args:
        paths: what to look through.
        given: references, durations, classes and hop that are known; references and durations that are not are sought
            among the files.
        format: format of the scores.
        tell: is told what is being read, and how much of all is done.

    Raises:
        UserError: a path does not exist.
    """  # fmt: skip
    given = given or Given()
    summaries: list[Summary] = []
    found = survey(paths)
    scores = [one for one in found if one.kind == "scores" or (one.kind == "unclear" and format != AUTO)]
    tables: dict[str, list[Table]] = {"events": [], "durations": []}
    for i, one in enumerate(found):
        if one in scores:
            continue
        tell(f"reading {one.path}", i / (len(found) + len(scores)))
        summary, clips = _table(one)
        summaries.append(summary)
        if one.kind in tables and clips:
            tables[one.kind].append(Table(one.path, frozenset(clips)))
    bare = []
    for i, one in enumerate(scores):
        tell(f"reading {one.path}", (len(found) + i) / (len(found) + len(scores)))
        bare.append(_bare(one, given, format))
    truths = [(one, own) for one, own in zip(scores, bare, strict=True) if isinstance(own, ScoreSet) and _is_truth(own)]
    for one, own in zip(scores, bare, strict=True):
        if any(one is truth for truth, _ in truths):
            assert isinstance(own, ScoreSet)
            facts = {"clips": own.n_clips, "tags": own.n_classes, "events": int(own.scores.sum())}
            summaries.append(Summary(Found(one.path, "events", one.formats), facts))
        else:
            summaries.append(_scores(one, own, given, format, tables, truths))
    order = {id(one): i for i, one in enumerate(found)}
    places = {str(one.path): order[id(one)] for one in found}
    return sorted(summaries, key=lambda summary: places[str(summary.found.path)])


def _table(found: Found) -> tuple[Summary, list[str]]:
    """Reads events or durations; of other things there is nothing to tell but their number."""
    try:
        if found.kind == "durations":
            seconds = read_durations(found.path)
            hours = round(sum(seconds.values()) / 3600, 3)
            return Summary(found, {"clips": len(seconds), "seconds": _span(seconds.values()), "hours": hours}), list(
                seconds
            )
        if found.kind == "events":
            table = load_references(found.path)
            assert table is not None
            rows = [row for row in table.rows if row.label is not None]
            n_silent = len(table.clips) - len({row.filename for row in rows})
            n_classes = len({row.label for row in rows})
            facts: dict[str, Any] = {"clips": len(table.clips), "events": len(rows), "classes": n_classes}
            facts |= {"clips without events": n_silent} if n_silent else {}
            facts |= (
                {"seconds": _span([float(t) for row in rows for t in (row.onset, row.offset) if t is not None])}
                if rows
                else {}
            )
            return Summary(found, facts), table.clips
    except UserError as error:
        return Summary(found, problem=str(error)), []
    return Summary(found, {"files": found.n_files} if found.n_files > 1 else {}), []


def _bare(found: Found, given: Given, format: str | dict[str, Any]) -> ScoreSet | UserError:
    """Reads scores without anything beside them, to know their clips."""
    try:
        with unwarned():
            return read_scores(found.path, format=format, classes=given.classes, hop=given.hop)
    except UserError as error:
        return error


def _is_truth(scores: ScoreSet) -> bool:
    """Returns whether these are reference tags and not probabilities."""
    values = scores.scores
    return scores.origin.format == TAGS and bool(((values == 0) | (values == 1)).all()) and bool((values == 1).any())


def _scores(
    found: Found, bare: ScoreSet | UserError, given: Given, format: str | dict[str, Any],
    tables: dict[str, list[Table]], truths: list[tuple[Found, ScoreSet]],
) -> ScoreSummary:  # fmt: skip
    """Reads scores with the references and durations that lie with them."""
    if isinstance(bare, UserError):
        return ScoreSummary(found, problem=str(bare))
    references = None if given.references is None else Path(given.references)
    durations = None if given.durations is None else Path(given.durations)
    notes = []
    if bare.origin.format == TAGS:
        if references is None and bare.references is None:
            references, said = _truth_of(found, bare, truths, tables)
            notes += [said] if said else []
    else:
        if references is None and bare.references is None:
            references, said = nearest(found.path, bare.clip_ids, tables["events"], references=True)
            notes += [said] if said else []
        if durations is None:
            durations, said = nearest(found.path, bare.clip_ids, tables["durations"], references=False)
            notes += [said] if said else []
    problem = ""
    for subset in (True,) if given.subset else (False, True):
        try:
            with unwarned():
                whole = read_scores(found.path, format=format, references=references, durations=durations,
                                    classes=given.classes, hop=given.hop, subset=subset)  # fmt: skip
        except UserError as error:
            problem = problem or str(error)
            continue
        notes += [problem] if problem else []
        return ScoreSummary(found, {}, "", references, durations, subset, data_report(whole), tuple(notes))
    return ScoreSummary(found, {}, problem, references, durations, False, None, tuple(notes))


def _truth_of(
    found: Found, scores: ScoreSet, truths: list[tuple[Found, ScoreSet]], tables: dict[str, list[Table]]
) -> tuple[Path | None, str]:
    """Chooses the reference tags of tags: those of the same shape whose name ends most alike, else a table of labels."""
    same = [one for one, own in truths if own.scores.shape == scores.scores.shape]
    if not same:
        return nearest(found.path, scores.clip_ids, tables["events"], references=True)
    alike = [_common_end(one.path.stem, found.path.stem) for one in same]
    best = max(alike)
    if alike.count(best) > 1:
        first, second = [one.path for one, n in zip(same, alike, strict=True) if n == best][:2]
        return None, f"The reference tags may be '{first}' or '{second}'; say which with --references."
    return same[alike.index(best)].path, ""


def _common_end(a: str, b: str) -> int:
    return next(
        (i for i, (x, y) in enumerate(zip(reversed(a), reversed(b), strict=False)) if x != y), min(len(a), len(b))
    )


def _span(values: Collection[float]) -> str:
    least, most = min(values), max(values)
    return f"{least:g}" if least == most else f"{least:g} to {most:g}"
