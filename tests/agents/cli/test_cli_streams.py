"""Output that goes to the standard output, to pipes and to devices."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from program import Run, assert_one_sentence, command, environment, sources


@pytest.fixture(scope="module")
def trained(simulated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("trained") / "run"
    done = subprocess.run(command("train", "--agent", "default", *sources(simulated), "--out", out), env=environment())
    assert done.returncode == 0
    return out


def shell(line: str, folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Runs a shell line in which ``"$@"`` is the program with these arguments."""
    words = ["bash", "-c", line, "bash", *command(*arguments)]
    return subprocess.run(words, cwd=folder, env=environment(), capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("out", ["-", "/dev/stdout"])
def test_events_on_the_standard_output_are_alone_there(run: Run, simulated: Path, trained: Path, out: str) -> None:
    assert run("apply", trained, simulated / "scores", "--out", "events.tsv")[0] == 0
    code, shown, notes = run("apply", trained, simulated / "scores", "--out", out)
    assert (code, shown) == (0, Path("events.tsv").read_text())
    assert "events of 12 clips to /dev/stdout" in notes
    assert not Path("-").exists()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('echo begin > log; "$@" --out - >> log; echo end >> log; cat log', "begin\n{}end\n"),
        ('"$@" --out /dev/stdout | cat', "{}"),
        ('"$@" --out >(cat) | cat', "{}"),
        ('"$@" --out /dev/null && test -c /dev/null && echo kept', "kept\n"),
    ],
)
def test_redirections_of_a_shell_work(line: str, expected: str, simulated: Path, trained: Path, tmp_path: Path) -> None:
    done = shell(line, tmp_path, "apply", trained, simulated / "scores")
    assert done.returncode == 0, done.stderr
    events = [x for x in done.stdout.splitlines(keepends=True) if x.count("\t") == 3 and "Wrote" not in x]
    others = "".join(x for x in done.stdout.splitlines(keepends=True) if x not in events and "Wrote" not in x)
    assert others == expected.replace("{}", "")
    assert bool(events) == ("{}" in expected)
    if events:
        assert events[0] == "filename\tonset\toffset\tevent_label\n" and len(events) > 12


def test_a_reader_that_goes_away_is_one_sentence(simulated: Path, trained: Path, tmp_path: Path) -> None:
    line = '"$@" --out - | true; exit "${PIPESTATUS[0]}"'
    done = shell(line, tmp_path, "apply", trained, simulated / "scores")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == "Error: Cannot write '/dev/stdout': Broken pipe; keep what reads it open."
    assert "Traceback" not in done.stderr


def test_a_run_folder_is_no_stream(run: Run, simulated: Path) -> None:
    for arguments in (["train", *sources(simulated), "--agent", "default"], ["demo"], ["simulate"]):
        assert_one_sentence(run(*arguments, "--out", "-"), r"--out .*folder.*'-'")
    assert not Path("-").exists()
