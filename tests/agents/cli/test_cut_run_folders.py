"""Run folders of `train` whose files were cut at any byte or changed: one sentence, or what the whole folder gives."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
from artefact_cases import VALUES
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from program import Run, assert_one_sentence, sources
from rl_postproc.agents.cli import app as cli

TRAINED = {
    "constant": ["--agent", "grid_search"],
    "learned": ["--agent", "event_value", "--set", "agent.rounds=5", "--set", "agent.inner_folds=2",
                "--set", "agent.fallback=false"],
}  # fmt: skip


@pytest.fixture(scope="module")
def runs(simulated: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    found = {name: tmp_path_factory.mktemp("runs") / name for name in TRAINED}
    for name, arguments in TRAINED.items():
        words = ["rl-postproc", "train", *arguments, *sources(simulated), "--out", found[name]]
        with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as stop:
            patch.setattr(sys, "argv", list(map(str, words)))
            cli.main()
        assert not stop.value.code
    return found


def evaluated(run: Run, folder: Path, simulated: Path) -> tuple[int, str, str]:
    """Applies a run and scores it."""
    return run("evaluate", folder, *sources(simulated), "--json")


@pytest.mark.parametrize("kind", TRAINED)
@given(data=st.data())
@settings(max_examples=20, suppress_health_check=list(HealthCheck))
def test_a_file_cut_at_any_byte_is_refused_in_one_sentence_or_makes_no_difference(
    kind: str, runs: dict[str, Path], simulated: Path, run: Run, tmp_path_factory: pytest.TempPathFactory,
    data: st.DataObject,
) -> None:  # fmt: skip
    folder = tmp_path_factory.mktemp("cut") / "run"
    shutil.copytree(runs[kind], folder)
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    path = folder / data.draw(st.sampled_from([name for name in names if "postprocessor" in name] + names))
    whole = path.read_bytes()
    cut = data.draw(st.one_of(st.sampled_from([0, 1, 8, len(whole) - 2]), st.integers(0, len(whole))))
    path.write_bytes(whole[:cut])
    found = evaluated(run, folder, simulated)
    if found[0]:
        assert_one_sentence(found, r"postprocessor\.(json|safetensors)'")
    else:
        assert "postprocessor" not in path.name or cut >= len(whole) - 1
        assert found[1] == evaluated(run, runs[kind], simulated)[1]


@pytest.mark.parametrize("kind", TRAINED)
def test_a_changed_metric_of_the_run_is_refused_or_scored_as_named(
    kind: str, runs: dict[str, Path], simulated: Path, run: Run, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(runs[kind], folder)
    path = folder / "postprocessor.json"
    whole = json.loads(path.read_text())
    for key in whole["about"]["metric"]:
        for value in VALUES[::2]:
            about = {**whole["about"], "metric": {**whole["about"]["metric"], key: value}}
            path.write_text(json.dumps({**whole, "about": about}))
            found = evaluated(run, folder, simulated)
            assert found[0] in ((0, 2) if kind == "constant" else (2,)), (key, value, found)
            if found[0]:
                assert_one_sentence(found, r"\w")


def test_weights_of_another_run_are_refused(runs: dict[str, Path], simulated: Path, run: Run, tmp_path: Path) -> None:
    other = ["--agent", "event_value", *TRAINED["learned"][2:], "--seed", 1]
    assert run("train", *other, *sources(simulated), "--out", tmp_path / "run")[0] == 0
    shutil.copy(runs["learned"] / "postprocessor.safetensors", tmp_path / "run")
    assert_one_sentence(evaluated(run, tmp_path / "run", simulated), "is damaged or of another run")
