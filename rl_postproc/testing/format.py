"""Conformance of a format of scores."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import torch

from rl_postproc.data.scores import ScoreSet
from rl_postproc.formats import Format, Given
from rl_postproc.formats.read import COMMON
from rl_postproc.testing.base import require
from rl_postproc.utils.errors import UserError


def check_format(format: Format, path: str | Path, expected: ScoreSet | None = None, **given: Any) -> None:
    """Checks a format on a sample.

    It says what it looks like, and none of its options has the name of a keyword that all formats share. It recognises
    the sample, and no empty folder, text file or missing path; no other format recognises the sample. It reads the sample
    the same way twice and leaves it as it is. What it can write is recognised and read back equal; a format that is not
    ``exact`` may change the scores once, and no more when they are written again. A missing path and a sample whose files
    are cut in half raise nothing but `UserError`, which names the place.

    Args:
        format: the format with its options.
        path: a sample in this format.
        expected: the score set that the sample holds, if it is known.
        **given: what the sample needs to be read, see `Given`.

    Raises:
        NonConformant: one of these does not hold.
    """
    path, beside = Path(path), Given(**given)
    looks_like = getattr(format, "looks_like", None)
    require(isinstance(looks_like, str) and bool(looks_like), "the format does not say what it looks like")
    taken = [name for name in type(format).model_fields if name in COMMON]
    require(not taken, f"the options {taken} have names of keywords that all formats share")
    require(format.recognises(path), f"the format does not recognise its own sample '{path}'")
    others = [name for name, kind in Format.types().items() if name != format.name and kind.recognises(path)]
    require(not others, f"the format {others[:1]} also recognises '{path}'")
    contents = _contents(path)
    first, second = format.read(path, beside), format.read(path, beside)
    require(isinstance(first, ScoreSet), "read gives no ScoreSet")
    require(_equal(first, second), "reading the sample twice gives two different score sets")
    require(_contents(path) == contents, "reading changes the sample")
    if expected is not None:
        require(_equal(first, expected), "the score set that was read is not the expected one")
    if type(format).write is not Format.write:
        _check_written(format, path, beside, first)
    _check_other_paths(format, path, beside)


def _check_written(format: Format, path: Path, given: Given, scores: ScoreSet) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for k in range(1 if format.exact else 2):
            target = Path(folder, str(k), path.name)
            try:
                format.write(scores, target)
            except UserError as error:
                require(not k and not target.exists(), f"writing leaves a part behind, or fails what was read: {error}")
                return
            require(format.recognises(target), "the format does not recognise what it has written")
            found = format.read(target, given)
            if format.exact or k:
                require(_equal(found, scores), "what was written is not read back equal")
            require((found.clip_ids, found.classes) == (scores.clip_ids, scores.classes), "writing changes the names")
            scores = found


def _check_other_paths(format: Format, path: Path, given: Given) -> None:
    with tempfile.TemporaryDirectory() as folder:
        empty, text, absent = Path(folder, "empty"), Path(folder, "notes.txt"), Path(folder, "absent")
        empty.mkdir()
        text.write_text("nothing of the kind\n")
        for other in (empty, text, absent):
            require(not format.recognises(other), f"the format recognises '{other.name}', which holds no scores")
        damaged = Path(folder, "damaged", path.name)
        damaged.parent.mkdir()
        if path.is_dir():
            damaged.mkdir()
        for name, content in _contents(path).items():
            target = damaged / name if path.is_dir() else damaged
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content[: len(content) // 2] + b"\xff\x00")
        for bad in (absent, damaged):
            try:
                format.read(bad, given)
            except UserError as error:
                require(bad.name in str(error) or str(bad.parent) in str(error), f"the error names no place: {error}")
            except Exception as error:
                require(False, f"a damaged or missing sample raises {type(error).__name__}, not UserError: {error}")
            else:
                require(False, "a damaged or missing sample is read without an error")


def _contents(path: Path) -> dict[str, bytes]:
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    return {str(p.relative_to(path)): p.read_bytes() for p in files}


def _equal(a: ScoreSet, b: ScoreSet) -> bool:
    tensors = all(torch.equal(getattr(a, n), getattr(b, n)) for n in ("scores", "n_frames", "edges", "durations"))
    if not tensors or a.clip_ids != b.clip_ids or a.classes != b.classes:
        return False
    if a.references is None or b.references is None:
        return a.references is b.references
    return a.references.to_rows() == b.references.to_rows()
