"""Downloads from a server that cuts, moves, refuses and changes: what is in its place is whole and right, always."""

from __future__ import annotations

import os
import random
import resource
import sys
from pathlib import Path

import pytest
from catalogue_server import Flaw, Server, write_catalogue

from rl_postproc.catalogue import cache_folder, fetch, find_entry, find_entry_folder
from rl_postproc.utils.errors import UserError

LARGE = random.Random(1).randbytes(300_000)
CUT = 12 * 8192
"""Bytes of an answer that breaks off: as many as are written at once, or a multiple, so that none are lost."""


@pytest.fixture
def files(server: Server, tmp_path: Path) -> Server:
    """A server with a large and a small file, which are the entry ``mine``."""
    server.files = {"large.bin": LARGE, "sub/small.txt": b"small"}
    write_catalogue(tmp_path / "catalogue.yaml", mine=server.entry(*server.files))
    return server


def assert_nothing_usable() -> None:
    """Asserts that no file has the name or the place of a finished one."""
    assert find_entry_folder(find_entry("mine")) is None
    assert not (cache_folder() / "a_set").exists()


def assert_whole(folder: Path) -> None:
    assert find_entry_folder(find_entry("mine")) == folder
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert found == {".catalogue.json", "large.bin", "sub/small.txt"}
    assert [path.name for path in folder.parent.iterdir()] == ["a_set"]
    assert (folder / "large.bin").read_bytes() == LARGE and (folder / "sub" / "small.txt").read_bytes() == b"small"


def test_what_is_there_is_not_downloaded_again(files: Server) -> None:
    told: list[float] = []
    folder = fetch("mine", report=lambda what, fraction: told.append(fraction))
    assert_whole(folder)
    assert told == sorted(told) and told[-1] == 1.0 and len(set(told)) > 3
    assert fetch("mine") == folder and len(files.asked) == 2


def test_a_dropped_connection_is_taken_up_where_it_broke(files: Server) -> None:
    files.flaws["large.bin"] = Flaw(stop_after=CUT)
    assert_whole(fetch("mine"))
    assert files.ranges("large.bin") == [None, f"bytes={CUT}-", f"bytes={2 * CUT}-", f"bytes={3 * CUT}-"]
    assert files.sent["large.bin"] == len(LARGE)


def test_a_download_that_failed_goes_on_later_from_its_last_byte(files: Server) -> None:
    files.flaws["large.bin"] = Flaw(stop_after=0)
    partial = cache_folder() / ".a_set.partial"
    partial.mkdir(parents=True)
    (partial / "large.bin.part").write_bytes(LARGE[:250_000])
    with pytest.raises(UserError, match=r"large\.bin.*5 times in a row.*goes on from there"):
        fetch("mine")
    assert_nothing_usable()
    assert len(files.asked) == 5
    del files.flaws["large.bin"]
    assert_whole(fetch("mine"))
    assert files.ranges("large.bin")[-1] == "bytes=250000-" and files.sent["large.bin"] == 50_000


def test_a_server_without_ranges_sends_all_anew(files: Server) -> None:
    files.flaws["large.bin"] = Flaw(stop_after=CUT, ranges=False, times=2)
    assert_whole(fetch("mine"))
    assert files.sent["large.bin"] == 2 * CUT + len(LARGE) - CUT  # the third answer is a good one
    part = cache_folder() / ".a_set.partial" / "large.bin.part"
    (cache_folder() / "a_set" / "large.bin").unlink()
    part.parent.mkdir()
    part.write_bytes(LARGE[:1000])
    files.flaws["large.bin"] = Flaw(ranges=False)
    assert_whole(fetch("mine"))


def test_a_server_that_never_gets_to_the_end_is_given_up(files: Server) -> None:
    files.flaws["large.bin"] = Flaw(stop_after=CUT, ranges=False)
    with pytest.raises(UserError, match="5 times in a row"):
        fetch("mine")
    assert_nothing_usable()


def test_what_is_left_of_another_file_is_thrown_away(files: Server) -> None:
    part = cache_folder() / ".a_set.partial" / "large.bin.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * 1000)  # other contents: told by the checksum
    with pytest.raises(UserError, match=r"is not the file that the catalogue knows.*sha256 differs"):
        fetch("mine")
    assert_nothing_usable()
    assert not part.exists()
    part.write_bytes(b"x" * 1_000_000)  # longer than the file: told by the size
    assert_whole(fetch("mine"))


@pytest.mark.parametrize("checksum", ["sha256", "md5"])
@pytest.mark.parametrize("sized", [True, False])
def test_other_contents_are_refused(checksum: str, sized: bool, files: Server, tmp_path: Path) -> None:
    write_catalogue(tmp_path / "catalogue.yaml", mine=files.entry(*files.files, checksum=checksum, sized=sized))
    files.files["sub/small.txt"] = b"smell"
    with pytest.raises(UserError, match=rf"small\.txt' of 'mine': its {checksum} differs"):
        fetch("mine")
    assert_nothing_usable()
    files.files["sub/small.txt"] = b"small"
    assert_whole(fetch("mine"))
    assert files.sent["large.bin"] == len(LARGE)  # what was right is kept


