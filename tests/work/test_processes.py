"""Tasks in processes: the results of one process, whatever dies on the way."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from program import environment
from work_cases import begun, make

from rl_postproc.utils.errors import UserError
from rl_postproc.work import Processes, RayCluster, Serial, choose_engine, in_order
from rl_postproc.work.base import ATTEMPTS

DRIVER = """
import sys
from pathlib import Path
from work_cases import make
from rl_postproc.work import Processes
if __name__ == "__main__":
    for _ in Processes(2).run(make(Path(sys.argv[1]), seconds=60.0), range(2)):
        pass
"""


def test_processes_give_what_one_gives_and_say_how_far_they_are(tmp_path: Path) -> None:
    items = [5, 3, 8, 1]
    serial, told = dict(Serial().run(make(tmp_path), items)), set()
    found = dict(Processes(2).run(make(tmp_path, seconds=0.5), items, lambda item, share, _: told.add((item, share))))
    assert {item: result[0] for item, result in found.items()} == {item: result[0] for item, result in serial.items()}
    assert len({pid for _, pid in found.values()}) == 2 and len({pid for _, pid in serial.values()}) == 1
    assert {item for item, share in told if share == 0.5} >= {8, 1}  # the first begin while their processes do
    assert [item for item, _ in in_order(Processes(2), make(tmp_path), items)] == items
    assert not list(Processes(2).run(make(tmp_path), []))


def test_items_are_taken_when_there_is_room_for_them(tmp_path: Path) -> None:
    taken = []

    def items():
        for item in range(6):
            taken.append(item)
            yield item

    results = Processes(2).run(make(tmp_path), items())
    next(results)
    assert len(taken) <= 4
    results.close()
    assert len(taken) <= 4 and set(begun(tmp_path)) <= set(taken)


def test_a_process_that_is_killed_loses_its_own_task_alone_and_that_is_begun_again(tmp_path: Path) -> None:
    found = dict(Processes(2).run(make(tmp_path, {2: 1, 3: ATTEMPTS - 1}), range(5)))
    assert {item: square for item, (square, _) in found.items()} == {0: 0, 1: 1, 2: 4, 3: 9, 4: 16}
    assert begun(tmp_path) == {0: 1, 1: 1, 2: 2, 3: ATTEMPTS, 4: 1}


def test_a_task_that_always_kills_ends_the_work_with_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"killed {ATTEMPTS} times over the same task, .*smaller --jobs, .*\.$"):
        list(Processes(2).run(make(tmp_path, {0: ATTEMPTS}), range(2)))
    assert begun(tmp_path)[0] == ATTEMPTS


def test_what_a_worker_raises_is_raised_here(tmp_path: Path) -> None:
    for engine in (Serial(), Processes(2)):
        with pytest.raises(UserError, match=r"^-1 is negative\.$"):
            list(engine.run(make(tmp_path), [1, -1]))


def test_processes_end_with_the_one_that_began_them_however_it_ends(tmp_path: Path) -> None:
    script, folder = tmp_path / "driver.py", tmp_path / "notes"
    script.write_text(DRIVER)
    folder.mkdir()
    tests = str(Path(__file__).resolve().parents[1])
    own = {**environment(), "PYTHONPATH": f"{environment()['PYTHONPATH']}:{tests}"}
    driver = subprocess.Popen([sys.executable, str(script), str(folder)], env=own)
    deadline = time.monotonic() + 60
    while len(list(folder.iterdir())) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.2)  # until the notes are written
    workers = [int(path.read_text()) for path in folder.iterdir()]
    driver.kill()
    driver.wait()
    while any(Path(f"/proc/{pid}").exists() for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(workers) == 2 and not any(Path(f"/proc/{pid}").exists() for pid in workers)


def test_the_engine_follows_from_the_options() -> None:
    assert isinstance(choose_engine(), Serial) and isinstance(choose_engine(jobs=2), Processes)
    assert isinstance(choose_engine(cluster="ray://head:10001"), RayCluster)
    with pytest.raises(UserError, match=r"--jobs 2 .* --cluster local .*; give one of them\.$"):
        choose_engine(2, "local")
    for address in ("", "head", "http://head:80", "ray://head", "head:port"):
        with pytest.raises(UserError, match=rf"--cluster takes the address .* not '{address}'\.$"):
            choose_engine(cluster=address)


def test_a_cluster_that_cannot_be_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"Ray is not installed, .*pip install 'rl-postproc\[ray\]'"):
        list(RayCluster("local").run(make(tmp_path), [1]))
