"""A package outside the tree adds a stage, a metric and an agent, and goes through every command."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from program import ROOT, sources

from rl_postproc.testing import check_metric, check_stage

STACK = [
    {"stage": "median", "kernel": [0, 0.3]},
    {"stage": "threshold", "threshold": [0.2, 0.4, 0.6, 0.8]},
    {"stage": "close_gaps"},
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which the example package is installed."""
    folder = tmp_path_factory.mktemp("acme")
    shutil.copytree(ROOT / "examples" / "plugin_package", folder / "source")
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--target", folder / "site"]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, folder / "source"], check=True)
    return folder / "site"


def call(site: Path, cwd: Path, *arguments: object) -> str:
    """Runs the program beside the installed package, and returns its output."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(site)]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "rl_postproc", *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_package_is_listed_with_descriptions_and_settings(site: Path, tmp_path: Path) -> None:
    found = json.loads(call(site, tmp_path, "list", "--json"))
    text = json.dumps(found)
    for name, sentence in (
        ("close_gaps", "Closes gaps of at most this length"),
        ("clip_alarms", "announced in vain"),
        ("quantile", "The threshold of each class at a quantile"),
    ):
        assert name in text
        assert sentence in text
    assert "share of clips in which the class stays silent" in call(site, tmp_path, "list", "agents", "--json")


def test_the_package_goes_through_benchmark_train_apply_and_evaluate(site: Path, tmp_path: Path, data: Path) -> None:
    config = {
        "stack": STACK,
        "metric": {"metric": "clip_alarms"},
        "agents": ["default", "grid_search", "random_search", {"agent": "quantile", "quantile": 0.6}],
        "folds": 3,
        "seeds": [0],
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    files = sources(data)
    out = call(site, tmp_path, "benchmark", "config.yaml", "--out", "bench", *files)
    assert "macro jaccard" in out
    results = json.loads((tmp_path / "bench" / "results.json").read_text())
    rows = {row["agent"]: row for row in results["rows"]}
    assert list(rows) == ["default", "grid_search", "random_search", "quantile"]
    assert rows["grid_search"]["train_macro_jaccard"] >= rows["random_search"]["train_macro_jaccard"]
    assert rows["grid_search"]["train_macro_jaccard"] > rows["default"]["train_macro_jaccard"]
    assert set(rows["quantile"]["classes"]["Cat"]) == {"hits", "misses", "false_alarms", "jaccard"}
    assert rows["quantile"]["certified_by"].startswith("none")
    call(site, tmp_path, "train", "--agent", "quantile", "--config", "config.yaml", "--out", "run", *files)
    call(site, tmp_path, "apply", "run", data / "scores", "--out", "events.tsv", "--durations", data / "durations.tsv")
    lines = (tmp_path / "events.tsv").read_text().splitlines()
    assert len(lines) > 1
    call(
        site, tmp_path, "evaluate", "events.tsv", "--metric", "clip_alarms", "--references", data / "references.tsv",
        "--durations", data / "durations.tsv", "--json",
    )  # fmt: skip


def test_its_parts_keep_the_promises_of_their_nouns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "examples" / "plugin_package"))
    from acme_postproc.clip_alarms import ClipAlarms
    from acme_postproc.close_gaps import CloseGaps

    check_stage(CloseGaps())
    check_metric(ClipAlarms())
