"""A benchmark of a metric with columns and a score of its own: results, files and plots carry its names."""

from __future__ import annotations

import csv
import json
import math
import shutil
from collections import Counter
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest
import torch
from cases import small_simulation
from event_agents import STACK
from plugin_cases import Onsets, onsets
from rl_postproc.agents.benchmark import fold_tasks
from rl_postproc.agents.benchmark import run as benchmark
from rl_postproc.agents.benchmark.config import BenchmarkConfig
from rl_postproc.agents.benchmark.folds import sealed

from rl_postproc.data.events import Events
from rl_postproc.data.folds import fold_of_clips
from rl_postproc.data.scores import ScoreSet
from rl_postproc.formats import read_events
from rl_postproc.metrics import Counts, total_counts
from rl_postproc.pipeline.stack import Stack
from rl_postproc.results.tables import code_note
from rl_postproc.utils.checked import build
from rl_postproc.utils.code_version import code_version


class Jaccard(Onsets):
    """Onsets, scored by the share of hits among all that is there or found."""

    metric: Literal["test_jaccard"] = "test_jaccard"
    score_name: ClassVar[str] = "jaccard"

    def score(self, counts: Counts) -> torch.Tensor:
        hits, wanted = counts["hits"], counts["hits"] + counts["misses"]
        hits = hits if hits.is_floating_point() else hits.double()
        return torch.where(wanted > 0, hits / (wanted + counts["false_alarms"]).clamp(min=1), torch.nan)


AGENTS = ["default", "grid_search", {"agent": "random_search", "trials": 20}]
NAMES = ["default", "grid_search", "random_search"]


@pytest.fixture(scope="module")
def scores() -> ScoreSet:
    return small_simulation(12, 3)


def config(**more: Any) -> BenchmarkConfig:
    values = {"metric": {"metric": "test_jaccard"}, "agents": AGENTS, "stack": STACK, "folds": 2, "seeds": [0], **more}
    return build(BenchmarkConfig, values, "test")


