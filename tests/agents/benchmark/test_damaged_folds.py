"""A fold whose files were cut, changed or lost is run anew with a warning that names it, and the results stay as before."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cases import small_simulation
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rl_postproc.agents.benchmark import run as benchmark
from rl_postproc.agents.benchmark.config import BenchmarkConfig
from rl_postproc.agents.benchmark.folds import sealed

from rl_postproc.data.scores import ScoreSet
from rl_postproc.utils.checked import build
from rl_postproc.utils.errors import DataWarning

FOLD = "network_seed0_fold1"
FILES = ("result.json", "counts.safetensors", "events.tsv", "postprocessor.json", "postprocessor.safetensors")
NETWORK = {
    "agent": "event_value", "name": "network", "model": "network", "rounds": 15, "hidden": 4, "inner_folds": 2,
    "fallback": False,
}  # fmt: skip


@pytest.fixture(scope="module")
def scores() -> ScoreSet:
    return small_simulation(10, 2, short=0.4)


def run(scores: ScoreSet, out: Path) -> dict[str, Any]:
    """Runs a small benchmark and returns its results without what takes its time."""
    stack = [{"stage": "median", "kernel": [0, 0.3]}, {"stage": "threshold", "threshold": [0.3, 0.5, 0.7]}]
    config = build(BenchmarkConfig, {"agents": ["default", NETWORK], "folds": 2, "stack": stack}, "test")
    results = benchmark.run_benchmark(config, scores, out, lambda *_: None)
    for row in results["rows"]:
        del row["seconds"]
    return results


@pytest.fixture(scope="module")
def finished(scores: ScoreSet, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("benchmark")
    return out, run(scores, out)


def assert_run_anew(
    finished: tuple[Path, dict], scores: ScoreSet, tmp_path: Path, damage: Callable, reason: str
) -> None:
    out = tmp_path / "out"
    shutil.copytree(finished[0], out)
    damage(out / "folds" / FOLD)
    with pytest.warns(DataWarning, match=rf"The fold '.*{FOLD}' is run anew, since {reason}\.$") as told:
        assert run(scores, out) == finished[1]
    assert sum("run anew" in str(warning.message) for warning in told) == 1
    for name in FILES[1:]:
        assert (out / "folds" / FOLD / name).read_bytes() == (finished[0] / "folds" / FOLD / name).read_bytes()


def drop_row(folder: Path) -> None:
    rows = (folder / "events.tsv").read_text().splitlines(keepends=True)
    (folder / "events.tsv").write_text("".join(rows[:-1]))


def written(name: str, text: str) -> Callable[[Path], Any]:
    return lambda folder: (folder / name).write_text(text)


def changed(key: str, value: Any) -> Callable[[Path], Any]:
    def change(folder: Path) -> None:
        path = folder / "result.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))

    return change


CHANGED = "is not as it was written"


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda folder: (folder / "counts.safetensors").write_bytes(b""), f"counts.safetensors {CHANGED}"),
        (drop_row, f"events.tsv {CHANGED}"),
        (lambda folder: (folder / "events.tsv").unlink(), "events.tsv cannot be read"),
        (lambda folder: (folder / "counts.safetensors").unlink(), "counts.safetensors cannot be read"),
        (lambda folder: (folder / "postprocessor.safetensors").unlink(), "postprocessor.safetensors cannot be read"),
        (lambda folder: (folder / "result.json").unlink(), "result.json is missing"),
        (written("result.json", "[]"), f"result.json {CHANGED}"),
        (written("result.json", "{}"), f"result.json {CHANGED}"),
        (written("result.json", "[" * 100_000), "result.json cannot be read"),
        (changed("seconds", -1), f"result.json {CHANGED}"),
        (changed("curve", None), f"result.json {CHANGED}"),
        (changed("files", {}), f"result.json {CHANGED}"),
        (changed("sha256", None), f"result.json {CHANGED}"),
    ],
)
def test_a_damaged_fold_is_run_anew_and_named(
    finished: tuple[Path, dict], scores: ScoreSet, tmp_path: Path, damage: Callable, reason: str
) -> None:
    assert_run_anew(finished, scores, tmp_path, damage, reason)


@given(st.data())
@settings(max_examples=12, suppress_health_check=list(HealthCheck))
def test_a_file_cut_at_any_byte_is_noticed(
    finished: tuple[Path, dict], scores: ScoreSet, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(FILES))
    size = (finished[0] / "folds" / FOLD / name).stat().st_size
    # Without its last line end, the JSON is still whole.
    length = data.draw(st.one_of(st.sampled_from([0, 1, size - 2]), st.integers(0, size - 2)))

    def cut(folder: Path) -> None:
        (folder / name).write_bytes((folder / name).read_bytes()[:length])

    assert_run_anew(finished, scores, tmp_path_factory.mktemp("cut"), cut, rf"{name} (cannot be read|{CHANGED})")


def test_a_fold_that_is_whole_is_taken_up_and_one_of_other_settings_is_replaced_without_a_word(
    finished: tuple[Path, dict], scores: ScoreSet, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    out = tmp_path / "out"
    shutil.copytree(finished[0], out)
    path = out / "folds" / FOLD / "result.json"
    before = path.read_bytes()
    assert run(scores, out) == finished[1]
    assert path.read_bytes() == before
    path.write_text(json.dumps(sealed({**json.loads(before), "key": "of other settings"})))
    assert run(scores, out) == finished[1]
    assert json.loads(path.read_text())["key"] == json.loads(before)["key"]
    assert not [warning for warning in recwarn if "run anew" in str(warning.message)]
