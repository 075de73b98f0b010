"""Stacks by name."""

from __future__ import annotations

from pathlib import Path

import pytest
from cases import small_simulation

from rl_postproc import tune
from rl_postproc.config import TaskConfig
from rl_postproc.pipeline.presets import load_preset, preset_names
from rl_postproc.pipeline.stack import Stack
from rl_postproc.task import TuningTask
from rl_postproc.utils.checked import build
from rl_postproc.utils.errors import UserError


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_turns_scores_into_events_at_its_defaults(name: str) -> None:
    preset, scores = load_preset(name), small_simulation(4, 2)
    stack = Stack.from_config(name)
    assert preset.description
    assert all(min(abs(c - p.default) for c in p.candidates) < 0.011 for p in stack.space.parameters)
    assert stack.to_config() == Stack.from_config(preset.stack).to_config()
    assert len(stack.events(scores, stack.space.defaults)) > 0
    assert build(TaskConfig, {"stack": name}, "test").stack == stack.to_config()
    assert TuningTask.build(scores, name).stack.stages == stack.stages


def test_the_published_settings_are_those_of_the_presets() -> None:
    defaults = {
        name: dict(zip((s := Stack.from_config(name)).space.names, s.space.defaults.tolist(), strict=True))
        for name in preset_names()
    }
    for name in ("dcase_baseline", "dcase2024_baseline"):
        assert defaults[name]["threshold.threshold"] == 0.5
        assert round(defaults[name]["median.kernel"] / 0.064) == 7
    assert [defaults["pyannote"][f"hysteresis.{n}"] for n in ("onset", "offset")] == [0.5, 0.5]
    # 18 settings of the boxes, each with 51 thresholds.
    assert Stack.from_config("csebbs").space.n_candidates == 18 * 51
    assert Stack.from_config("median_threshold").to_config() == Stack.default().to_config()
    assert Stack.from_config("rl_paper").space.sizes == (10, 101)


def test_a_file_beside_the_config_is_a_preset_too(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("stack: [{stage: threshold, threshold: [0.2, 0.4]}]\n")
    config = build(TaskConfig, {"stack": "own.yaml"}, "test", {"base": tmp_path})
    assert config.build_stack().space.sizes == (2,)
    found = tune(small_simulation(6, 2), "grid_search", stack=str(tmp_path / "own.yaml"))
    assert found.stack.space.sizes == (2,)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("csebb", None, "There is no stack 'csebb'; did you mean 'csebbs'"),
        ("../stacks/csebbs", None, "There is no stack"),
        ("own.yaml", None, "Cannot read the stack"),
        ("own.yaml", "stack: [", "is not valid YAML"),
        ("own.yaml", "[]", "stack"),
        ("own.yaml", "stages: []", "Field required"),
        ("own.yaml", "stack: [{stage: treshold}]", "did you mean 'threshold'"),
    ],
)
def test_what_is_no_stack_is_refused(tmp_path: Path, name: str, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=message):
        build(TaskConfig, {"stack": name}, "test", {"base": tmp_path})
