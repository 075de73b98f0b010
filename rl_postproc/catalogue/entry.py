"""What can be downloaded: the entries that come with the package, and those of a file of the user's."""

from __future__ import annotations

import os
import re
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Annotated, Any
from urllib.parse import urljoin

import yaml
from pydantic import AfterValidator, BaseModel, Field, model_validator

from rl_postproc.utils.checked import build
from rl_postproc.utils.errors import UserError, suggest
from rl_postproc.utils.plain_values import parse_yaml

CATALOGUE_VARIABLE = "RL_POSTPROC_CATALOGUE"
"""Environment variable that names a YAML file with entries of one's own, beside those that come with the package."""

ENTRY_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
"""What names of entries look like."""

_SHIPPED = Path(__file__).with_name("entries.yaml")


def _relative(path: str) -> str:
    """Insists on a path that stays inside its folder, on every system."""
    parts = PurePosixPath(path).parts
    if (
        not parts
        or path.startswith("/")
        or any(p.startswith(".") for p in parts)
        or re.search(r'[\\:*?"<>|\x00-\x1f]', path)
    ):
        raise ValueError(f"'{path}' is no relative path of plain names")  # fmt: skip
    return str(PurePosixPath(path))


def _checksum(text: str) -> str:
    kind, _, digest = text.partition(":")
    lengths = {"sha256": 64, "md5": 32}
    if kind not in lengths or not re.fullmatch(rf"[0-9a-f]{{{lengths[kind]}}}", digest):
        raise ValueError("a checksum is 'sha256:' or 'md5:' and its hexadecimal digits in small letters")
    return text


RelativePath = Annotated[str, AfterValidator(_relative)]


class CatalogueFile(BaseModel, extra="forbid", frozen=True):
    """A file of an entry."""

    path: RelativePath = Field(description="where it lies in the entry's folder")
    url: str = Field(description="where it is downloaded from, from the entry's base on")
    size: int | None = Field(None, ge=0, description="bytes, if known")
    checksum: Annotated[str, AfterValidator(_checksum)] | None = Field(
        None, description="sha256:… or md5:…, if one is known"
    )


class Use(BaseModel, extra="forbid", frozen=True):
    """What the name of an entry stands for, by where it is given, and how its scores are read."""

    scores: RelativePath | None = None
    references: RelativePath | None = None
    durations: RelativePath | None = None
    checkpoint: RelativePath | None = None
    format: str | dict[str, Any] | None = None
    hop: float | None = Field(None, gt=0)
    classes: list[str] | None = None
    subset: bool | None = None

    @property
    def paths(self) -> dict[str, str]:
        """What there is, and where in the entry's folder."""
        roles = ("scores", "references", "durations", "checkpoint")
        return {role: path for role in roles if (path := getattr(self, role)) is not None}

    @property
    def settings(self) -> dict[str, Any]:
        """How the scores are read, where that has to be said."""
        return self.model_dump(include={"format", "hop", "classes", "subset"}, exclude_none=True)


class Entry(BaseModel, extra="forbid", frozen=True):
    """Something that can be downloaded and used by its name."""

    name: str = Field(pattern=f"^{ENTRY_NAME.pattern}$", description="small letters, digits and hyphens")
    title: str
    about: str = Field(description="what it holds, in half a sentence")
    licence: str
    citation: str
    source: str = Field(description="web address for people")
    checksums: str = Field(description="where its checksums come from")
    folder: RelativePath = Field(description="where it lies in the cache, or in a data folder")
    use: Use
    next: list[str] = Field(default_factory=list, description="commands that it is good for")
    base: str = Field("", description="address that those of the files start from")
    files: list[CatalogueFile] = Field(min_length=1)

    @model_validator(mode="after")
    def _fits(self) -> Entry:
        paths = [file.path for file in self.files]
        if len(set(paths)) < len(paths):
            raise ValueError("two files have one path")
        for role, path in self.use.paths.items():
            if not any(file == path or file.startswith(f"{path}/") for file in paths):
                raise ValueError(f"use.{role} is '{path}', which none of the files is, and none lies in")
        for file in self.files:
            if not re.match(r"https?://[^/]+/", self.address(file)):
                raise ValueError(
                    f"the address '{self.address(file)}' does not begin with http:// or https:// and a server"
                )
        return self

    def address(self, file: CatalogueFile) -> str:
        """Returns where a file is downloaded from."""
        return urljoin(self.base, file.url)

    @property
    def size(self) -> int | None:
        """Bytes of all files, None where one is not known."""
        sizes = [file.size for file in self.files]
        return None if None in sizes else sum(size for size in sizes if size is not None)

    @property
    def n_unchecked(self) -> int:
        """Number of files without a known checksum."""
        return sum(file.checksum is None for file in self.files)


def entries() -> dict[str, Entry]:
    """Returns all entries by name: those that come with the package, and over them those of ``RL_POSTPROC_CATALOGUE``.

    Raises:
        UserError: that file is missing, or no catalogue.
    """
    own = os.environ.get(CATALOGUE_VARIABLE)
    return {**_read(_SHIPPED, 0), **(_read(Path(own), _changed(Path(own))) if own else {})}


def find_entry(name: str) -> Entry:
    """Returns the entry of a name.

    Raises:
        UserError: there is none.
    """
    known = entries()
    if name not in known:
        raise UserError(f"The catalogue has no '{name}'{suggest(name, list(known))}.")
    return known[name]


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


@lru_cache(maxsize=4)
def _read(path: Path, changed: int) -> dict[str, Entry]:
    """Returns the entries of a file as it is since a time."""
    try:
        values = parse_yaml(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or getattr(error, "problem", None) or error
        raise UserError(f"Cannot read the catalogue '{path}' ({reason}); {CATALOGUE_VARIABLE} names it.") from error
    if not isinstance(values, dict) or not all(isinstance(value, dict) for value in values.values()):
        raise UserError(f"The catalogue '{path}' must hold entries by their names.")
    return {str(name): build(Entry, {**value, "name": str(name)}, f"{path}: {name}") for name, value in values.items()}
