"""Rows tuned for one metric and judged by several."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from program import Run, assert_one_sentence, config_file

from rl_postproc.formats import read_events
from rl_postproc.metrics import EventBased, SegmentBased
from rl_postproc.metrics.certify import evaluate
from rl_postproc.simulation.config import SimulationConfig
from rl_postproc.simulation.data_set import simulate

JUDGES = ["event_based", "segment_based", {"metric": "intersection_based", "dtc": 0.5}, "psds1", "psds2", "mpauc"]
ROWS = [
    "grid_search",
    {"agent": "grid_search", "name": "for segments", "metric": "segment_based"},
    {"agent": "grid_search", "name": "for micro", "objective": "micro"},
]


@pytest.fixture
def results(run: Run, tmp_path: Path) -> dict:
    config = config_file(tmp_path, agents=ROWS, judged_by=JUDGES, baseline="grid_search")
    code, out, err = run("benchmark", config, "--out", "run")
    assert code == 0, err
    assert "behind the best" in out and "for segments" in out
    return json.loads(Path("run/results.json").read_text())


def test_every_judge_says_what_the_pooled_events_are_worth(results: dict) -> None:
    scores = simulate(SimulationConfig(n_clips=12, classes=["Cat", "Dog", "Speech"], clip_seconds=5))
    from rl_postproc import Events

    for row in results["judged"]:
        folders = sorted(Path("run/folds").glob(f"{row['agent']}_seed0_fold*"))
        assert len(folders) == 3
        rows = [
            (r.filename, r.onset, r.offset, r.label) for f in folders for r in read_events(f / "events.tsv") if r.label
        ]
        events = Events.from_rows(rows, scores.clip_ids, scores.classes)  # type: ignore[arg-type]
        assert list(row["judges"]) == ["event_based", "segment_based", "intersection_based", "psds1", "psds2", "mpauc"]
        for name, metric in (("event_based", EventBased()), ("segment_based", SegmentBased())):
            expected = evaluate(scores.require_references(), events, metric)
            assert row["judges"][name]["value"] == pytest.approx(expected.score.macro)
        assert row["judges"]["psds1"]["ranked"] is False  # decisions give no order
    own = {row["agent"]: row for row in results["rows"]}
    found = {row["agent"]: row["judges"] for row in results["judged"]}
    for agent in own:  # the rows' figures are all in the benchmark's own metric
        assert found[agent]["event_based"]["value"] == pytest.approx(own[agent]["macro_f1"])


def test_a_row_is_tuned_for_its_own_metric(results: dict) -> None:
    chosen = {}
    for name in ("grid_search", "for segments"):
        saved = json.loads(Path(f"run/folds/{name}_seed0_fold0/postprocessor.json").read_text())
        chosen[name] = saved["policy"]["values"]
    assert chosen["grid_search"] != chosen["for segments"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"judged_by": ["psds3"]}, "no metric or ranking 'psds3'; did you mean 'psds"),
        ({"judged_by": [{"ranking": "psds1", "dtc": 2}]}, "dtc"),
        ({"agents": [{"agent": "grid_search", "metric": "segmentbased"}]}, "unknown metric 'segmentbased'"),
    ],
)
def test_wrong_judges_are_one_sentence(run: Run, tmp_path: Path, values: dict, message: str) -> None:
    assert_one_sentence(run("benchmark", config_file(tmp_path, **values), "--out", "run"), message)
