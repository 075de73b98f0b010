"""PPO that is stopped and taken up again gives what it would have given without the stop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from event_agents import StopError, agent, files_of, small_task, stopping
from rl_postproc.agents.base import FitResult, silent
from rl_postproc.envs import PostProcessingVectorEnv
from safetensors.torch import save_file

from rl_postproc.task import TuningTask
from rl_postproc.utils.errors import UserError

KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "events": ("events", {}),
    "on values": ("features_on_values", {}),
    "tracks": ("tracks", {}),
    "joint": ("joint", {}),
    "watched": (
        "tracks",
        {"learning_rate": 1e-2, "validation": 0.3, "patience": 20, "fallback": False},
    ),
    "whole passes": ("tracks", {"reward": "episode_f1"}),
}


@pytest.fixture(scope="module")
def task() -> TuningTask:
    return small_task(16)


def disturb(seed: int) -> None:
    """Another process has other random state."""
    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002


def run(
    task: TuningTask, kind: str, folder: Path, report: Any = silent, resume: bool = False, seed: int = 1
) -> FitResult:
    folder.mkdir(exist_ok=True)
    name, settings = KINDS[kind]
    return agent(name, **settings).fit_in(task, seed, report, folder, resume)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rollouts", [1, 3])
def test_a_resumed_run_equals_an_uninterrupted_one(task: TuningTask, kind: str, rollouts: int, tmp_path: Path) -> None:
    disturb(1)
    whole = run(task, kind, tmp_path / "whole")
    disturb(2)
    with pytest.raises(StopError):
        run(task, kind, tmp_path / "parts", stopping(rollouts))
    disturb(3)
    resumed = run(task, kind, tmp_path / "parts", resume=True)
    assert resumed.curve == whole.curve
    assert len(whole.curve) > rollouts
    assert resumed.evaluations == whole.evaluations
    # Not only the best policy, but all of the last state: weights, optimiser, random state, figures.
    paths = sorted((tmp_path / "whole").glob("checkpoint_*"))
    assert paths
    for path in paths:
        assert path.read_bytes() == (tmp_path / "parts" / path.name).read_bytes()
    expected = files_of(whole.post_processor, tmp_path / "expected")
    assert files_of(resumed.post_processor, tmp_path / "found") == expected
    # and a stop makes a difference when the run is not taken up where it was
    assert files_of(run(task, kind, tmp_path / "other", seed=2).post_processor, tmp_path / "o") != expected


@pytest.mark.parametrize("kind", ["events", "joint"])
def test_a_stop_within_a_rollout_loses_that_rollout_only(
    task: TuningTask, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(task, kind, tmp_path / "whole")
    step, taken = PostProcessingVectorEnv.step, []

    def stop_in_the_third_rollout(self: Any, actions: Any) -> Any:
        taken.append(1)
        if len(taken) == 2 * 8 + 5:
            raise StopError
        return step(self, actions)

    monkeypatch.setattr(PostProcessingVectorEnv, "step", stop_in_the_third_rollout)
    with pytest.raises(StopError):
        run(task, kind, tmp_path / "parts")
    monkeypatch.undo()
    told: list[float] = []
    resumed = run(task, kind, tmp_path / "parts", lambda _, f: told.append(f["steps"]) if "steps" in f else None, True)
    assert told == [row["steps"] for row in whole.curve[3:]]
    found, expected = (files_of(f.post_processor, tmp_path / n) for f, n in ((resumed, "found"), (whole, "expected")))
    assert found == expected


def test_a_finished_run_is_not_trained_again(task: TuningTask, tmp_path: Path) -> None:
    first = run(task, "watched", tmp_path / "run")
    told: list[float] = []
    second = run(task, "watched", tmp_path / "run", lambda fraction, figures: told.append(fraction), True)
    assert not told
    assert second.curve == first.curve
    assert files_of(first.post_processor, tmp_path / "a") == files_of(second.post_processor, tmp_path / "b")


def test_without_resume_the_run_starts_anew(task: TuningTask, tmp_path: Path) -> None:
    with pytest.raises(StopError):
        run(task, "tracks", tmp_path / "run", stopping(2))
    told: list[float] = []
    fit = run(task, "tracks", tmp_path / "run", lambda _, figures: told.append(figures["steps"]))
    assert told == [row["steps"] for row in fit.curve]


def test_resuming_nothing_is_a_fresh_start(task: TuningTask, tmp_path: Path) -> None:
    fresh, resumed = (run(task, "tracks", tmp_path / name, resume=name == "resumed") for name in ("fresh", "resumed"))
    assert fresh.curve == resumed.curve


@pytest.mark.parametrize("damage", ["cut", "text", "empty", "other", "half"])
def test_a_damaged_checkpoint_is_refused(task: TuningTask, damage: str, tmp_path: Path) -> None:
    with pytest.raises(StopError):
        run(task, "tracks", tmp_path / "run", stopping(1))
    path = tmp_path / "run" / "checkpoint_0.safetensors"
    data = path.read_bytes()
    if damage == "other":
        save_file({"x": torch.zeros(2)}, path)
    elif damage == "half":
        save_file({"x": torch.zeros(2)}, path, {"about": '{"key": "k"}'})
    else:
        path.write_bytes({"cut": data[: len(data) // 2], "text": b"not a checkpoint", "empty": b""}[damage])
    with pytest.raises(UserError, match=r"checkpoint .*checkpoint_0.safetensors' is damaged .*; delete it"):
        run(task, "tracks", tmp_path / "run", resume=True)


def test_a_checkpoint_of_another_run_is_refused(task: TuningTask, tmp_path: Path) -> None:
    with pytest.raises(StopError):
        run(task, "tracks", tmp_path / "run", stopping(1))
    message = r"checkpoint .*checkpoint_0.safetensors' belongs to other data or settings; use another run folder"
    with pytest.raises(UserError, match=message):
        run(task, "tracks", tmp_path / "run", resume=True, seed=2)
    with pytest.raises(UserError, match=message):
        run(small_task(16, 1), "tracks", tmp_path / "run", resume=True)
    with pytest.raises(UserError, match=message):
        agent("tracks", learning_rate=4e-3).fit_in(task, 1, silent, tmp_path / "run", True)
    run(task, "tracks", tmp_path / "run", resume=True)


def test_a_checkpoint_of_other_code_is_refused(
    task: TuningTask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(task, "tracks", tmp_path / "run")
    monkeypatch.setattr("rl_postproc.agents.parts.code_version", lambda: "another")
    with pytest.raises(
        UserError, match=r"was made by other code \([0-9a-f]{12}, not another\).*delete it to start anew"
    ):
        run(task, "tracks", tmp_path / "run", resume=True)


def test_the_run_folder_holds_checkpoints_and_tensorboard_figures_of_every_rollout(
    task: TuningTask, tmp_path: Path
) -> None:
    event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    fit = run(task, "watched", tmp_path / "run")
    names = sorted(path.name for path in (tmp_path / "run").glob("*.safetensors"))
    assert names == ["checkpoint_0.safetensors", "checkpoint_refit_0.safetensors"]
    log, again = sorted(path.parent for path in (tmp_path / "run" / "tensorboard").rglob("events*"))
    assert (log.name, again.name) == ("member_0_0", "refit_0_0")
    events = event_accumulator.EventAccumulator(str(log)).Reload()
    for name in ("train_macro_f1", "held_out_macro_f1"):
        shown = [(e.step, e.value) for e in events.Scalars(f"macro_f1/{name}")]
        assert shown == [
            (row["steps"], pytest.approx(row[name], abs=1e-6)) for row in fit.curve if "held_out_macro_f1" in row
        ]
