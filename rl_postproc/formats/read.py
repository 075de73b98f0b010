"""The one door through which scores enter, in whatever format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from rl_postproc import catalogue
from rl_postproc.data.origin import FILES, GIVEN
from rl_postproc.data.reference_checks import reference_problems
from rl_postproc.data.scores import ScoreSet
from rl_postproc.formats.base import Format, Given
from rl_postproc.utils.checked import build
from rl_postproc.utils.errors import UserError, heard_warnings, suggest, warn

AUTO = "auto"
"""In the place of a format's name: the format that the contents look like."""
COMMON = tuple(field.name for field in fields(Given))
"""Keywords that every format is handed; no option of a format may have such a name."""


def read_scores(
    path: str | Path,
    *,
    format: str | Mapping[str, Any] | Format = AUTO,
    references: str | Path | None = None,
    durations: str | Path | None = None,
    classes: Sequence[str] | str | Path | None = None,
    hop: float | None = None,
    subset: bool = False,
    in_parts: bool = False,
    **options: Any,
) -> ScoreSet:
    """Reads one detector's scores on a set of clips.

    Args:
        path: where the scores lie, a folder or, for tags, a file; or a name of the catalogue, whose references, durations
            and settings are taken where none are given. Names may stand for references and durations, too.
        format: name of a format, ``auto`` to tell it from the contents, a mapping of ``format`` (else ``auto``) and the
            format's own options, or a `Format`.
        references: table of reference events, or folder of one file a clip; for tags an array or a table of labels.
            The set has none when None, unless the scores bring them along.
        durations: table of clip durations in seconds; a clip ends with its last frame when None.
        classes: class names, or the path of a text file with one name a line, where the format needs or allows them.
        hop: frame length in seconds, where the format does not tell it.
        subset: whether references and durations may list clips without scores, which are dropped.
        in_parts: whether the scores may be left on disk where the format can be read in parts (sparse shards); then the set
            is a `rl_postproc.data.streamed.StreamedScores`.
        **options: the format's own options, such as ``array`` of ``tags``.

    Warns:
        DataWarning: references or durations look wrong, see `rl_postproc.data.reference_checks`.

    Raises:
        UserError: the path, the format or an option is unknown, or the files cannot be used.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from rl_postproc import SimulationConfig, read_scores, simulate
        >>> from rl_postproc.formats import write_scores
        >>> with TemporaryDirectory() as folder:
        ...     write_scores(simulate(SimulationConfig(n_clips=3, classes=["Dog", "Speech"])), folder)
        ...     read_scores(folder).classes
        ('Dog', 'Speech')

        Other formats and options::

            read_scores("scores", references="references.tsv", durations="durations.tsv")
            read_scores("desed-baseline-2021")  # once `rl-postproc download desed-baseline-2021` has been run
            read_scores("arrays", format="npy", hop=0.02, classes=["Cat", "Dog"])
            read_scores("tags.npz", references="labels.tsv", array="clip_scores")
            read_scores("tags.npz", format={"format": "tags", "array": "clip_scores"})
    """
    given = {"references": references, "durations": durations, "classes": classes, "hop": hop, "subset": subset}
    path, found, taken = catalogue.complete(path, {**given, "format": format})
    format = found.pop("format")
    if not path.exists():
        raise UserError(f"There is no '{path}'{catalogue.did_you_mean(path)}; give the folder of the scores.")
    reader = choose_format(format, options, path)
    with heard_warnings() as notes:
        told = Given(**found)
        score_set = (reader.in_parts(path, told) if in_parts else None) or reader.read(path, told)
        for sentence in reference_problems(score_set):
            warn(sentence)
    durations, hop = found["durations"], found["hop"]
    lengths = f"from '{durations}'" if durations is not None else score_set.origin.durations.replace(GIVEN, FILES)
    return score_set.with_origin(
        format=reader.name,
        hop=GIVEN if hop is not None else reader.hop_known,
        durations=lengths if reader.hop_known else "",
        notes=(taken, *notes) if taken else tuple(notes),
    )


def choose_format(
    format: str | Mapping[str, Any] | Format, options: Mapping[str, Any], path: Path | None = None
) -> Format:
    """Returns a format with all its options, wherever they were given.

    Args:
        format: name, mapping of ``format`` and options, or a `Format`.
        options: the format's own options.
        path: what the contents are told from where the name is ``auto``; that is no format when None.

    Raises:
        UserError: the format or an option is unknown, or the contents look like no format or several.
    """
    if isinstance(format, Format):
        return _make(type(format), format.name, {**format.model_dump(), **options}) if options else format
    settings = {"format": format} if isinstance(format, str) else dict(format)
    name, kinds = str(settings.pop("format", AUTO)), Format.types()
    if name not in kinds and (name != AUTO or path is None):
        raise UserError(f"There is no format '{name}'{suggest(name, [*([AUTO] if path else []), *kinds])}.")
    guess = name == AUTO and path is not None
    name = _recognise(path, kinds) if guess and path is not None else name
    made = _make(kinds[name], name, {**settings, **options})
    made._is_guess = guess
    return made


def _make(kind: type[Format], name: str, options: dict[str, Any]) -> Format:
    """Builds a format from its options."""
    for option in options:
        if option in COMMON:
            raise UserError(f"The format '{name}' has no option '{option}'; give it beside the format.")
        if option not in kind.model_fields:
            known = [field for field in kind.model_fields if field != "format"]
            raise UserError(f"The format '{name}' has no option '{option}'{suggest(str(option), [*COMMON, *known])}.")
    return build(kind, options, f"format '{name}'")


def _recognise(path: Path, kinds: Mapping[str, type[Format]]) -> str:
    """Returns the name of the one format that the contents look like."""
    if path.is_dir() and not any(path.iterdir()):
        raise UserError(f"The folder '{path}' is empty; give the folder of the scores.")
    names = [name for name, kind in kinds.items() if kind.recognises(path)]
    if len(names) > 1:
        raise UserError(f"'{path}' looks like {' and '.join(names)}; say which with format.")
    if not names:
        known = "; ".join(f"{name} ({kind.looks_like})" for name, kind in kinds.items())
        raise UserError(f"'{path}' looks like no known format; known are {known}.")
    return names[0]
