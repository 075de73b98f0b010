"""The catalogue that comes with the package, and catalogues of one's own."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest
from catalogue_server import Server, write_catalogue

from rl_postproc.catalogue import entries, find_entry
from rl_postproc.utils.errors import UserError

PINNED = {
    "DCASE-REPO/DESED_task": "c6bcb45b8b986ccde5c56bb86eefaf9d19b2320c",
    "topel/sglthresh": "f8af41a671bfd84fc22e5c518c1036907fd05222",
    "merlresearch/sebbs": "c55dc8d08ff161dbd8e798ff5944d12683b43714",
}


@pytest.fixture(autouse=True)
def only_the_packages_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RL_POSTPROC_CATALOGUE", raising=False)


def test_every_entry_is_pinned_cited_and_licensed() -> None:
    assert {
        "desed-baseline-2021",
        "sgl-thresh-dcase2017",
        "dcase2023-baseline2-sample",
        "panns-cnn14-decisionlevelmax",
    } <= set(entries())
    for entry in entries().values():
        assert entry.licence and entry.citation and entry.next and entry.source.startswith("https://")
        for file in entry.files:
            address = entry.address(file)
            if found := re.match(r"https://raw\.githubusercontent\.com/([\w-]+/[\w-]+)/([0-9a-f]{40})/", address):
                assert PINNED[found[1]] == found[2] and found[2] in entry.source
            else:
                assert address.startswith("https://zenodo.org/records/3987831/files/") and file.checksum


def test_no_two_entries_lie_in_one_another() -> None:
    folders = [f"{entry.folder}/" for entry in entries().values()]
    assert not [(a, b) for i, a in enumerate(folders) for j, b in enumerate(folders) if i != j and a.startswith(b)]


@pytest.mark.parametrize("name", ["desed-baseline-2021", "sgl-thresh-dcase2017", "dcase2023-baseline2-sample"])
def test_checksums_and_sizes_are_those_of_the_files_that_the_figures_were_made_with(name: str, data_root: Path) -> None:
    entry = find_entry(name)
    for file in entry.files:
        content = (data_root / entry.folder / file.path).read_bytes()
        assert (file.size, file.checksum) == (len(content), f"sha256:{hashlib.sha256(content).hexdigest()}")


def test_a_misspelt_name_is_helped() -> None:
    with pytest.raises(UserError, match="did you mean 'desed-baseline-2021'"):
        find_entry("desed-baseline-2012")


def test_entries_of_ones_own_stand_beside_and_before_the_packages(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.files["a"] = b"a"
    write_catalogue(
        tmp_path / "own.yaml", mine=server.entry("a"), desed_baseline_2021=server.entry("a", title="Another")
    )
    monkeypatch.setenv("RL_POSTPROC_CATALOGUE", str(tmp_path / "own.yaml"))
    assert find_entry("mine").size == 1 and find_entry("desed-baseline-2021").title == "Another"
    assert "sgl-thresh-dcase2017" in entries()
    write_catalogue(tmp_path / "own.yaml", other=server.entry("a"))
    assert "other" in entries() and "mine" not in entries()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"folder": "../elsewhere"}, "no relative path"),
        ({"folder": "/etc"}, "no relative path"),
        ({"files": [{"path": "a/../../b", "url": "b"}]}, "no relative path"),
        ({"files": [{"path": "a", "url": "a", "checksum": "sha1:00"}]}, "a checksum is"),
        ({"files": [{"path": "a", "url": "a"}, {"path": "a", "url": "b"}]}, "two files have one path"),
        ({"base": "file:///etc/"}, "does not begin with http"),
        ({"use": {"scores": "b"}}, "none of the files"),
        ({"licence": None}, "licence"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_what_cannot_be_used_is_named(
    change: dict, message: str, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.files["a"] = b"a"
    write_catalogue(tmp_path / "own.yaml", mine={**server.entry("a"), **change})
    monkeypatch.setenv("RL_POSTPROC_CATALOGUE", str(tmp_path / "own.yaml"))
    with pytest.raises(UserError, match=rf"own\.yaml: mine.*{message}"):
        entries()


@pytest.mark.parametrize("text", ["- a list", "mine: 3", "a: [", "\x00"])
def test_what_is_no_catalogue_is_named(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own.yaml").write_text(text)
    monkeypatch.setenv("RL_POSTPROC_CATALOGUE", str(tmp_path / "own.yaml"))
    with pytest.raises(UserError, match=r"own\.yaml"):
        entries()
    monkeypatch.setenv("RL_POSTPROC_CATALOGUE", str(tmp_path / "none.yaml"))
    with pytest.raises(UserError, match=r"No such file.*RL_POSTPROC_CATALOGUE"):
        entries()
