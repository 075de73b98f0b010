"""What long fits keep in the run folder to go on from, as safetensors: checkpoints, and parts that are finished."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from rl_postproc.task import TuningTask
from rl_postproc.utils.code_version import code_version
from rl_postproc.utils.errors import UserError
from rl_postproc.utils.files import whole_file

from .base import PARTS, Agent, FitResult, ProgressCallback, silent

Tensors = dict[str, torch.Tensor]


def write_kept(path: Path, key: str, values: dict[str, Any], tensors: Tensors) -> None:
    """Writes a file to go on from, whole or not at all.

    Args:
        path: the file.
        key: what identifies the run; only a run with the same key takes the file up.
        values: plain JSON values.
        tensors: by name.
    """
    plain = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    about = {"key": key, "code": code_version(), "values": values, "digest": _digest(values, plain)}
    with whole_file(path) as temporary:
        temporary.write_bytes(save(plain, {"about": json.dumps(about)}))


def read_kept(path: Path, key: str) -> tuple[dict[str, Any], Tensors]:
    """Reads what `write_kept` has written.

    Raises:
        UserError: the file is damaged, belongs to another run, or was made by other code.
    """
    try:
        with safe_open(path, "pt") as file:
            about = json.loads(file.metadata()["about"])
            known, code, values, digest = (about[name] for name in ("key", "code", "values", "digest"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            if digest != _digest(values, tensors):
                raise ValueError("its contents are not those that were written")
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"The checkpoint '{path}' is damaged ({error}); delete it to start anew.") from error
    if known != key:
        raise UserError(
            f"The checkpoint '{path}' belongs to other data or settings; use another run folder or delete it."
        )
    if code != code_version():
        raise UserError(f"The checkpoint '{path}' was made by other code ({code}, not {code_version()}), with which alone "
                        "its run goes on as if it had never stopped; delete it to start anew.")  # fmt: skip
    return values, tensors


def _digest(values: dict[str, Any], tensors: Tensors) -> str:
    digest = hashlib.sha256(json.dumps(values).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(repr((name, tensor.dtype, tuple(tensor.shape))).encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class Parts:
    """The finished parts of a fit, by name.

    Attributes:
        folder: run folder; None keeps nothing.
        key: what identifies the run.
        prefix: of all names.
    """

    folder: Path | None = None
    key: str = ""
    prefix: str = ""

    @classmethod
    def of(cls, folder: Path | None, agent: Agent, task: TuningTask, seed: int) -> Parts:
        """Returns the parts of an agent's fit on a task, recognised by data, settings and seed."""
        if folder is None:
            return cls()
        text = repr((agent.model_dump_json(), seed, task.fingerprint))
        return cls(folder, hashlib.sha256(text.encode()).hexdigest())

    def below(self, name: str) -> Parts:
        """Returns the parts of a fit within this one."""
        return Parts(self.folder, self.key, f"{self.prefix}{name}.")

    def get(self, name: str) -> tuple[dict[str, Any], Tensors] | None:
        """Returns the values and tensors of a part, None where it is not finished.

        Raises:
            UserError: the part is damaged, belongs to another run, or was made by other code.
        """
        path = self._path(name)
        return read_kept(path, self.key) if path is not None and path.is_file() else None

    def put(self, name: str, values: dict[str, Any], tensors: Tensors) -> None:
        """Keeps a part."""
        path = self._path(name)
        if path is not None:
            write_kept(path, self.key, values, tensors)

    def drop(self) -> None:
        """Removes all parts with this prefix."""
        if self.folder is not None:
            for path in (self.folder / PARTS).glob(f"{self.prefix}*.safetensors"):
                path.unlink()

    def _path(self, name: str) -> Path | None:
        return None if self.folder is None else self.folder / PARTS / f"{self.prefix}{name}.safetensors"


class ResumableAgent(Agent, ABC):
    """An agent that keeps its finished parts in the run folder, and goes on from them."""

    left_to_resume: ClassVar[tuple[str, ...]] = (f"{PARTS}/*.safetensors",)

    @abstractmethod
    def fit_parts(self, task: TuningTask, seed: int, report: ProgressCallback, parts: Parts) -> FitResult:
        """Tunes as `fit` does, taking up the parts that are finished and keeping those that it finishes."""

    def fit(self, task: TuningTask, seed: int, report: ProgressCallback = silent) -> FitResult:
        """See `Agent.fit`."""
        return self.fit_parts(task, seed, report, Parts())

    def fit_in(
        self, task: TuningTask, seed: int, report: ProgressCallback, folder: Path, resume: bool = False
    ) -> FitResult:
        """See `Agent.fit_in`."""
        parts = Parts.of(folder, self, task, seed)
        if not resume:
            parts.drop()
        return self.fit_parts(task, seed, report, parts)


def fit_within(agent: Agent, task: TuningTask, seed: int, report: ProgressCallback, parts: Parts) -> FitResult:
    """Fits an agent as a part of another's fit, taking up its own parts where it keeps some."""
    if isinstance(agent, ResumableAgent):
        return agent.fit_parts(task, seed, report, parts)
    return agent.fit(task, seed, report)


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> Tensors:
    """Returns the state of an optimiser, by number of parameter and name."""
    states = optimiser.state_dict()["state"]
    return {f"{i}.{name}": torch.as_tensor(value) for i, state in states.items() for name, value in state.items()}


def load_optimiser(optimiser: torch.optim.Optimizer, tensors: Tensors) -> None:
    """Restores what `optimiser_tensors` gave."""
    states: dict[int, Tensors] = {}
    for name, value in tensors.items():
        number, what = name.split(".", 1)
        states.setdefault(int(number), {})[what] = value
    optimiser.load_state_dict({**optimiser.state_dict(), "state": states})