@pytest.mark.parametrize("content", [b"longer than small", b"s"])
def test_another_size_is_refused_without_reading_on(content: bytes, files: Server) -> None:
    files.files["sub/small.txt"] = content
    with pytest.raises(UserError, match=f"{len(content)} bytes where the catalogue says 5"):
        fetch("mine")
    assert_nothing_usable()


def test_what_is_gone_is_told_at_once_and_what_is_busy_asked_again(files: Server) -> None:
    files.flaws["sub/small.txt"] = Flaw(status=404)
    with pytest.raises(UserError, match=r"small\.txt.*404"):
        fetch("mine")
    assert len(files.ranges("sub/small.txt")) == 1
    assert_nothing_usable()
    for status in (429, 503):
        files.flaws["sub/small.txt"] = Flaw(status=status, times=2)
        folder = fetch("mine")
        assert_whole(folder)
        (folder / "sub" / "small.txt").unlink()
    assert files.sent["large.bin"] == len(LARGE)


def test_redirections_are_followed(files: Server) -> None:
    files.files["elsewhere"] = LARGE
    files.flaws["large.bin"] = Flaw(moved_to="elsewhere")
    files.flaws["elsewhere"] = Flaw(stop_after=2 * CUT)
    assert_whole(fetch("mine"))
    assert files.ranges("elsewhere") == [None, f"bytes={2 * CUT}-"]


def test_no_server_at_all_is_one_sentence(files: Server, tmp_path: Path) -> None:
    entry = {**files.entry(*files.files), "base": "http://127.0.0.1:9/"}
    write_catalogue(tmp_path / "catalogue.yaml", mine=entry)
    with pytest.raises(UserError, match=r"Connection refused.*check the network"):
        fetch("mine")
    assert_nothing_usable()


@pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")
def test_a_full_disk_is_one_sentence_and_what_came_is_kept(files: Server) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(UserError, match=r"Cannot write .*large"):
            fetch("mine")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert_nothing_usable()
    assert_whole(fetch("mine"))
    assert "bytes=100000-" in files.ranges("large.bin")


def test_without_checksums_the_first_download_counts(files: Server, tmp_path: Path) -> None:
    write_catalogue(tmp_path / "catalogue.yaml", mine=files.entry(*files.files, checksum=None, sized=False))
    part = cache_folder() / ".a_set.partial" / "large.bin.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * 1000)  # nothing could tell whether it fits, so it is not gone on with
    folder = fetch("mine")
    assert_whole(folder)
    (folder / "sub" / "small.txt").unlink()
    files.files["sub/small.txt"] = b"smell"
    with pytest.raises(UserError, match="sha256 differs"):
        fetch("mine")
    files.files["sub/small.txt"] = b"small"
    assert_whole(fetch("mine"))


def test_a_download_that_was_changed_is_mended(files: Server) -> None:
    folder = fetch("mine")
    state = (folder / "large.bin").stat()
    (folder / "large.bin").write_bytes(b"y" * len(LARGE))
    assert find_entry_folder(find_entry("mine")) is None
    assert_whole(fetch("mine"))
    assert files.sent == {"large.bin": 2 * len(LARGE), "sub/small.txt": 5}
    os.utime(folder / "large.bin", (state.st_atime, 1.0))  # touched, and yet the same
    assert_whole(folder)


@pytest.mark.parametrize("manifest", ["", "{", "[]", '{"files": {"large.bin": 3}}', '{"files": {"large.bin": {}}}'])
def test_a_manifest_that_tells_nothing_makes_no_download(manifest: str, files: Server) -> None:
    folder = fetch("mine")
    (folder / ".catalogue.json").write_text(manifest)
    assert find_entry_folder(find_entry("mine")) is None


def test_a_newer_catalogue_asks_for_what_is_new(files: Server, tmp_path: Path) -> None:
    fetch("mine")
    files.files |= {"sub/small.txt": b"newer", "third": b"3"}
    write_catalogue(tmp_path / "catalogue.yaml", mine=files.entry("large.bin", "sub/small.txt", "third"))
    assert_folder = fetch("mine")
    assert (assert_folder / "sub" / "small.txt").read_bytes() == b"newer" and (
        assert_folder / "third"
    ).read_bytes() == b"3"
    assert files.sent["large.bin"] == len(LARGE)


def test_a_folder_of_ones_own_is_not_touched(files: Server, tmp_path: Path) -> None:
    (tmp_path / "data" / "a_set").mkdir(parents=True)
    (tmp_path / "data" / "a_set" / "large.bin").write_bytes(b"mine")
    with pytest.raises(UserError, match="is there already and no download"):
        fetch("mine", tmp_path / "data")
    assert (tmp_path / "data" / "a_set" / "large.bin").read_bytes() == b"mine" and not files.asked


def test_a_folder_is_found_where_the_data_variable_names_it(
    files: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fetch("mine", tmp_path / "data")
    assert folder == tmp_path / "data" / "a_set"
    assert find_entry_folder(find_entry("mine")) is None
    monkeypatch.setenv("RL_POSTPROC_DATA", str(tmp_path / "data"))
    assert find_entry_folder(find_entry("mine")) == folder
