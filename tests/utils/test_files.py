"""Files appear whole, where they were asked for, and nothing else does."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from rl_postproc.utils.errors import UserError
from rl_postproc.utils.files import STANDARD_OUTPUT, whole_file, write_text


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_a_new_file_has_the_mode_that_the_umask_leaves(umask: int, mode: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        write_text(tmp_path / "new.txt", "x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new.txt").stat().st_mode) == mode


def test_a_file_that_is_replaced_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "old.txt"
    path.write_text("old")
    path.chmod(0o640)
    write_text(path, "new")
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("new", 0o640)


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("relative", [True, False])
def test_a_link_stays_and_its_target_is_replaced(there: bool, relative: bool, tmp_path: Path) -> None:
    target, link = tmp_path / "far" / "target.txt", tmp_path / "link.txt"
    target.parent.mkdir()
    if there:
        target.write_text("old")
    link.symlink_to(Path("far/target.txt") if relative else target)
    with pytest.raises(RuntimeError), whole_file(link) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert target.exists() == there and (not there or target.read_text() == "old")
    write_text(link, "new")
    assert link.is_symlink() and target.read_text() == "new"
    assert [path.name for path in target.parent.iterdir()] == ["target.txt"]


def test_a_pipe_is_written_to_and_stays(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    found: list[str] = []
    reader = threading.Thread(target=lambda: found.append((tmp_path / "pipe").read_text()), daemon=True)
    reader.start()
    write_text(tmp_path / "pipe", "through")
    reader.join(timeout=10)
    assert found == ["through"]
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


def test_devices_are_written_to_and_stay(tmp_path: Path) -> None:
    (tmp_path / "null").symlink_to(os.devnull)
    for path in (Path(os.devnull), tmp_path / "null"):
        write_text(path, "nothing")
        assert path.is_char_device()
    assert (tmp_path / "null").is_symlink()
    if Path("/dev/full").exists():
        with pytest.raises(UserError, match=r"^Cannot write '/dev/full': No space left on device; .*\.$"):
            write_text("/dev/full", "too much")


def test_streams_of_this_process_are_written_to(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    print("before", flush=True)
    write_text(STANDARD_OUTPUT, "written\n")
    write_text("/dev/stderr", "noted\n")
    print("after", flush=True)
    assert capfd.readouterr() == ("before\nwritten\nafter\n", "noted\n")
    with (tmp_path / "log").open("ab") as log:
        log.write(b"first\n")
        log.flush()
        write_text(f"/dev/fd/{log.fileno()}", "second\n")
        log.write(b"third\n")
    assert (tmp_path / "log").read_text() == "first\nsecond\nthird\n"


@pytest.mark.parametrize("path", ["file/deep/x.txt", "file/x.txt", "folder", "loop", "x" * 300])
def test_what_cannot_be_written_is_named_and_nothing_is_left(path: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("here first")
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(UserError, match=rf"^Cannot write '.*{path}'.*; choose a folder that can be written\.$"):
        write_text(tmp_path / path, "text")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder", "loop"]
