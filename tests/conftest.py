"""What the tests share."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import torch
from catalogue_server import Server
from program import SIMULATED, Run, process

# Examples share one machine with other jobs, so no single one is judged by its time.
hypothesis.settings.register_profile(
    "unhurried", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("unhurried")


_OUTCOMES: dict[str, str] = {}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--outcomes", type=Path, help="file for the reason why each test was skipped, see outcomes.py")


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if report.skipped:
        _OUTCOMES[report.nodeid] = str(report.longrepr)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped:
        _OUTCOMES[report.nodeid] = str(report.longrepr)
    elif report.when == "call":
        _OUTCOMES[report.nodeid] = ""


def pytest_sessionfinish(session: pytest.Session) -> None:
    path = session.config.getoption("--outcomes")
    if path and not hasattr(session.config, "workerinput"):
        path.write_text(json.dumps(_OUTCOMES))


@pytest.fixture(scope="session")
def data_root() -> Path:
    """Folder of real data: the environment variable RL_POSTPROC_DATA, else ``../shared/data`` beside the project."""
    default = Path(__file__).resolve().parents[1] / ".." / "shared" / "data"
    root = Path(os.environ.get("RL_POSTPROC_DATA", default)).resolve()
    if not root.is_dir():
        pytest.skip(f"needs real data in '{root}' (set RL_POSTPROC_DATA)")
    return root


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Torch with one thread: figures do not depend on the machine, and test processes do not stall each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Calls the program with arguments in this process, and returns exit code, output and error output."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["rl-postproc", *map(str, arguments)])
        capsys.readouterr()
        from rl_postproc.agents.cli import app as cli

        with pytest.raises(SystemExit) as stop:
            cli.main()
        out, err = capsys.readouterr()
        return int(stop.value.code or 0), out, err

    return call


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with scores/, references.tsv and durations.tsv, as the command `simulate` writes them."""
    folder = tmp_path_factory.mktemp("simulated")
    done = process("simulate", "--out", folder, *SIMULATED, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def data(simulated: Path, tmp_path: Path) -> Path:
    """A copy of the simulated files that a test may spoil."""
    shutil.copytree(simulated, tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    """A server on the loopback address, an empty cache, a catalogue to be written, and no wait between attempts."""
    monkeypatch.setenv("RL_POSTPROC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("RL_POSTPROC_CATALOGUE", str(tmp_path / "catalogue.yaml"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("RL_POSTPROC_DATA", raising=False)
    monkeypatch.setattr("rl_postproc.catalogue.transfer.WAIT", 0.0)
    with Server() as own:
        yield own
