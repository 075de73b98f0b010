"""Runs that are read for a report: the same figures and events, the same clips, and refusals that name the place."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from program import Run, assert_one_sentence, config_file, sources

from rl_postproc.metrics import total_counts
from rl_postproc.utils.errors import UserError

AGENTS = ["default", "grid_search", "event_value"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a folder with a benchmark on files, a training on the same, and their data."""
    from program import SIMULATED, process

    folder = tmp_path_factory.mktemp("runs")
    for call in (
        ("simulate", "--out", "data", *SIMULATED),
        (
            "benchmark",
            config_file(folder, data=None, agents=AGENTS, title="A <title>"),
            *sources(Path("data")),
            "--out",
            "compared",
        ),
        ("train", "--agent", "grid_search", *sources(Path("data")), "--out", "tuned"),
        ("apply", "tuned", "data/scores", "--durations", "data/durations.tsv", "--out", "events.tsv"),
    ):
        done = process(*call, cwd=folder)
        assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def copied(folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Returns a copy of these folders, which is the working folder."""
    shutil.copytree(folders, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    return tmp_path / "copy"


def data_section(data: Path) -> dict[str, str]:
    names = {"scores": "scores", "references": "references.tsv", "durations": "durations.tsv"}
    return {key: str((data / name).resolve()) for key, name in names.items()}


def test_the_events_of_a_benchmark_count_as_its_results_say(folders: Path) -> None:
    from rl_postproc.agents.report.make import make_report
    from rl_postproc.agents.report.runs import open_run

    run = open_run(folders / "compared", {})
    results = json.loads((folders / "compared" / "results.json").read_text())
    assert (run.kind, list(run.systems), list(run.made_by)) == ("benchmark", AGENTS, AGENTS)
    assert run.task is not None
    for row in results["rows"]:
        counts = total_counts(run.metric.count(run.task.scores.require_references(), run.systems[row["agent"]]))
        for k, name in enumerate(run.task.scores.classes):
            assert int(counts["true_positives"][k]) == row["classes"][name]["true_positives"]
    clips = torch.cat([clips for _, clips in run.made_by["grid_search"]]).sort().values
    assert clips.tolist() == list(range(12))
    report = make_report(run)
    assert report.title == "Benchmark: A <title>"
    table = report.sections[0].parts[0]
    macro = {row[0]: row[1][0] for row in table.rows}  # pyright: ignore[reportAttributeAccessIssue]
    assert macro == {row["agent"]: pytest.approx(row["macro_f1"]) for row in results["rows"]}
    assert [section.title for section in report.sections] == [
        "Results",
        "Classes",
        "Curves",
        "Errors",
        "Parameters",
        "Made of",
    ]
    assert report.browser is not None
    assert list(report.browser.systems) == AGENTS
    assert set(report.browser.chosen) == {"default", "grid_search"}


def test_a_training_is_shown_on_its_own_clips_and_on_others(folders: Path) -> None:
    from rl_postproc.agents.report.make import make_report
    from rl_postproc.agents.report.runs import open_run

    own = open_run(folders / "tuned", {})
    told = json.loads((folders / "tuned" / "report.json").read_text())
    assert own.kind == "train"
    assert own.figures["tuned"].score.macro == pytest.approx(told["macro_f1"])
    report = make_report(own)
    assert any("optimistic" in note for note in report.notes)
    parameters = next(section for section in report.sections if section.title == "Parameters").parts[0]
    for row in parameters.rows:  # pyright: ignore[reportAttributeAccessIssue]
        assert row[1:3] == [pytest.approx(value) for value in list(told["chosen"][row[0]].values())[:2]]
    others = open_run(folders / "tuned", data_section(folders / "data"))
    assert (others.kind, others.results) == ("apply", {})
    assert others.figures["tuned"].score.macro == pytest.approx(told["macro_f1"])
    events = open_run(folders / "events.tsv", data_section(folders / "data"))
    assert events.kind == "events"
    assert events.figures["events"].score.macro == pytest.approx(told["macro_f1"])
    bare = {key: value for key, value in data_section(folders / "data").items() if key != "references"}
    silent = make_report(open_run(folders / "events.tsv", bare))
    assert [section.title for section in silent.sections] == ["Made of"]
    assert silent.browser is not None and silent.browser.references is None
    applied = make_report(open_run(folders / "tuned", bare))
    assert [section.title for section in applied.sections] == ["Parameters", "Made of"]


def test_data_that_have_moved_are_told_and_can_be_given(run: Run, copied: Path) -> None:
    (copied / "data").rename(copied / "moved")
    for name in ("compared", "tuned"):
        config = (copied / name / "config.yaml").read_text()
        (copied / name / "config.yaml").write_text(config.replace(_root(config), str(copied)))
    code, out, err = run("report", "compared", "--out", "page.html")
    assert code == 0, err
    assert "Without clips and curves, since the scores of this run cannot be read" in " ".join(err.split())
    assert "page.html" in out
    page = (copied / "page.html").read_text()
    code, out, err = run("report", "compared", *sources(copied / "moved"), "--out", "page.html")
    assert code == 0 and "Without clips" not in err
    assert len((copied / "page.html").read_text()) > len(page)


def _root(config: str) -> str:
    """Returns the folder in which the data of a resolved config lay."""
    path = next(line.split(": ", 1)[1] for line in config.splitlines() if line.strip().startswith("durations: "))
    return str(Path(path).parent.parent)


def test_other_data_than_the_run_was_made_of_are_refused(run: Run, copied: Path) -> None:
    table = (copied / "data" / "references.tsv").read_text()
    (copied / "data" / "references.tsv").write_text(table.replace("Cat", "Dog"))
    refused = run("report", "compared", *sources(copied / "data"))
    assert_one_sentence(refused, "are not those of the run in 'compared'")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda path: path.write_text(path.read_text()[:200]), "is not valid JSON"),
        (lambda path: path.write_text("[]"), "holds no mapping"),
        (lambda path: path.write_text("{}"), "'title'"),
        (lambda path: _edit(path, lambda results: results["rows"][0].pop("macro_f1")), "row 1 lacks 'macro_f1'"),
        (lambda path: _edit(path, lambda results: results["agents"].pop()), "agent has no interval"),
        (lambda path: path.unlink(), "is not finished"),
    ],
    ids=["cut", "list", "empty", "row", "interval", "unfinished"],
)
def test_results_that_are_not_as_written_are_refused(change, said: str, run: Run, copied: Path) -> None:
    change(copied / "compared" / "results.json")
    assert_one_sentence(run("report", "compared", "--out", "page.html"), said)
    assert not (copied / "page.html").exists()


def _edit(path: Path, change) -> None:
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


def test_what_is_no_run_is_told(run: Run, copied: Path) -> None:
    assert_one_sentence(run("report", "data"), "neither results of `benchmark` nor a post-processor of `train`")
    assert_one_sentence(run("report", "."), r"give one of the runs in it \(compared\)")
    assert_one_sentence(run("report", "events.tsv"), "holds events; give --scores")
    assert_one_sentence(run("report", "universal"), "does not say which scores it was tuned on")
    assert_one_sentence(run("report", "nowhere", *sources(Path("data"))), "nowhere")


def test_two_runs_on_other_clips_are_not_compared(copied: Path) -> None:
    from rl_postproc.agents.report.compare import compare_runs
    from rl_postproc.agents.report.runs import open_run

    first = open_run(copied / "compared", {})
    table = [line for line in (copied / "data" / "durations.tsv").read_text().splitlines()]
    gone = table[-1].split("\t")[0]
    for path in (copied / "data" / "scores").glob(f"{Path(gone).stem}*"):
        path.unlink()
    section = {**data_section(copied / "data"), "subset": True}
    with pytest.raises(UserError, match=r"different clips: the clip .* is in '.*compared' alone"):
        compare_runs(first, open_run(copied / "tuned", section))
