"""Names of classes, clips, agents, titles and paths are printed and drawn as they are, by every command."""

from __future__ import annotations

import io
import re
import shlex
import shutil
from pathlib import Path

import pytest
import yaml
from program import Run, sources
from rl_postproc.agents.cli import output
from rl_postproc.agents.cli.output import console, notes, printable

from rl_postproc.formats import read_events
from rl_postproc.results.tables import agents_table, published_table

CLASSES = ["[/b]", "$a_{b$", "[laugh]", "_x", ":smile:", "a, b", "[link=x]y", "犬\\"]
FOLDER = "[red]o'ut $x^{"


@pytest.fixture(scope="module")
def nasty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Simulated files with such classes and clips, in a folder with such a name."""
    from rl_postproc.formats import write_events, write_scores
    from rl_postproc.simulation.config import SimulationConfig
    from rl_postproc.simulation.data_set import simulate

    folder = tmp_path_factory.mktemp("nasty") / "[/dim]data"
    made = simulate(SimulationConfig(n_clips=6, classes=CLASSES, clip_seconds=5.0, seed=2))
    write_scores(made, folder / "scores")
    write_events(made.require_references(), folder / "references.tsv")
    rows = [f"{name}\t{length}" for name, length in zip(made.clip_ids, made.durations.tolist(), strict=True)]
    (folder / "durations.tsv").write_text("\n".join(["filename\tduration", *rows]))
    for name in ("references.tsv", "durations.tsv"):
        text = (folder / name).read_text()
        (folder / name).write_text(text.replace("sim_00003", "[bold]$3"))
    shutil.move(folder / "scores" / "sim_00003.tsv", folder / "scores" / "[bold]$3.tsv")
    return folder


def shown(result: tuple[int, str, str], *names: str) -> str:
    code, out, err = result
    assert code == 0, err
    assert all(name in out for name in names), out
    return out


def test_train_apply_and_evaluate_show_names_as_they_are(run: Run, nasty: Path, tmp_path: Path) -> None:
    out = shown(run("train", "--agent", "default", *sources(nasty), "--out", FOLDER), *CLASSES, FOLDER)
    assert (tmp_path / FOLDER / "postprocessor.json").is_file()
    (command,) = [line for line in out.splitlines() if line.startswith("rl-postproc apply")]
    *words, _ = shlex.split(command)
    assert words[:3] == ["rl-postproc", "apply", FOLDER]
    shown(run(*words[1:], f"{FOLDER}.tsv"), f"to {FOLDER}.tsv.")
    assert {event.label for event in read_events(tmp_path / f"{FOLDER}.tsv")} <= {None, *CLASSES}
    shown(run("evaluate", f"{FOLDER}.tsv", "--references", nasty / "references.tsv"), FOLDER)
    options = ["--references", nasty / "references.tsv", "--scores", nasty / "scores"]
    shown(run("evaluate", FOLDER, *options), *CLASSES)


def test_benchmark_shows_and_draws_names_as_they_are(run: Run, nasty: Path, tmp_path: Path) -> None:
    config = {"title": "[/i] $a_{b$ :cat:", "agents": ["default", "grid_search"], "folds": 2,
              "stack": [{"stage": "threshold", "threshold": [0.3, 0.5]}]}  # fmt: skip
    (tmp_path / "[b].yaml").write_text(yaml.safe_dump(config))
    shown(run("benchmark", "[b].yaml", *sources(nasty), "--out", FOLDER), config["title"], FOLDER)
    assert {"agents.png", "classes.png", "clip.png"} <= {path.name for path in (tmp_path / FOLDER).iterdir()}


def test_simulate_names_the_folder_as_it_is(run: Run) -> None:
    shown(run("simulate", "--out", FOLDER, "--set", "n_clips=1"), f"Wrote 1 clips to {FOLDER}.")


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "--agent", "[/b]", "--out", "out"],
        ["train", "--config", "[/b]", "--out", "out"],
        ["list", "[/b]"],
        ["train", "--set", "[/b]", "--out", "out"],
        ["apply", "[/b]", "x", "--out", "y"],
        ["evaluate", "x", "--references", "[/b]"],
        ["evaluate", "x.tsv", "--references", "x", "--metric", "[/b]"],
        ["benchmark", "[/b]"],
        ["benchmark", "demo", "--agents", "[/b]"],
        ["simulate", "--out", "out", "--set", "[/b]=3"],
        ["list", "--plugin", "[/b].py"],
        ["[/b]"],
    ],
)
def test_errors_show_names_as_they_are(run: Run, arguments: list[str]) -> None:
    code, _, err = run(*arguments)
    assert code == 2
    assert "[/b]" in err
    assert "Traceback" not in err


def test_agents_are_named_as_they_are_in_tables(capsys: pytest.CaptureFixture[str]) -> None:
    row = {"agent": "[/b]", "seed": 0, "macro_f1": 0.5, "micro_f1": 0.5, "train_macro_f1": 0.5, "train_micro_f1": 0.5,
           "seconds": 1.0, "evaluations": 1}  # fmt: skip
    published = {"source": "[/i]", "measure": "micro_f1", "figures": {}}
    console.print(agents_table({"rows": [row], "score": "f1"}, "[/u]"))
    console.print(published_table({"rows": [row], "published": published}))
    out = capsys.readouterr().out
    assert out.count("[/b]") == 2
    assert "[/i]" in out and "[/u]" in out


def test_what_could_steer_a_terminal_is_not_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert printable("a\x1b[31mb\x9b\tc\nd\udcff é") == "a\ufffd[31mb\ufffd\tc\nd\ufffd é"
    notes.say("a class '\x1b]0;title\x07'", "Error:", "bold red")
    assert capsys.readouterr().err == "Error: a class '\ufffd]0;title\ufffd'\n"


def test_progress_shows_names_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(output, "notes", output.PlainConsole(file=screen, force_terminal=True, width=100))
    with output.progress() as show:
        show("training [/b] [red]x :cat:", 0.5, {"f1": 0.5})
    assert "training [/b] [red]x :cat:" in screen.getvalue()


def test_all_that_is_printed_passes_the_one_console() -> None:
    root = Path(output.__file__).resolve().parents[2]
    around = re.compile(r"\brich\.print\b|\bfrom rich import print\b|\bConsole\(|typer\.s?echo|\[/\]|\bmarkup=True")
    modules = [path for floor in ("agents", "envs", "rl_postproc") for path in (root / floor).rglob("*.py")]
    assert len(modules) > 100
    assert not [path for path in modules if around.search(path.read_text(encoding="utf-8"))]
    assert around.search("notes = Console(stderr=True)") and around.search("f'[bold]Note:[/] {text}'")
