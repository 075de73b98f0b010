"""Fits that are stopped and taken up again give what they would have given without the stop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from event_agents import AGENTS, VALUE, StopError, files_of, small_task
from rl_postproc.agents import make_agent
from rl_postproc.agents.base import LEFT_TO_RESUME, Agent
from rl_postproc.agents.events import held_out

from rl_postproc.task import TuningTask
from rl_postproc.utils.errors import UserError

CASES: dict[str, dict[str, Any]] = {
    "event_value": AGENTS["boosted"],
    "event_set": {**AGENTS["set"], "models": 1},
    "event_ranking": AGENTS["ranking"],
    "exact_gradient": AGENTS["exact"],
    "vpg_paper": {"agent": "vpg_paper", "passes": 12, "hidden": 4},
    "tuned": {"agent": "tuned", "of": {**VALUE, "fallback": False}, "choices": {"rounds": [10, 20]}, "trials": 3},
    "ppo on values": {**AGENTS["features_on_values"], "rollouts": 2},
}


@pytest.fixture(scope="module")
def task() -> TuningTask:
    return small_task(12)


def stopping(after: int) -> Any:
    """Returns a report that stops the fit when it has told so often."""
    told: list[float] = []

    def report(fraction: float, figures: dict[str, float]) -> None:
        told.append(fraction)
        if len(told) == after:
            raise StopError

    return report


@pytest.mark.parametrize("stop", [1, 3])
@pytest.mark.parametrize("case", CASES)
def test_a_resumed_fit_equals_an_uninterrupted_one(case: str, stop: int, task: TuningTask, tmp_path: Path) -> None:
    learner = make_agent(CASES[case])
    torch.manual_seed(1)
    whole = learner.fit(task, 1)
    torch.manual_seed(2)
    with pytest.raises(StopError):
        learner.fit_in(task, 1, stopping(stop), tmp_path)
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "parts").iterdir()}
    assert kept
    torch.manual_seed(3)
    resumed = learner.fit_in(task, 1, lambda *_: None, tmp_path, True)
    assert (resumed.curve, resumed.evaluations) == (whole.curve, whole.evaluations)
    expected = files_of(whole.post_processor, tmp_path / "expected")
    assert files_of(resumed.post_processor, tmp_path / "found") == expected
    left = {path for pattern in learner.left_to_resume for path in tmp_path.glob(pattern)}
    assert left >= {path for path in (tmp_path / "parts").iterdir()}
    assert set(learner.left_to_resume) <= set(LEFT_TO_RESUME)


def test_finished_models_are_not_fitted_again(
    task: TuningTask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted: list[int] = []

    def counted(*arguments: Any) -> Any:
        fitted.append(arguments[2])
        return real(*arguments)

    real = held_out.FITS["boosted"]
    monkeypatch.setitem(held_out.FITS, "boosted", counted)
    learner = make_agent({**VALUE, "inner_folds": 4, "fallback": False})
    with pytest.raises(StopError):
        learner.fit_in(task, 0, stopping(3), tmp_path)
    assert fitted == [0, 1, 2]
    learner.fit_in(task, 0, lambda *_: None, tmp_path, True)
    assert fitted == [0, 1, 2, 3]
    learner.fit_in(task, 0, lambda *_: None, tmp_path, True)
    assert fitted == [0, 1, 2, 3]
    learner.fit_in(task, 0, lambda *_: None, tmp_path)
    assert fitted == [0, 1, 2, 3] * 2


def changed(settings: dict[str, Any]) -> Agent:
    return make_agent({**VALUE, "fallback": False, **settings})


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("cut", r"is damaged .*delete it"),
        ("byte", r"is damaged .*not those that were written"),
        ("settings", r"belongs to other data or settings; use another run folder"),
        ("seed", r"belongs to other data or settings"),
        ("scores", r"belongs to other data or settings"),
        ("code", r"was made by other code \([0-9a-f]{12}, not another\)"),
    ],
)
def test_parts_that_do_not_fit_are_refused(
    what: str, message: str, task: TuningTask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(StopError):
        changed({}).fit_in(task, 1, stopping(1), tmp_path)
    path = tmp_path / "parts" / "fold_0_boosted_0.safetensors"
    data, learner, seed, on = path.read_bytes(), changed({}), 1, task
    if what == "cut":
        path.write_bytes(data[: len(data) // 2])
    elif what == "byte":
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    elif what == "settings":
        learner = changed({"leaves": 5})
    elif what == "seed":
        seed = 2
    elif what == "scores":
        on = small_task(12, 1)
    else:
        monkeypatch.setattr("rl_postproc.agents.parts.code_version", lambda: "another")
    with pytest.raises(UserError, match=rf"The checkpoint '.*fold_0_boosted_0\.safetensors' {message}"):
        learner.fit_in(on, seed, lambda *_: None, tmp_path, True)


def test_agents_that_keep_nothing_take_seconds() -> None:
    quick = {name for name, kind in Agent.types().items() if not kind.left_to_resume}
    expected = {"default", "grid_search", "random_search", "coordinate_ascent", "exact_search", "optuna_search",
                "sgl_thresh", "num_thresh", "heu_thresh", "beam_search"}  # fmt: skip
    assert {name for name in quick if not name.startswith("test_")} <= expected | {"quantile", "ray_tune"}
