"""What a format of scores is: a class that tells its files from others', reads them into a score set and writes one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from pydantic import PrivateAttr

from rl_postproc.data.clip_source import ScoreSource
from rl_postproc.data.origin import FILES
from rl_postproc.data.scores import ScoreSet
from rl_postproc.utils.errors import UserError
from rl_postproc.utils.registry import Registered


@dataclass(frozen=True)
class Given:
    """What the caller tells about scores in any format: the keywords of `rl_postproc.formats.read_scores`; see there."""

    references: str | Path | None = None
    durations: str | Path | None = None
    classes: Sequence[str] | str | Path | None = None
    hop: float | None = None
    subset: bool = False


class Format(Registered, ABC):
    """A way in which scores lie on disk.

    The fields of a subclass are its own options, which reach configs, the command line and the keywords of
    `read_scores` and `write_scores`; `looks_like`, `recognises` and `read` are required.

    Example:
        One class in one file is a new format::

            class OurArrays(Format):
                "One array a clip, as our detector saves it."

                format: Literal["our_arrays"] = "our_arrays"
                looks_like: ClassVar[str] = "a folder of .arr files, one a clip"
                scale: float = Field(1.0, description="what the arrays are divided by")

                @classmethod
                def recognises(cls, path: Path) -> bool:
                    return path.is_dir() and any(path.glob("*.arr"))

                def read(self, path: Path, given: Given) -> ScoreSet:
                    ...
    """

    noun: ClassVar[str] = "format"
    rooms: ClassVar[tuple[str, ...]] = ("rl_postproc.formats.scores",)

    _is_guess: bool = PrivateAttr(False)

    format: str
    looks_like: ClassVar[str]
    """What lies there in this format, in half a sentence; said where no format recognises a path."""
    hop_known: ClassVar[str] = FILES
    """How the frame length is known where the caller does not tell it; empty where there is none."""

    exact: ClassVar[bool] = True
    """Whether what is written is read back as it was."""

    @property
    def is_guess(self) -> bool:
        """Whether the contents told this format, rather than the user."""
        return self._is_guess

    @classmethod
    @abstractmethod
    def recognises(cls, path: Path) -> bool:
        """Returns whether what lies there looks like this format, without reading it all.

        False where nothing lies, and for what another format holds: a path that several formats recognise is refused.
        """

    @abstractmethod
    def read(self, path: Path, given: Given) -> ScoreSet:
        """Reads the scores.

        Args:
            path: file or folder of the scores.
            given: what the caller tells beside it; what makes no sense for the format is refused, not left aside.

        Returns:
            The clips, on frame edges in seconds.

        Raises:
            UserError: a file cannot be used, or what is given does not fit it.
        """

    def in_parts(self, path: Path, given: Given) -> ScoreSet | None:
        """Returns the same scores as a set that is read in parts (`StreamedScores`), None where they are held as a whole.

        Args:
            path: file or folder of the scores.
            given: what the caller tells beside it.
        """
        return None

    def stream(self, path: Path, given: Given) -> ScoreSource | None:
        """Returns the same scores as a source of clips that are read in pieces, None where they are read as a whole alone.

        Args:
            path: file or folder of the scores.
            given: what the caller tells beside it; there are no references.

        Raises:
            UserError: what is looked at beforehand cannot be used.
        """
        return None

    def write(self, scores: ScoreSet, path: Path) -> None:
        """Writes the scores, so that reading them again gives what this format can hold; each file whole or not at all.

        Args:
            scores: the set. References and durations are written only by formats that hold them.
            path: file or folder to write to.

        Raises:
            UserError: the format cannot be written or cannot hold these scores, or a file cannot be written.
        """
        raise UserError(f"Scores cannot be written in the format '{self.name}'; choose another, such as sed_scores.")
