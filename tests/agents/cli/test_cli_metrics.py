"""`evaluate` with several metrics and with rankings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from program import Run, assert_one_sentence, config_file, sources


@pytest.fixture
def files(tmp_path: Path) -> list[object]:
    """Events with confidences, and what describes them."""
    (tmp_path / "r.tsv").write_text("a.wav\t0.0\t2.0\tCat\nb.wav\t1.0\t3.0\tDog\nc.wav\t\t\t\n")
    (tmp_path / "d.tsv").write_text("a.wav\t5\nb.wav\t5\nc.wav\t5\n")
    rows = ["a.wav\t0.1\t2.6\tCat\t0.9", "b.wav\t1.0\t3.0\tDog\t0.4", "c.wav\t1.0\t3.0\tDog\t0.6"]
    (tmp_path / "e.tsv").write_text("\n".join(["filename\tonset\toffset\tevent_label\tconfidence", *rows]) + "\n")
    return ["evaluate", "e.tsv", "--references", "r.tsv", "--durations", "d.tsv"]


def test_several_metrics_are_told_at_once(run: Run, files: list[object]) -> None:
    names = ["event_based", "segment_based", "mean_average_precision", "mpauc"]
    asked = [*files, *(option for name in names for option in ("--metric", name))]
    code, out, _ = run(*asked, "--json")
    told = json.loads(out)["metrics"]
    assert code == 0 and [own["metric"]["metric"] for own in told] == names
    assert told[0]["metric"]["t_collar"] == 0.2
    for name, own in zip(names, told, strict=True):
        alone = json.loads(run(*files, "--metric", name, "--json")[1])
        assert alone == {key: value for key, value in own.items() if key != "metric"}
        assert alone["certified_by"].split()[0] in ("sed_eval", "scikit-learn", "sed_scores_eval", "none:")
    # The dog of clip b is less sure than the one that is not in clip c.
    assert told[2]["classes"]["Cat"]["average_precision"] == 1.0
    assert told[2]["classes"]["Dog"]["average_precision"] == 0.5
    assert told[1]["overall"] == {
        "substitutions": 0, "deletions": 0, "insertions": 3, "error_rate": 0.75,
        "substitution_rate": 0.0, "deletion_rate": 0.0, "insertion_rate": 0.75,
    }  # fmt: skip
    code, out, _ = run(*asked)
    assert code == 0
    for words in (
        "precision",
        "All classes together: substitutions 0",
        "partial auroc",
        "mean average precision",
        "Dog",
    ):
        assert words in out
    assert out.count("Metric: ") == 4 and "segment_based (segment_length 1.0)" in out


def test_each_metric_has_settings_of_its_own(run: Run, files: list[object]) -> None:
    onsets = "{metric: event_based, evaluate_offset: false}"
    code, out, err = run(
        *files, "--metric", "segment_based", "--metric", onsets, "--metric", "event_based",
        "--set", "segment_based.segment_length=0.5", "--percentage-of-length", 0.1, "--json",
    )  # fmt: skip
    assert code == 0, err
    told = json.loads(out)["metrics"]
    assert told[0]["metric"] == {"metric": "segment_based", "segment_length": 0.5}
    assert [own["metric"]["evaluate_offset"] for own in told[1:]] == [False, True]
    assert [own["metric"]["percentage_of_length"] for own in told[1:]] == [0.1, 0.1]
    assert [own["classes"]["Cat"]["true_positives"] for own in told[1:]] == [1, 0]


def test_wrong_metrics_and_settings_are_refused(run: Run, files: list[object]) -> None:
    two = ["--metric", "tagging", "--metric", "mpauc"]
    for options, message in (
        (["--metric", "mpau"], r"unknown metric 'mpau'.*did you mean 'mpauc'"),
        (["--metric", "{metric: [}"], r"--metric takes a name, or a mapping"),
        (["--metric", "{t_collar: 0.3}"], r"--metric takes a name, or a mapping"),
        (["--metric", "mpauc", "--set", "metric.max_fpr=2"], r"ranking 'mpauc'.*'max_fpr'"),
        (["--metric", "mpauc", "--set", "mpauc.max_fp=0.2"], r"'max_fp'.*did you mean 'max_fpr'"),
        ([*two, "--set", "metric.max_fpr=0.2"], r"NAME\.KEY=VALUE, where several metrics are named, but got 'metric'"),
        ([*two, "--set", "lwlrap.x=0.2"], r"NAME\.KEY=VALUE.*but got 'lwlrap'"),
        ([*two, "--t-collar", 0.3], r"None of the metrics has a 't_collar'.*leave --t-collar out"),
    ):
        assert_one_sentence(run(*files, *options, "--json"), message)
    assert_one_sentence(run("evaluate", "e.tsv", "--references", "r.tsv", "--metric", "mpauc"), "give --durations")


def test_scores_are_ranked_as_they_are(run: Run, simulated: Path) -> None:
    asked = ["evaluate", *sources(simulated), "--json"]
    code, out, _ = run(*asked, "--metric", "mpauc", "--metric", "lwlrap")
    assert code == 0
    mpauc, lwlrap = json.loads(out)["metrics"]
    assert 0.3 < mpauc["mpauc"] <= 1 and 0.3 < lwlrap["lwlrap"] <= 1
    assert set(mpauc["classes"]) == {"Cat", "Dog", "Speech"}
    assert_one_sentence(run(*asked, "--metric", "mpauc", "--metric", "tagging"), r"'tagging' counts events")
    assert_one_sentence(run(*asked), r"'event_based' counts events.*list rankings")
    assert_one_sentence(run("evaluate", "--metric", "mpauc"), r"nothing to evaluate")


def test_the_confidences_of_a_run_are_ranked(run: Run, simulated: Path) -> None:
    stack = "stack=[{stage: boxes, window: 0.4}, {stage: confidence, threshold: [0.1, 0.5]}]"
    trained = run("train", "--agent", "default", *sources(simulated), "--set", stack, "--out", "run")
    assert trained[0] == 0, trained[2]
    code, out, err = run(
        "evaluate",
        "run",
        *sources(simulated),
        "--metric",
        "event_based",
        "--metric",
        "mean_average_precision",
        "--json",
    )
    assert code == 0
    assert "equally" not in err and "have the confidence" not in err
    assert 0 < json.loads(out)["metrics"][1]["mean_average_precision"] <= 1


def test_nothing_is_tuned_for_a_ranking(run: Run, tmp_path: Path) -> None:
    refused = run("benchmark", config_file(tmp_path, metric={"metric": "mpauc"}), "--out", "out")
    assert_one_sentence(refused, r"'mpauc' judges a ranking and has no counts")


def test_a_benchmark_is_judged_by_segments(run: Run, tmp_path: Path) -> None:
    code, out, err = run("benchmark", config_file(tmp_path, metric={"metric": "segment_based"}), "--out", "out")
    assert code == 0, err
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    by_agent = {row["agent"]: row for row in results["rows"]}
    assert by_agent["grid_search"]["train_macro_f1"] >= by_agent["default"]["train_macro_f1"]
    assert all(row["certified_by"].startswith("sed_eval") for row in results["rows"])
    assert all(row["macro_error_rate"] > 0 and row["micro_error_rate"] > 0 for row in results["rows"])
    assert "error" in out
