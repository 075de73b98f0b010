"""Stacks from the command line: a stage of ten lines beside the config, stacks by name, and what is refused before work."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from rl_postproc.pipeline.postprocessor import PostProcessor

STAGE = """
from typing import ClassVar, Literal
from rl_postproc.stages import Kind, Parameter, Probability, Stage

class Bias(Stage):
    \"\"\"Takes a bias off every score.\"\"\"
    stage: Literal["bias"] = "bias"
    by: Probability = Parameter(candidates=(0.0, 0.1, 0.3), default=0.0)
    takes: ClassVar[Kind] = "scores"
    gives: ClassVar[Kind] = "scores"
    def __call__(self, x, frames, **values):
        return (x - values["by"]).clamp(min=0)
"""
LEVELS = [0.2, 0.4, 0.6]
CONFIG: dict[str, Any] = {
    "data": {"simulated": {"n_clips": 24, "n_classes": 2}},
    "plugins": ["bias.py"],
    "stack": [
        {"stage": "bias"},
        {"stage": "threshold", "threshold": LEVELS},
        {"stage": "duration", "shortest": [0, 0.3]},
    ],
    "agents": ["default", "grid_search", {"agent": "ppo", "rollouts": 1, "members": 1, "epochs": 1, "visits": 4}],
    "folds": 2,
}


def test_a_stage_of_ten_lines_beside_the_config_is_tuned_by_grid_search_and_ppo(run: Any, tmp_path: Path) -> None:
    lines = [line for line in STAGE.splitlines() if line.strip()]
    assert len(lines) <= 11
    (tmp_path / "bias.py").write_text(STAGE)
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(CONFIG))
    code, _, error = run("benchmark", tmp_path / "own.yaml", "--out", tmp_path / "out")
    assert code == 0, error
    rows = json.loads((tmp_path / "out" / "results.json").read_text())["rows"]
    assert {row["agent"] for row in rows} == {"default", "grid_search", "ppo"}
    for agent in ("grid_search", "ppo"):
        made = PostProcessor.load(tmp_path / "out" / "folds" / f"{agent}_seed0_fold0")
        assert "bias.by" in made.stack.space.names


@pytest.mark.parametrize(
    ("stack", "message"),
    [
        ([{"stage": "threshold"}, {"stage": "duration", "shortest": 2, "longest": 1}], "no event is at least 2 s"),
        ([{"stage": "hysteresis", "onset": 0.3, "offset": 0.5}], "cannot begin above 0.3 and end below 0.5"),
        ([{"stage": "boxes"}, {"stage": "median"}], "Stage 'median' takes scores, but events reach it"),
        ([{"stage": "median", "kernel": {"low": 0, "high": 9, "count": 9999}}, {"stage": "threshold",
          "threshold": {"low": 0, "high": 1, "count": 9999}}], "at most 1e+07 can be counted"),
        ("csebb", "did you mean 'csebbs'"),
    ],
)  # fmt: skip
def test_stacks_that_make_no_sense_are_refused_in_one_sentence_before_any_work(
    run: Any, tmp_path: Path, stack: Any, message: str
) -> None:
    config = {"data": CONFIG["data"], "stack": stack, "agents": ["grid_search"], "folds": 2}
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(config))
    code, output, error = run("benchmark", tmp_path / "own.yaml", "--out", tmp_path / "out")
    assert code == 2
    assert message in " ".join((output + error).split())
    assert "Traceback" not in output + error
