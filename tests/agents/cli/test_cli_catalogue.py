"""Showing, downloading and using what the catalogue offers, on the command line."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from catalogue_server import Flaw, Server, write_catalogue
from program import Run, assert_one_sentence, command, environment

from rl_postproc.catalogue import find_entry

LARGE = random.Random(2).randbytes(200_000)


@pytest.fixture
def offered(server: Server, simulated: Path, tmp_path: Path) -> Server:
    """A server whose catalogue has the simulated files as ``heard``, and a checkpoint as ``net``."""
    paths = sorted(path for path in simulated.rglob("*") if path.is_file())
    server.files = {path.relative_to(simulated).as_posix(): path.read_bytes() for path in paths}
    use = {"scores": "scores", "references": "references.tsv", "durations": "durations.tsv"}
    heard = server.entry(*server.files, use=use, folder="heard", next=["rl-postproc benchmark compare --scores heard"])
    server.files["weights.pth"] = LARGE
    net = server.entry("weights.pth", checksum=None, sized=False, use={"checkpoint": "weights.pth"}, folder="net")
    write_catalogue(tmp_path / "catalogue.yaml", heard=heard, net=net)
    return server


def here(run: Run) -> dict[str, str | None]:
    code, out, _ = run("datasets", "--json")
    assert code == 0
    return {name: entry["here"] for name, entry in json.loads(out).items()}


def test_the_table_shows_what_there_is_and_what_is_here(offered: Server, run: Run) -> None:
    code, out, _ = run("datasets")
    assert code == 0
    size = sum(file.size or 0 for file in find_entry("desed-baseline-2021").files)
    for told in ("heard", "net", "desed-baseline-2021", "MIT", f"{size / 1e6:.1f} MB", "size unknown", "CC-BY-4.0"):
        assert told in out
    assert set(here(run).values()) == {None}
    assert run("download", "heard")[0] == 0
    assert {name for name, folder in here(run).items() if folder} == {"heard"}


def test_an_entry_shows_all_about_it(offered: Server, run: Run) -> None:
    code, out, _ = run("datasets", "heard")
    assert code == 0
    for told in ("Licence: CC0.", "Cite: Nobody 2020.", "https://example.org", "Here: no", "references (references.tsv)",
                 "rl-postproc download heard\n", "sha256:", "Every file is held against its checksum."):  # fmt: skip
        assert told in out
    assert "No file has a checksum" in run("datasets", "net")[1]
    assert_one_sentence(run("datasets", "hear"), "did you mean 'heard'")


def test_a_download_tells_licence_citation_and_what_comes_next(offered: Server, run: Run, tmp_path: Path) -> None:
    code, out, _ = run("download", "heard", "net", "heard")
    assert code == 0
    assert out.count("Licence: CC0.") == 2 and out.count("Cite: Nobody 2020.") == 2
    assert "Next:\nrl-postproc benchmark compare --scores heard\n" in out
    assert "what comes first is not checked" in out
    code, out, _ = run("download", "heard", "--to", tmp_path / "my data")
    assert code == 0
    assert f"Next:\nRL_POSTPROC_DATA='{tmp_path / 'my data'}' rl-postproc benchmark" in out
    assert (tmp_path / "my data" / "heard" / "references.tsv").is_file()


def test_unknown_names_and_failures_are_one_sentence(offered: Server, run: Run) -> None:
    assert_one_sentence(run("download", "heard", "haerd"), "did you mean 'heard'")
    assert not offered.asked
    offered.flaws["durations.tsv"] = Flaw(status=403)
    assert_one_sentence(run("download", "heard"), r"durations\.tsv.*403")
    assert here(run)["heard"] is None


def test_scores_by_name_are_tuned_and_applied_and_the_next_command_works(offered: Server, run: Run) -> None:
    train = ("train", "--agent", "grid_search", "--scores", "heard", "--out", "run")
    assert_one_sentence(run(*train), "run `rl-postproc download heard`")
    assert not Path("run").exists()
    assert run("download", "heard")[0] == 0
    code, out, err = run(*train)
    assert code == 0
    assert "Taken from the catalogue's 'heard', since not given: references, durations." in " ".join(err.split())
    following = out.split("Next:\n")[1].split()
    assert following[:4] == ["rl-postproc", "apply", "run", "heard"]
    assert run(*following[1:])[0] == 0
    events = Path("events.tsv").read_text()
    assert len(events.splitlines()) > 5
    files = [Path(str(here(run)["heard"])) / name for name in ("scores", "durations.tsv")]
    assert run("apply", "run", files[0], "--durations", files[1], "--out", "same.tsv")[0] == 0
    assert Path("same.tsv").read_text() == events
    code, out, _ = run("evaluate", "events.tsv", "--references", "heard", "--json")
    assert code == 0 and json.loads(out)["macro_f1"] > 0.3
    code, _, _ = run("benchmark", "compare", "--scores", "heard", "--agents", "default", "--folds", "2", "--out", "few")
    assert code == 0 and json.loads(Path("few", "results.json").read_text())["rows"]


def wait_for(condition: Callable[[], bool]) -> None:
    begin = time.monotonic()
    while not condition():
        assert time.monotonic() - begin < 60
        time.sleep(0.01)


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_download_that_is_stopped_goes_on_where_it_was(
    offered: Server, run: Run, tmp_path: Path, how: signal.Signals
) -> None:
    write_catalogue(tmp_path / "catalogue.yaml", net=offered.entry("weights.pth", use={"checkpoint": "weights.pth"}))
    offered.flaws["weights.pth"] = Flaw(pause=0.05, times=1)
    first = subprocess.Popen(
        command("download", "net"), cwd=tmp_path, env=environment(), stderr=subprocess.PIPE, text=True
    )
    wait_for(lambda: offered.sent["weights.pth"] > 40_000)
    first.send_signal(how)
    _, err = first.communicate(timeout=60)
    if how == signal.SIGINT:
        assert first.returncode == 130
        assert err.endswith("Stopped; what was downloaded is kept. Go on from there with:\nrl-postproc download net\n")
    assert here(run)["net"] is None
    assert run("download", "net")[0] == 0
    assert Path(str(here(run)["net"]), "weights.pth").read_bytes() == LARGE
    _, span = offered.asked[-1]
    assert span is not None and int(span[6:-1]) > 30_000


def test_two_processes_download_once(offered: Server, run: Run, tmp_path: Path) -> None:
    offered.flaws["weights.pth"] = Flaw(pause=0.01)
    both = [subprocess.Popen(command("download", "net"), cwd=tmp_path, env=environment()) for _ in range(2)]
    assert [one.wait(timeout=60) for one in both] == [0, 0]
    assert offered.ranges("weights.pth") == [None]
    assert Path(str(here(run)["net"]), "weights.pth").read_bytes() == LARGE


def test_two_commands_make_the_readmes_table_from_nothing(
    server: Server, run: Run, data_root: Path, tmp_path: Path
) -> None:
    """The package's own entry and config; only the server is another, and one agent stands for all."""
    write_catalogue(tmp_path / "catalogue.yaml")
    entry = find_entry("desed-baseline-2021")
    server.files = {file.url: (data_root / entry.folder / file.path).read_bytes() for file in entry.files}
    moved = {**entry.model_dump(mode="json", exclude_none=True, exclude={"name"}), "base": server.address}
    write_catalogue(tmp_path / "catalogue.yaml", desed_baseline_2021=moved)
    # Beside the project the data may lie already.
    benchmark = ("benchmark", "desed_policies", "--set", f"data.root={tmp_path}", "--agents", "default", "--seeds", "0")
    assert_one_sentence(run(*benchmark), "run `rl-postproc download desed-baseline-2021`")
    assert run("download", "desed-baseline-2021")[0] == 0
    assert run(*benchmark, "--out", "out")[0] == 0
    (row,) = json.loads(Path("out", "results.json").read_text())["rows"]
    assert round(100 * row["macro_f1"], 2) == 39.97
