"""A folder of scores that a detector fills, recording by recording, and takes up again where it was stopped."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rl_postproc.formats import read_durations
from rl_postproc.sources.detector import ClipScores, Detector
from rl_postproc.sources.recordings import Recording, clip_name
from rl_postproc.utils.errors import UserError, warn
from rl_postproc.utils.files import read_json, unwritable, whole_file, write_json, write_text
from rl_postproc.utils.plain_values import shortened

SCORES, DURATIONS, SETTINGS = "scores", "durations.tsv", ".settings.json"
ROWS = 4096
"""Rows of scores that are made text at a time."""
TOLERANCE = 0.001
"""Seconds by which headers may be wrong about the length of a recording."""

Show = Callable[[str, float, dict[str, float]], None]
"""Is told what is being done, which share of it is, and counts."""


class Written(NamedTuple):
    """What a folder of scores holds.

    Attributes:
        n_new: recordings that were scored now.
        n_kept: recordings whose scores were there.
    """

    n_new: int
    n_kept: int


def score_folder(
    detector: Detector,
    recordings: Sequence[Recording],
    out: Path,
    fresh: bool = False,
    show: Show = lambda what, fraction, figures: None,
) -> Written:
    """Writes the scores of recordings to ``out/scores``, one table each, and their lengths to ``out/durations.tsv``.

    The tables have the columns onset, offset and one for each class, as sed_scores_eval writes them. Each appears when it is
    finished; those that are there, of the same settings and as long as their recordings, are kept.

    Args:
        detector: what gives the scores.
        recordings: what to score.
        out: the folder.
        fresh: whether what is there is replaced.
        show: is told how the work goes on.

    Warns:
        DataWarning: scores that are there do not fit their recordings and are made anew.

    Raises:
        UserError: the folder holds scores of other settings or other tables, or a recording cannot be scored.
    """
    folder = out / SCORES
    _open(folder, detector.settings, fresh)
    missing = _missing(recordings, folder)
    total = sum(recording.duration for recording in missing) or 1.0
    done, lengths = 0.0, {r.clip: round(r.duration, 6) for r in recordings if r.duration}

    def tell(seconds: float = 0.0) -> None:
        nonlocal done
        done += seconds
        show("scoring", min(done / total, 1.0), {"recordings": n_new})

    n_new = 0
    tell()
    for recording, scores in detector.run(missing, tell):
        write_table(folder / f"{recording.clip}.tsv", scores, detector.classes)
        lengths[recording.clip] = scores.duration
        n_new += 1
        tell()
    _write_durations(out / DURATIONS, folder, {r.clip: r.path.name for r in recordings}, lengths)
    return Written(n_new, len(recordings) - n_new)


def write_table(path: Path, scores: ClipScores, classes: Sequence[str]) -> None:
    """Writes the table of one recording, whole or not at all.

    Scores have as many digits as reading the same float32 again takes, times are true to the microsecond.
    """
    edges = scores.edges.tolist()
    with whole_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        file.write("\t".join(("onset", "offset", *classes)) + "\n")
        for first in range(0, len(scores.scores), ROWS):
            texts = scores.scores[first : first + ROWS].astype(np.float32).astype(str)
            for row, fields in enumerate(texts, first):
                line = "\t".join(fields)
                frames = range(row * scores.repeat, min((row + 1) * scores.repeat, scores.n_frames))
                file.writelines(f"{edges[frame]!r}\t{edges[frame + 1]!r}\t{line}\n" for frame in frames)


def _open(folder: Path, settings: dict[str, Any], fresh: bool) -> None:
    """Makes the folder, and refuses one whose tables are of other settings."""
    there = sorted(folder.glob("*.tsv")) if folder.is_dir() else []
    known = read_json(folder / SETTINGS) if (folder / SETTINGS).is_file() else None
    if there and known is None:
        raise UserError(f"'{folder}' holds tables ({there[0].name}, …) of another origin; choose another --out.")
    if known is not None and known != settings:
        if there and not fresh:
            raise UserError(f"'{folder}' holds scores of other settings ({_difference(known, settings)}); choose another "
                            "--out, or replace them with --fresh.")  # fmt: skip
        fresh = True
    try:
        if fresh:
            for path in (*there, folder / SETTINGS):
                path.unlink(missing_ok=True)
    except OSError as error:
        raise unwritable(folder, error) from error
    write_json(folder / SETTINGS, settings)


def _difference(there: Any, here: dict[str, Any]) -> str:
    """Says the first setting that differs."""
    there = there if isinstance(there, dict) else {}
    key = next(key for key in (*here, *there) if there.get(key) != here.get(key))
    if key == "classes":
        return "other classes"
    return f"{key}: {shortened(str(there.get(key)))} there, {shortened(str(here.get(key)))} here"


def _missing(recordings: Sequence[Recording], folder: Path) -> list[Recording]:
    """Returns the recordings without scores, or with those of another recording."""
    missing, odd = [], []
    for recording in recordings:
        path = folder / f"{recording.clip}.tsv"
        is_there = path.is_file()
        if is_there and not _is_of(path, recording):
            odd.append(recording)
        if not is_there or odd[-1:] == [recording]:
            missing.append(recording)
    if odd:
        warn(f"{len(odd)} of {len(recordings)} recordings are newer or shorter than the scores that are there under their "
             f"name (the first: '{odd[0].path}'); these are made anew.")  # fmt: skip
    return missing


def _is_of(path: Path, recording: Recording) -> bool:
    """Returns whether a table may be of a recording as it is now."""
    is_newer = recording.path.stat().st_mtime_ns > path.stat().st_mtime_ns
    return not is_newer and not (recording.duration and _end(path) > recording.duration + TOLERANCE)


def _end(path: Path) -> float:
    """Returns when the last frame of a table ends, from its last line."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            step = min(size, 1 << 16)
            while True:
                file.seek(size - step)
                lines = file.read(step).splitlines()
                if len(lines) > 1:
                    return float(lines[-1].split(b"\t")[1])
                if step == size:
                    raise ValueError("there is no frame")
                step = min(size, 2 * step)
    except (OSError, ValueError, IndexError) as error:
        raise UserError(f"'{path}' is no table of scores ({error}); remove it, so that it is made anew.") from error


def _write_durations(path: Path, folder: Path, names: Mapping[str, str], lengths: Mapping[str, float]) -> None:
    """Writes how long the recordings of all tables are.

    Args:
        path: the table to write.
        folder: of the tables of scores.
        names: file names by clip, of the recordings at hand.
        lengths: their lengths in seconds, by clip.
    """
    earlier = read_durations(path) if path.is_file() else {}
    known = {clip_name(Path(name)): (name, seconds) for name, seconds in earlier.items()}
    lines = []
    for table in sorted(folder.glob("*.tsv")):
        name, seconds = known.get(table.stem, (table.stem, 0.0))
        seconds = lengths.get(table.stem) or seconds or _end(table)
        lines.append(f"{names.get(table.stem, name)}\t{seconds!r}\n")
    write_text(path, "filename\tduration\n" + "".join(lines))
