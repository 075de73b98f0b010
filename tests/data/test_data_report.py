"""The data report: what there is, how it is known, what was cut, and what looks wrong."""

from __future__ import annotations

import json
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from cases import small_simulation
from program import STACK, Run, config_file, sources

from rl_postproc import data_report
from rl_postproc.data.score_checks import FEW, class_problems
from rl_postproc.data.scores import ScoreSet
from rl_postproc.formats import read_scores, write_events, write_scores
from rl_postproc.results.data_table import data_table
from rl_postproc.task import TuningTask
from rl_postproc.utils.errors import DataWarning

CLASSES = ("Cat", "Dog", "Bird")
HOP = 0.1


def arrays(n_clips: int = FEW) -> tuple[dict[str, np.ndarray], list[tuple[str, float, float, str]]]:
    """Returns scores that are high where cats and dogs are, and their references."""
    rng = np.random.default_rng(0)
    scores, rows = {}, []
    for i in range(n_clips):
        own = 0.1 * rng.random((50, 3))
        own[10:20, 0] += 0.7
        own[30:45, 1] += 0.7
        scores[f"c{i}"] = own
        rows += [(f"c{i}", 1.0, 2.0, "Cat"), (f"c{i}", 3.04, 4.46, "Dog")]
    return scores, rows


def score_set(swapped: bool = False, flat: bool = False, own_edges: bool = False, n_clips: int = FEW) -> ScoreSet:
    scores, rows = arrays(n_clips)
    for array in scores.values():
        array[:, [0, 1]] = array[:, [1, 0]] if swapped else array[:, [0, 1]]
        array[:, 2] = 0.25 if flat else array[:, 2]
    found = ScoreSet.from_arrays(scores, hop=HOP, classes=CLASSES, references=rows)
    if not own_edges:
        return found
    edges = found.edges * torch.linspace(0.98, 1.02, n_clips)[:, None]
    return ScoreSet.build(found.scores, edges, found.clip_ids, CLASSES, references=found.references)


@pytest.mark.parametrize("own_edges", [False, True])
@pytest.mark.parametrize(
    ("case", "patterns"),
    [
        ({}, []),
        ({"n_clips": 40}, []),
        ({"flat": True}, [r"^1 of 3 classes \('Bird'\) has one score throughout \(the first: 0\.25\)"]),
        (
            {"swapped": True},
            [r"^2 of 3 classes \('Cat', 'Dog'\) have scores that are no higher inside .* order of the classes"],
        ),
        ({"swapped": True, "flat": True}, ["one score", "no higher"]),
        ({"swapped": True, "n_clips": FEW - 1}, []),
    ],
)
def test_scores_that_do_not_fit_their_references_are_told(case: dict, patterns: list[str], own_edges: bool) -> None:
    problems = class_problems(score_set(**case, own_edges=own_edges))
    assert len(problems) == len(patterns), problems
    assert all(re.search(pattern, problem) for pattern, problem in zip(patterns, problems, strict=True))


def test_a_simulated_detector_looks_right() -> None:
    assert data_report(small_simulation(n_clips=40)).notes == ()


def test_the_report_counts() -> None:
    scores, rows = arrays(3)
    scores["c1"] = scores["c1"][:46]
    found = ScoreSet.from_arrays(scores, hop=HOP, classes=CLASSES, references=rows[:4] + rows[5:])
    assert data_report(found.select([0, 1, 2])).to_json() == {
        "clips": 3, "classes": list(CLASSES), "format": "", "hop": HOP, "hop_known": "given", "frames": [46, 50],
        "seconds": [pytest.approx(4.6), pytest.approx(5.0)], "seconds_known": "the end of the last frame",
        "references": {"Cat": 2, "Dog": 3, "Bird": 0}, "clips_without_references": 0, "notes": [],
    }  # fmt: skip
    blind = data_report(ScoreSet.from_arrays(scores, hop=HOP, classes=CLASSES))
    assert blind.references is None and blind.to_json()["clips_without_references"] is None


@pytest.mark.parametrize(
    ("durations", "cut"),
    [
        ({"a": 5.0, "b": 5.0}, None),
        ({"a": 4.95, "b": 5.0}, None),  # the last frame begins before the end
        ({"a": 5.0, "b": 4.0}, None),  # what is cut holds no score
        (
            {"a": 4.0, "b": 3.0},
            r"^10 frames of 1 of 2 clips .* are cut \(the first: 10 of 50 frames of 'a', which ends at 4 s\)",
        ),
    ],
)
def test_frames_that_hold_scores_are_not_cut_silently(durations: dict[str, float], cut: str | None) -> None:
    scores = {"a": np.full((50, 1), 0.5), "b": np.full((50, 1), 0.5)}
    scores["b"][30:] = 0.0
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DataWarning)
        found = ScoreSet.from_arrays(scores, hop=HOP, classes=["Cat"], durations=durations)
    said = [str(one.message) for one in caught]
    assert len(said) == (cut is not None) and all(re.search(str(cut), sentence) for sentence in said)
    assert list(found.origin.notes) == said
    assert [note for note in data_report(found).notes if "are cut" in note] == said


