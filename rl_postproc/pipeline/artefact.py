"""The files of a post-processor: ``postprocessor.json`` and, for a learned policy, ``postprocessor.safetensors``.

Constant parameters are for people to read and to change. A learned policy is one whole: the JSON file holds digests of
itself and of the tensors beside it, so that what was changed, cut or comes from another run is not used.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import torch
import yaml
from pydantic import ConfigDict, Field, PrivateAttr, ValidationError, field_validator
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from rl_postproc import __version__
from rl_postproc.pipeline.saved import Saved
from rl_postproc.utils.checked import first_problem
from rl_postproc.utils.errors import UnknownNameError, UserError
from rl_postproc.utils.files import read_json, whole_file, write_json
from rl_postproc.utils.plain_values import parse_yaml

ARTEFACT, WEIGHTS = "postprocessor.json", "postprocessor.safetensors"
FORMAT = "rl_postproc post-processor 2"
OLDER = ("rl_postproc post-processor 1",)
CONSTANTS_FORMAT = "rl_postproc constants 1"
"""What the YAML of constants calls its format."""
EDITABLE = "constant"
"""The kind of policy that people may change."""
SEALED = ("about", "hop", "classes", "stack", "policy")
"""What of a learned policy is not for people to change."""

_LONGEST = 300
"""Characters of a reason that are shown."""


class SavedPolicy(Saved):
    """The kind of a policy, and values that its kind declares."""

    model_config = ConfigDict(extra="allow")

    kind: str

    @property
    def values(self) -> dict[str, Any]:
        """The values that its kind declares."""
        return dict(self.model_extra or {})


class Digests(Saved):
    """SHA-256 of what is in `SEALED`, and of the file of tensors if there is one."""

    values: str
    weights: str | None


class SavedPostProcessor(Saved):
    """``postprocessor.json``."""

    format: str
    version: str
    about: dict[str, Any]
    hop: Annotated[float, Field(ge=1e-6, le=1e6)] | None
    classes: Annotated[list[str], Field(min_length=1)] | None
    stack: Annotated[list[dict[str, Any]], Field(min_length=1)]
    policy: SavedPolicy
    sha256: Digests | None
    _digest: str = PrivateAttr("")

    @field_validator("classes")
    @classmethod
    def _different(cls, value: list[str] | None) -> list[str] | None:
        if value is not None and len(set(value)) < len(value):
            raise ValueError("a class stands there twice")
        return value


class SavedConstants(Saved):
    """The YAML of constants."""

    format: str
    hop: Annotated[float, Field(ge=1e-6, le=1e6)] | None = None
    stack: Annotated[list[dict[str, Any]], Field(min_length=1)]
    units: dict[str, str] = Field(default_factory=dict)
    classes: Annotated[dict[str, dict[str, float]], Field(min_length=1)]


def write_artefact(folder: str | Path, values: dict[str, Any], tensors: dict[str, torch.Tensor]) -> Path:
    """Writes the files.

    Args:
        folder: where to.
        values: the fields of `SavedPostProcessor` beside format, version and digests.
        tensors: of the policy.
    """
    path, digests = Path(folder) / ARTEFACT, None
    if values["policy"]["kind"] != EDITABLE:
        content = save_tensors({n: t.contiguous().cpu() for n, t in tensors.items()}) if tensors else None
        if content is not None:
            with whole_file(path.with_suffix(".safetensors")) as temporary:
                temporary.write_bytes(content)
        digests = {"values": _digest(values), "weights": content and hashlib.sha256(content).hexdigest()}
    write_json(path, {"format": FORMAT, "version": __version__, **values, "sha256": digests})
    if not tensors:  # of a learned policy that stood here before
        path.with_suffix(".safetensors").unlink(missing_ok=True)
    return path


def _digest(values: dict[str, Any]) -> str:
    plain = json.loads(json.dumps({name: values[name] for name in SEALED}))
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def read_artefact(path: Path) -> SavedPostProcessor:
    """Reads and checks ``postprocessor.json``.

    Raises:
        UserError: it is missing, damaged, or of another version.
    """
    found = read_json(path)
    made = found.get("format") if isinstance(found, dict) else None
    if made in OLDER:
        raise UserError(f"'{path}' was made by an older version; train it anew.")
    if made != FORMAT:
        raise UserError(
            f"'{path}' is not a post-processor of this version (expected format '{FORMAT}'); train it anew."
        )
    with checking(path):
        saved = SavedPostProcessor.model_validate(found)
        saved._digest = _digest(found)
    return saved


def read_constants(path: Path) -> SavedPostProcessor:
    """Reads and checks the YAML of constants.

    Raises:
        UserError: it is missing, no YAML, or holds something else.
    """
    try:
        found = parse_yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"Cannot read '{path}': {error.strerror or error}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"'{path}' is not valid YAML: {getattr(error, 'problem', error)}.") from error
    if not isinstance(found, dict) or found.get("format") != CONSTANTS_FORMAT:
        raise UserError(f"'{path}' holds no constants of this version (expected format '{CONSTANTS_FORMAT}'); export them "
                        "anew.")  # fmt: skip
    try:
        saved = SavedConstants.model_validate(found)
    except ValidationError as error:
        raise damaged(path, first_problem(error, SavedConstants)) from error
    policy = SavedPolicy.model_validate({"kind": EDITABLE, "values": saved.classes})
    return SavedPostProcessor(format=FORMAT, version=__version__, about={}, hop=saved.hop, classes=list(saved.classes),
                              stack=saved.stack, policy=policy, sha256=None)  # fmt: skip


def check_seal(path: Path, saved: SavedPostProcessor) -> None:
    """Insists that what a learned policy was saved with is unchanged.

    Raises:
        UserError: it is not.
    """
    if (saved.sha256 is None) != (saved.policy.kind == EDITABLE):
        raise damaged(path, "'sha256' belongs to learned policies, and to them alone")
    if saved.sha256 is not None and saved.sha256.values != saved._digest:
        raise UserError(f"'{path}' was changed after it was saved, and its policy '{saved.policy.kind}' holds only as it "
                        "was learned; undo the change, or train it anew.")  # fmt: skip


def read_tensors(path: Path, saved: SavedPostProcessor) -> dict[str, torch.Tensor]:
    """Reads the tensors beside ``postprocessor.json``, if it has any.

    Raises:
        UserError: they are missing, or not those that were saved with it.
    """
    digest = saved.sha256 and saved.sha256.weights
    if digest is None:
        return {}
    file = path.with_suffix(".safetensors")
    try:
        content = file.read_bytes()
    except OSError as error:
        raise UserError(f"Cannot read '{file}': {error.strerror or error}; it belongs beside the JSON file.") from error
    if hashlib.sha256(content).hexdigest() != digest:
        raise UserError(f"'{file}' is damaged or of another run, and not the file that '{path.name}' was saved with; put "
                        "that one there, or train it anew.")  # fmt: skip
    with checking(file):
        return load_tensors(content)


@contextmanager
def checking(path: Path) -> Iterator[None]:
    """Says in one sentence what is wrong with a file that does not hold what it should.

    Raises:
        UserError: something in it has no name here, or anything fails.
    """
    try:
        yield
    except UnknownNameError as error:
        raise UserError(f"'{path}' cannot be used ({str(error).rstrip('.')}); name the file or module that has it with "
                        "--plugin, or import it.") from error  # fmt: skip
    except ValidationError as error:
        raise damaged(path, first_problem(error, SavedPostProcessor)) from error
    except (UserError, ValueError, SafetensorError) as error:
        raise damaged(path, str(error)) from error
    except Exception as error:  # whatever a plug-in's policy makes of values that it does not check
        raise damaged(path, f"{type(error).__name__}: {error}") from error


def damaged(path: Path, reason: str) -> UserError:
    """Returns the sentence for a file that does not hold what it should."""
    reason = " ".join(reason.split()).rstrip(".")
    reason = reason if len(reason) <= _LONGEST else f"{reason[:_LONGEST]} …"
    return UserError(f"'{path}' is damaged ({reason}); undo the change, or train it anew.")