@pytest.fixture(scope="module")
def finished(scores: ScoreSet, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("benchmark") / "out"
    return folder, benchmark.run_benchmark(config(), scores, folder, lambda *_: None)


def jaccard_of(folder: Path, name: str, scores: ScoreSet) -> tuple[float, list[Counter]]:
    """The mean of hits over all onsets, counted anew from the event files of the folds."""
    files = [folder / "folds" / f"{name}_seed0_fold{k}" / "events.tsv" for k in range(2)]
    rows = [row[:4] for file in files for row in read_events(file) if row.label]
    references = scores.require_references()
    wanted, found = onsets(references, 0.0), onsets(Events.from_rows(rows, scores.clip_ids, scores.classes), 0.0)
    counts = [Counter() for _ in scores.classes]
    for cell in {*wanted, *found}:
        free, there = list(found.get(cell, [])), wanted.get(cell, [])
        for onset in there:
            near = [x for x in free if abs(x - onset) <= 0.25]
            if near:
                free.remove(near[0])
                counts[cell[1]]["hits"] += 1
            else:
                counts[cell[1]]["misses"] += 1
        counts[cell[1]]["false_alarms"] += len(free)
    known = [c["hits"] / (c["hits"] + c["misses"] + c["false_alarms"]) for c in counts if c["hits"] + c["misses"]]
    return sum(known) / len(known), counts


def test_the_results_carry_the_score_of_the_metric(finished: tuple[Path, dict], scores: ScoreSet) -> None:
    folder, results = finished
    assert json.loads((folder / "results.json").read_text()) == json.loads(json.dumps(results))
    assert results["score"] == "jaccard"
    assert [row["agent"] for row in results["rows"]] == NAMES
    for row in results["rows"]:
        expected, counts = jaccard_of(folder, row["agent"], scores)
        assert row["macro_jaccard"] == pytest.approx(expected, abs=1e-12)
        assert 0 < row["macro_jaccard"] < 1 and 0 <= row["train_macro_jaccard"] <= 1
        assert not any("f1" in name for name in row)
        for own, count in zip(row["classes"].values(), counts, strict=True):
            assert set(own) == {"hits", "misses", "false_alarms", "jaccard"}
            assert {name: own[name] for name in ("hits", "misses", "false_alarms")} == {
                name: count[name] for name in ("hits", "misses", "false_alarms")
            }
        assert row["certified_by"].startswith("none: ")
    by_agent = {row["agent"]: row for row in results["rows"]}
    # The search maximises this very score, on the clips of the other folds.
    assert by_agent["grid_search"]["train_macro_jaccard"] >= by_agent["random_search"]["train_macro_jaccard"]
    assert by_agent["grid_search"]["train_macro_jaccard"] > by_agent["default"]["train_macro_jaccard"]
    interval = {entry["agent"]: entry for entry in results["agents"]}["random_search"]
    assert interval["low"] <= interval["value"] <= interval["high"]
    assert interval["gain"]["over"] == "grid_search"
    own, other = by_agent["random_search"]["macro_jaccard"], by_agent["grid_search"]["macro_jaccard"]
    assert interval["value"] == pytest.approx(own, abs=1e-9)
    assert interval["gain"]["value"] == pytest.approx(own - other, abs=1e-9)


def test_every_pair_of_agents_is_compared_once(finished: tuple[Path, dict]) -> None:
    results = finished[1]
    assert [(pair["agent"], pair["over"]) for pair in results["pairs"]] == [
        ("grid_search", "default"), ("random_search", "default"), ("random_search", "grid_search"),
    ]  # fmt: skip
    macro = {row["agent"]: row["macro_jaccard"] for row in results["rows"]}
    for pair in results["pairs"]:
        assert pair["value"] == pytest.approx(macro[pair["agent"]] - macro[pair["over"]], abs=1e-9)
        assert pair["low"] <= pair["value"] <= pair["high"]
        assert pair["low_adjusted"] <= pair["value"] <= pair["high_adjusted"]
    gain = {entry["agent"]: entry for entry in results["agents"]}["random_search"]["gain"]
    same = results["pairs"][2]
    assert [gain["value"], gain["low"], gain["high"]] == [same["value"], same["low"], same["high"]]


def test_the_files_and_plots_carry_it_too(finished: tuple[Path, dict]) -> None:
    folder, results = finished
    with open(folder / "results.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["agent"] for row in rows if math.isfinite(float(row["macro_jaccard"]))]
    assert {row["agent"] for row in rows} == set(NAMES) and "macro_f1" not in rows[0]
    for row in results["rows"]:
        shown = next(r for r in rows if r["agent"] == row["agent"])
        assert float(shown["macro_jaccard"]) == pytest.approx(row["macro_jaccard"], abs=1e-6)
    for name in ("agents.png", "classes.png", "curves.png", "clip.png"):
        assert (folder / name).stat().st_size > 5_000


def test_finished_folds_are_taken_up_and_only_missing_ones_are_run(
    finished: tuple[Path, dict], scores: ScoreSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, results = finished
    shutil.copytree(folder, tmp_path / "out")
    real, run = fold_tasks.run_fold, []

    def counted(*arguments: Any) -> None:
        run.append(arguments[4].name)
        real(*arguments)

    monkeypatch.setattr(fold_tasks, "run_fold", counted)
    again = benchmark.run_benchmark(config(), scores, tmp_path / "out", lambda *_: None)
    assert not run and again == results
    (tmp_path / "out" / "folds" / "random_search_seed0_fold1" / "result.json").unlink()
    again = benchmark.run_benchmark(config(), scores, tmp_path / "out", lambda *_: None)
    assert run == ["random_search_seed0_fold1"]
    for row, before in zip(again["rows"], results["rows"], strict=True):
        assert row | {"seconds": 0} == before | {"seconds": 0}
    # Another setting of the metric makes other counts, so that nothing is taken up.
    run.clear()
    other = config(metric={"metric": "test_jaccard", "sure": 0.5})
    benchmark.run_benchmark(other, scores, tmp_path / "out", lambda *_: None)
    assert len(run) == 6


def test_folds_made_by_other_code_are_used_and_named_and_run_anew_on_request(
    finished: tuple[Path, dict], scores: ScoreSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, results = finished
    assert results["code"] == [code_version()] and "folds_by_other_code" not in results
    assert code_note(results) == ""
    assert json.loads((folder / "versions.json").read_text())["code"] == code_version()
    out = tmp_path / "out"
    shutil.copytree(folder, out)
    for name, code in (("default_seed0_fold0", "0123456789ab"), ("grid_search_seed0_fold1", "ba9876543210")):
        path = out / "folds" / name / "result.json"
        result = json.loads(path.read_text())
        assert result.pop("code") == code_version()
        path.write_text(json.dumps(sealed({**result, "code": code})))
    real, run = fold_tasks.run_fold, []

    def counted(*arguments: Any) -> None:
        run.append(arguments[4].name)
        real(*arguments)

    monkeypatch.setattr(fold_tasks, "run_fold", counted)
    taken_up = benchmark.run_benchmark(config(), scores, out, lambda *_: None)
    assert not run
    assert taken_up["code"] == sorted(["0123456789ab", "ba9876543210", code_version()])
    assert taken_up["folds_by_other_code"] == {"default": 1, "grid_search": 1}
    note = code_note(taken_up)
    assert "2 finished folds of 'default', 'grid_search'" in note and "--fresh" in note and "\n" not in note
    anew = benchmark.run_benchmark(config(), scores, out, lambda *_: None, fresh=True)
    assert run == ["default_seed0_fold0", "grid_search_seed0_fold1"]
    assert anew["code"] == [code_version()] and "folds_by_other_code" not in anew


def test_folds_are_those_of_the_protocol(finished: tuple[Path, dict], scores: ScoreSet) -> None:
    folder, _ = finished
    fold = fold_of_clips(scores.clip_ids, 2).tolist()
    for k in range(2):
        own = {clip for clip, number in zip(scores.clip_ids, fold, strict=True) if number == k}
        rows = list(read_events(folder / "folds" / f"grid_search_seed0_fold{k}" / "events.tsv"))
        assert rows and {row[0] for row in rows} <= own


def test_a_metric_that_looks_at_confidences_is_counted_and_pooled_alike(scores: ScoreSet, tmp_path: Path) -> None:
    stack = [{"stage": "test_boxes", "level": [0.2, 0.5]}]
    macro = []
    for sure in (0.0, 0.95):
        own = config(metric={"metric": "test_jaccard", "sure": sure}, stack=stack, agents=["default"])
        results = benchmark.run_benchmark(own, scores, tmp_path / str(sure), lambda *_: None)
        macro.append(results["rows"][0]["macro_jaccard"])
    events = Stack.from_config(stack).events(scores, torch.tensor([0.5]))
    metric = Jaccard(sure=0.95)
    counts = total_counts(metric.count(scores.require_references(), events))
    assert macro[1] == pytest.approx(metric.summarise(counts).macro, abs=1e-12)
    assert macro[0] != macro[1]