def written(folder: Path, format: str) -> tuple[Path, dict]:
    """Writes a small set in a format and returns where it lies and the keywords that read it."""
    found, path = score_set(), folder / format
    if format == "npy":
        path.mkdir()
        for clip, array in arrays()[0].items():
            np.save(path / f"{clip}.npy", array.astype(np.float32))
        return path, {"hop": HOP, "classes": list(CLASSES)}
    if format == "operating_points":
        path.mkdir()
        for threshold in (0.3, 0.5):
            events = TuningTask(found, *_parts()).stack.events(found, torch.tensor([0.0, threshold]))
            write_events(events, path / f"th_{threshold}.tsv")
        return path, {"classes": list(CLASSES)}
    if format == "tags":
        np.savez(folder / "tags.npz", scores=found.scores.amax(2).numpy(), clip_ids=np.array(found.clip_ids))
        return folder / "tags.npz", {"classes": list(CLASSES)}
    write_scores(found, path, format)
    return path, {}


def _parts():
    from rl_postproc.metrics import EventBased
    from rl_postproc.pipeline.stack import Stack

    return Stack.from_config(STACK), EventBased()


@pytest.mark.parametrize(
    ("format", "hop", "durations"),
    [
        ("sed_scores", "from the score files", "the end of the last frame"),
        ("npy", "given", "the end of the last frame"),
        ("operating_points", "told from the event times", "the end of the last frame"),
        ("shards", "from the score files", "from the score files"),
        ("tags", "", ""),
    ],
)
def test_the_report_tells_how_hop_and_lengths_are_known(tmp_path: Path, format: str, hop: str, durations: str) -> None:
    path, options = written(tmp_path, format)
    origin = data_report(read_scores(path, **options)).origin
    assert (origin.format, origin.hop, origin.durations) == (format, hop, durations)
    if format in ("sed_scores", "npy", "operating_points"):
        (tmp_path / "d.tsv").write_text("".join(f"{clip}\t5.0\n" for clip in arrays()[0]))
        origin = data_report(read_scores(path, durations=tmp_path / "d.tsv", **options)).origin
        assert origin.durations == f"from '{tmp_path / 'd.tsv'}'"


def test_a_task_says_what_looks_wrong_unless_it_was_said_before() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DataWarning)
        TuningTask.build(score_set(swapped=True))
        scores, rows = arrays()
        twice = ScoreSet.from_arrays(scores, hop=HOP, classes=CLASSES, references=[*rows, rows[0]])
        n = len(caught)
        TuningTask.build(twice)
        TuningTask.build(score_set())
    assert [re.sub(r".*(no higher|repeat).*", r"\1", str(one.message)) for one in caught] == ["no higher", "repeat"]
    assert n == len(caught)


def test_the_table_is_a_handful_of_lines_and_prints_names_as_they_are() -> None:
    from rl_postproc.agents.cli.output import PlainConsole

    scores, rows = arrays()
    names = ["[red]", "Dog", "[/b]"]
    rows = [(clip, on, off, names[CLASSES.index(label)]) for clip, on, off, label in rows]
    found = ScoreSet.from_arrays(scores, hop=HOP, classes=names, references=rows)
    console = PlainConsole(width=120, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(data_table(data_report(found)))
    lines = console.export_text().splitlines()
    assert len(lines) == 4
    assert "'[red]' 5 to" in lines[3] and "no reference for 1 classes: '[/b]'" in lines[3]


STEPS = {
    "train": ["train", "--agent", "default", "--out", "run"],
    "benchmark": ["benchmark", "CONFIG", "--out", "out"],
    "apply": ["apply", "run", "data/scores", "--durations", "data/durations.tsv", "--out", "events.tsv"],
    "evaluate": ["evaluate", "run", "--json"],
}


def test_commands_tell_what_the_data_are_before_the_results(run: Run, data: Path, tmp_path: Path) -> None:
    # One class has the scores of another, and one reference stands there twice.
    lines = (data / "references.tsv").read_text().splitlines()
    event = next(line for line in lines[1:] if line.split("\t")[3])
    (data / "references.tsv").write_text("\n".join([*lines, event]) + "\n")
    config = config_file(tmp_path)
    for name, arguments in STEPS.items():
        given = [] if name == "apply" else sources(data)
        code, out, err = run(*(config if word == "CONFIG" else word for word in arguments), *given)
        assert code == 0, err
        assert re.search(r"^Data +12 clips, 3 classes \(sed_scores\) *$", err, re.MULTILINE), err
        assert re.search(r"^frames +\d+ to \d+ of 0\.064 s \(from the score files\)", err, re.MULTILINE)
        assert ("repeat" in err) == (name != "apply")
        assert "Note: " not in err and "repeat" not in out
        if name == "evaluate":
            json.loads(out)
    for folder in ("run", "out"):
        saved = json.loads((tmp_path / folder / "data.json").read_text())
        assert saved["clips"] == 12 and "1 of " in saved["notes"][0] and saved["seconds_known"].startswith("from ")
    code, out, err = run("demo", "--out", "demo", "--set", "data.simulated.n_clips=12", "--set", "agents=[default]")
    assert code == 0 and "12 clips, 10 classes (simulated)" in err


def test_apply_says_what_ends_the_clips(run: Run, data: Path) -> None:
    assert run("train", "--agent", "default", *sources(data), "--out", "run")[0] == 0
    applied = ["apply", "run", data / "scores", "--out", "events.tsv"]
    assert "Clip lengths: the end of the last frame, since no --durations are given." in run(*applied)[1]
    assert f"Clip lengths: from '{data / 'durations.tsv'}'." in run(*applied, "--durations", data / "durations.tsv")[1]
