"""What the site needs beside Markdown: the package as it is installed, and the files outside docs/ that pages link to.

Pages are read on a forge, too, so that they link to files of the repository by their place in it. On the site a Markdown
file outside docs/ is a page, named in `PAGES`; any other file that a page links to is copied under files/.
"""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from typing import Any

from mkdocs.plugins import event_priority
from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "README.md": "index.md",
    "rl_postproc/trained/universal/MODEL_CARD.md": "model_card.md",
}
"""Pages of the site, by the file outside docs/ that they are made of or stand for."""

_LINK = re.compile(r"(?<=\]\()(?!\w+:|#|/)([^)\s#]+)(#[^)\s]*)?(?=[)\s])")
_package: tempfile.TemporaryDirectory[str] | None = None


@event_priority(100)  # before mkdocstrings looks
def on_config(config: Any) -> Any:
    """Shows the API pages the package in the form of its wheel: one folder, in which envs/ and agents/ are subpackages.

    The folder is made of links into the tree, so that sources are read as they are.
    """
    global _package
    _package = tempfile.TemporaryDirectory()
    for folder in ("rl_postproc", "envs", "agents"):
        inside = Path(_package.name, "rl_postproc", "" if folder == "rl_postproc" else folder)
        for path in (ROOT / folder).rglob("*.py"):
            link = inside / path.relative_to(ROOT / folder)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path)
    config["plugins"]["mkdocstrings"].config.handlers["python"]["paths"] = [_package.name]
    return config


def on_files(files: Any, config: Any) -> Any:
    """Adds the pages that are made of files outside docs/."""
    for source, page in PAGES.items():
        if files.get_file_from_path(page) is None and (ROOT / source).is_file():
            files.append(File.generated(config, page, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Points links out of docs/ to where their targets are on the site; what is nowhere is left for mkdocs to report."""
    folder = Path(page.file.abs_src_path).parent

    def pointed(link: re.Match[str]) -> str:
        target, anchor = (folder / link[1]).resolve(), link[2] or ""
        if not target.is_relative_to(ROOT) or (target.is_relative_to(DOCS) and folder.is_relative_to(DOCS)):
            return link[0]
        name = target.relative_to(DOCS if target.is_relative_to(DOCS) else ROOT).as_posix()
        if name in PAGES:
            name = PAGES[name]
        elif not target.is_relative_to(DOCS):
            if not target.is_file():
                return link[0]
            name = f"files/{name}"
            if files.get_file_from_path(name) is None:
                files.append(File.generated(config, name, abs_src_path=str(target)))
        return os.path.relpath(name, Path(page.file.src_uri).parent).replace(os.sep, "/") + anchor

    return _LINK.sub(pointed, markdown)


def on_post_build(config: Any) -> None:
    """Removes the links to the package."""
    if _package is not None:
        _package.cleanup()
