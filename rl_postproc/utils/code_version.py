"""Which code made a result: a digest of this package's own source files."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

_UPPER_FLOORS = ("agents", "envs")


@cache
def code_version() -> str:
    """Returns the version of the code that is running: 12 hexadecimal digits of the SHA-256 of its source files.

    All Python files of the package count, environments and agents included, each with its place; it makes no difference
    whether they are installed or a checkout. Plug-ins and other packages do not count. The files are read once.
    """
    import rl_postproc

    own = Path(rl_postproc.__file__).resolve().parent
    files = {path.relative_to(own).as_posix(): path for path in own.rglob("*.py")}
    for folder in (Path(place) / floor for place in rl_postproc.__path__ for floor in _UPPER_FLOORS):
        files |= {path.relative_to(folder.parent).as_posix(): path for path in folder.rglob("*.py")}
    digest = hashlib.sha256()
    for name, path in sorted(files.items()):
        if not name.startswith("configs/"):  # a package for the sake of its YAML files
            digest.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()[:12]
