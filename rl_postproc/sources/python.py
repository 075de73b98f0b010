"""A detector that is a Python function of the user's own."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rl_postproc.data.probabilities import SLACK, remedy
from rl_postproc.sources.audio import read_audio
from rl_postproc.sources.detector import Advance, ClipScores, digest
from rl_postproc.sources.recordings import Recording
from rl_postproc.utils.errors import UserError, suggest, warn
from rl_postproc.utils.plugins import full_name, import_named

SEE = "; --traceback shows where"


class PythonDetector:
    """Calls ``function(audio, rate)`` for every recording.

    ``audio`` is float32 mono ``[sample]``, ``rate`` its samples a second. It returns the probabilities ``[frame, class]`` of
    even frames from 0 s on, as an array or a tensor, and the frame length in seconds.

    Attributes:
        classes: one name a column.
        settings: what the scores depend on.
    """

    def __init__(self, function: str, classes: Sequence[str] | None = None, rate: int | None = None):
        """Imports the function.

        Args:
            function: ``module:function``, the module by its name or as a Python file.
            classes: one name a column; those of the function's attribute ``classes``, else of its module, when None.
            rate: samples a second to resample to; each recording's own when None.

        Raises:
            UserError: there is no such function, it cannot be imported, or no classes are told.
        """
        self._name, self._rate = function, rate
        self._function, module = _imported(function)
        self.classes = tuple(_classes(self._function, module, function) if classes is None else classes)
        file = inspect.getsourcefile(module)
        self.settings: dict[str, Any] = {
            "source": "python", "function": function, "file": digest(file) if file else None, "rate": rate,
            "classes": list(self.classes),
        }  # fmt: skip

    def run(self, recordings: Sequence[Recording], advance: Advance) -> Iterator[tuple[Recording, ClipScores]]:
        """See `rl_postproc.sources.Detector`."""
        odd: list[str] = []
        for recording in recordings:
            audio, rate, duration = read_audio(recording, self._rate)
            try:
                result = self._function(audio, rate)
            except UserError:
                raise
            except Exception as error:
                raise UserError(f"'{self._name}' failed on '{recording.path}' ({_said(error)}){SEE}.") from error
            scores, hop = self._checked(result, recording)
            end = len(scores) * hop
            if abs(end - duration) > max(1.0, 2 * hop):
                odd.append(f"'{recording.path}' with {end:.2f} of {duration:.2f} s")
            advance(recording.duration)
            yield recording, ClipScores(scores, 1, hop, duration)
        if odd:
            warn(f"{len(odd)} of {len(recordings)} recordings got frames that end over a second before or after them (the "
                 f"first: {odd[0]}); what lies beyond is cut, and if that is not meant check the hop.")  # fmt: skip

    def _checked(self, result: Any, recording: Recording) -> tuple[np.ndarray, float]:
        """Returns scores and hop that can be used.

        Raises:
            UserError: they cannot.
        """
        place = f"'{self._name}' on '{recording.path}'"
        if not isinstance(result, tuple | list) or len(result) != 2:
            raise UserError(
                f"{place} returned {_kind(result)} where scores and hop belong; end it with: return scores, hop."
            )
        scores, hop = _array(result[0], place), _array(result[1], place)
        if hop.size != 1 or not np.isfinite(hop).all() or not hop.item() > 0:
            raise UserError(f"{place} returned the hop {_kind(result[1])}, which is no positive number of seconds; return "
                            "the frame length as the second value.")  # fmt: skip
        if scores.ndim != 2 or scores.shape[1] != len(self.classes) or not len(scores):
            raise UserError(f"{place} returned scores of shape {list(scores.shape)} where [frame, {len(self.classes)}] "
                            "belongs, one column a class; transpose them, or name other --classes.")  # fmt: skip
        bad = ~((scores >= -SLACK) & (scores <= 1 + SLACK))
        if bad.any():
            frame, column = (int(i[0]) for i in bad.nonzero())
            finite = scores[np.isfinite(scores)]
            lowest, highest = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
            value = float(scores[frame, column])
            raise UserError(f"{place} returned the score {value:g} of the class '{self.classes[column]}' in frame {frame}, "
                            f"which is not a probability in [0, 1]; {remedy(value, lowest, highest)}.")  # fmt: skip
        return scores.clip(0, 1).astype(np.float32), float(hop.item())


def _imported(name: str) -> tuple[Callable[..., Any], Any]:
    """Returns a function and its module."""
    place, colon, attribute = name.rpartition(":")
    if not colon or not place or not attribute:
        raise UserError(f"'{name}' names no function; give module:function, such as my_detector.py:scores.")
    path = full_name(place)
    folder = str(Path(path).parent) if Path(path).is_absolute() else str(Path.cwd())
    if folder not in sys.path:
        sys.path.append(folder)  # for the modules beside it
    try:
        module = import_named(path)
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"The module '{place}' cannot be imported ({_said(error)}){SEE}.") from error
    function = getattr(module, attribute, None)
    if not callable(function):
        known = [key for key, value in vars(module).items() if inspect.isroutine(value) and not key.startswith("_")]
        raise UserError(
            f"The module '{place}' has no function '{attribute}'{suggest(attribute, known) if known else ''}."
        )
    return function, module


def _classes(function: Callable[..., Any], module: Any, name: str) -> list[str]:
    """Returns the classes that a function or its module names."""
    found = getattr(function, "classes", None) or getattr(module, "classes", None)
    if (
        isinstance(found, str)
        or not isinstance(found, Sequence)
        or not all(isinstance(x, str) for x in found)
        or not found
    ):
        raise UserError(f"The classes of '{name}' are not known; name them with --classes, or as a list in the module: "
                        "classes = ['Dog', 'Speech'].")  # fmt: skip
    if len(set(found)) < len(found):
        raise UserError(f"The classes of '{name}' have a name twice; name each once.")
    return list(found)


def _array(value: Any, place: str) -> np.ndarray:
    """Returns numbers of an array, a tensor on any device, or lists."""
    try:
        value = value.detach().cpu() if hasattr(value, "detach") else value
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise UserError(f"{place} returned {_kind(value)} where numbers belong; return an array of probabilities and the "
                        "frame length in seconds.") from error  # fmt: skip


def _kind(value: Any) -> str:
    """Returns a number as it is, and the kind of anything else."""
    return f"{value!r}" if isinstance(value, int | float) else type(value).__name__


def _said(error: Exception) -> str:
    text = " ".join(str(error).split()).rstrip(".")
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
