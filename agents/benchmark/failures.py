"""Agents that cannot run: each is named with its reason, while the others go on."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rl_postproc.utils.errors import UserError, warn
from rl_postproc.utils.files import write_text
from rl_postproc.utils.interrupts import interrupted


class AgentError(Exception):
    """What ended the work of one agent, its cause being the exception that did; files that cannot be written are none."""


@contextmanager
def work_of_agent() -> Iterator[None]:
    """Turns every exception inside into an `AgentError`."""
    try:
        yield
    except Exception as error:
        if interrupted():  # which something has turned into another error
            raise KeyboardInterrupt from None
        raise AgentError(str(error)) from error


@dataclass(frozen=True)
class Failure:
    """What ended the work of an agent, for this process and others.

    Attributes:
        said: the exception's text.
        mistake: the exception's kind where it is none of the user's, else empty.
        traceback: of a mistake.
    """

    said: str
    mistake: str = ""
    traceback: str = ""

    @classmethod
    def of(cls, error: AgentError) -> Failure:
        """Takes what an exception tells."""
        cause = error.__cause__ or error
        if isinstance(cause, UserError):
            return cls(str(cause))
        return cls(str(cause), type(cause).__name__, "".join(traceback.format_exception(cause)))


@dataclass
class Skipped:
    """The agents that could not run.

    Attributes:
        strict: whether the first of them ends the benchmark.
        folder: where tracebacks of errors go that are not the user's.
        reasons: why, by name.
    """

    strict: bool
    folder: Path
    reasons: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, failure: Failure, where: str = "", file_name: str | None = None) -> None:
        """Takes note of an agent, with a warning.

        Args:
            name: of the agent.
            failure: what ended its work.
            where: seed and fold, empty before the first.
            file_name: of a traceback, without ending; the agent's name when None.

        Raises:
            UserError: naming the agent, where that ends the benchmark.
        """
        reason = f"{where}: {failure.said}" if where else failure.said
        if failure.mistake:
            file = self.folder / f"{file_name or name}.txt"
            write_text(file, failure.traceback)
            text = (failure.said.splitlines() or [""])[0][:200]
            reason = f"{where or 'before its first fold'}: {failure.mistake}: {text}; the traceback is in '{file}'."
        self.reasons[name] = reason
        if self.strict:
            raise UserError(f"The agent '{name}' cannot run: {reason}")
        warn(f"The agent '{name}' is skipped: {reason}")

    def require(self, left: int) -> None:
        """Insists that at least one agent is left.

        Raises:
            UserError: none is.
        """
        if not left:
            reasons = "; ".join(f"'{name}': {reason.rstrip('.')}" for name, reason in self.reasons.items())
            raise UserError(f"None of the agents can run ({reasons}); choose others, or mend what they name.")
