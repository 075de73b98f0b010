"""Tables and CSV files of results."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from cases import decode_events, small_simulation
from rich.console import Console
from rich.table import Table

from rl_postproc.metrics import EventBased
from rl_postproc.metrics.certify import CertifiedScores, evaluate
from rl_postproc.results.tables import agents_table, classes_table, losses_note, write_classes, write_rows


@pytest.fixture(scope="module")
def report() -> CertifiedScores:
    scores = small_simulation(8)
    return evaluate(scores.require_references(), decode_events(scores, scores.scores > 0.5), EventBased())


def row(report: CertifiedScores, agent: str, seed: int) -> dict[str, Any]:
    told = report.to_json()
    return {"agent": agent, "seed": seed, "train_macro_f1": 0.5, "train_micro_f1": 0.4, "seconds": 1.0, "evaluations": 3,
            **told}  # fmt: skip


def text_of(table: Table, width: int = 200) -> str:
    out = io.StringIO()
    Console(file=out, width=width).print(table)
    return out.getvalue()


def read(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.open(encoding="utf-8")))


def test_classes_and_agents_have_precision_and_recall(report: CertifiedScores) -> None:
    told = report.to_json()
    shown = text_of(classes_table(report, "title")).splitlines()
    columns = [part.strip() for part in next(line for line in shown if "class" in line).strip("┃ ").split("┃")]
    assert columns[-3:] == ["precision", "recall", "F1"]
    for name, figures in [*told["classes"].items(), ("macro", None), ("micro", None)]:
        line = next(line for line in shown if f" {name} " in line)
        wanted = figures or {rate: told[f"{name}_{rate}"] for rate in ("precision", "recall", "f1")}
        assert [f"{100 * wanted[rate]:.2f}" for rate in ("precision", "recall", "f1")] == line.split()[-6:-1:2]
    gain = {"over": "grid_search", "value": 0.127, "low": 0.087, "high": 0.168}
    results = {
        "rows": [row(report, "event_value", 0)],
        "score": "f1",
        "agents": [{"agent": "event_value", "gain": gain}],
    }
    shown = text_of(agents_table(results, "title"), 120)
    assert "+12.70 (+8.7 to +16.8)" in shown  # in one line, as narrow as it is
    assert f"{100 * told['macro_precision']:.2f}" in shown and f"{100 * told['macro_recall']:.2f}" in shown


def test_files_have_all_averages_and_a_row_for_each_agent_seed_and_class(
    report: CertifiedScores, tmp_path: Path
) -> None:
    rows = [row(report, agent, seed) for agent in ("a", "b, c") for seed in (0, 1)]
    write_rows(tmp_path / "results.csv", rows, "f1")
    write_classes(tmp_path / "classes.csv", rows)
    found = read(tmp_path / "results.csv")
    assert [(line["agent"], line["seed"]) for line in found] == [(r["agent"], str(r["seed"])) for r in rows]
    for name in ("macro_f1", "micro_f1", "macro_precision", "micro_recall"):
        assert float(found[0][name]) == rows[0][name]
    found = read(tmp_path / "classes.csv")
    assert len(found) == 4 * len(report.classes)
    assert [line["class"] for line in found[: len(report.classes)]] == list(report.classes)
    last = found[-1]
    assert (last["agent"], last["seed"], last["class"]) == ("b, c", "1", report.classes[-1])
    wanted = rows[-1]["classes"][last["class"]]
    assert {name: float(last[name]) for name in wanted} == wanted


def test_classes_on_which_agents_lose_are_named() -> None:
    def of(agent: str, seed: int, *scores: float | None) -> dict[str, Any]:
        return {
            "agent": agent,
            "seed": seed,
            "classes": {name: {"f1": f1} for name, f1 in zip("abc", scores, strict=True)},
        }

    rows = [of("default", 0, 0.5, 0.5, None), of("better", 0, 0.6, 0.5, None), of("mixed", 0, 0.3, 0.6, None),
            of("mixed", 1, 0.5, 0.8, None)]  # fmt: skip
    assert losses_note({"rows": rows, "score": "f1"}) == "'mixed' is below 'default' on 1 of 2 classes: a -10.0."
    assert losses_note({"rows": rows[1:], "score": "f1"}) == ""
    points = {"learning_curve": {"mixed": [{"clips": 5}]}}
    few = [{**row, "agent": "mixed 5"} if row["agent"] == "mixed" else row for row in rows]
    assert losses_note({"rows": few, "score": "f1", **points}) == ""
    many = {"rows": [{"agent": a, "classes": {f"k{i}": {"f1": f1 - i / 100 * f1} for i in range(9)}}
                     for a, f1 in (("default", 1.0), ("worse", 0.5))], "score": "f1"}  # fmt: skip
    assert losses_note(many).endswith("9 of 9 classes: k0 -50.0, k1 -49.5, k2 -49.0, k3 -48.5, k4 -48.0, ….")
