"""Ten lines on one's own arrays are enough to tune, apply and evaluate."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cases import small_simulation
from program import Run, sources
from rl_postproc.agents.search.grid_search import GridSearch

import rl_postproc
from rl_postproc import PostProcessor, ScoreSet, Stack, TuningTask, read_scores, tune
from rl_postproc.metrics import EventBased, Macro, Tagging
from rl_postproc.utils.errors import UserError

STACK = [{"stage": "median", "kernel": [0, 0.3]}, {"stage": "threshold", "threshold": [0.3, 0.5, 0.7]}]


def detector() -> tuple[dict[str, np.ndarray], list[tuple[str, float, float, str]]]:
    """Arrays and rows as a program of one's own would hold them: events whose scores stay below 0.5."""
    rng, hop, arrays, rows = np.random.default_rng(0), 0.064, {}, []
    for clip in range(12):
        array = rng.uniform(0.0, 0.2, size=(100, 2))
        for k, label in enumerate(("Cat", "Dog")):
            first, length = rng.integers(5, 60), rng.integers(10, 30)
            array[first : first + length, k] = rng.uniform(0.3, 0.45, size=length)
            rows.append((f"clip{clip}", first * hop, (first + length) * hop, label))
        arrays[f"clip{clip}"] = array
    return arrays, rows


@pytest.mark.parametrize(("agent", "settings"), [("grid_search", {}), ("ppo", {"rollouts": 1, "members": 1})])
def test_ten_lines_on_arrays_of_ones_own(agent: str, settings: dict) -> None:
    arrays, rows = detector()
    scores = ScoreSet.from_arrays(arrays, hop=0.064, classes=["Cat", "Dog"], references=rows)
    best = tune(scores, agent, **settings)
    events = best.apply(scores)
    found = rl_postproc.evaluate(scores.require_references(), events)
    assert all(clip in arrays and onset < offset for clip, onset, offset, _ in events.to_rows())
    assert found.certified_by.startswith("sed_eval")
    if agent == "grid_search":
        assert found.score.macro == 1.0
        assert sorted(events.to_rows()) == [
            (clip, pytest.approx(onset), pytest.approx(offset), label) for clip, onset, offset, label in sorted(rows)
        ]


@pytest.mark.slow
def test_ten_lines_with_ppo_and_its_defaults() -> None:
    arrays, rows = detector()
    scores = ScoreSet.from_arrays(arrays, hop=0.064, classes=["Cat", "Dog"], references=rows)
    best = tune(scores, "ppo")
    assert rl_postproc.evaluate(scores.require_references(), best.apply(scores)).score.macro > 0.9


def test_the_command_and_the_function_tune_the_same(run: Run, simulated: Path, tmp_path: Path) -> None:
    options = ["--agent", "grid_search", "--set", "agent.scope=global", "--seed", 3]
    assert run("train", *sources(simulated), *options, "--out", "run")[0] == 0
    scores = read_scores(
        simulated / "scores", references=simulated / "references.tsv", durations=simulated / "durations.tsv"
    )
    tune(scores, "grid_search", seed=3, scope="global").save(tmp_path / "mine")
    names = [folder / "postprocessor.json" for folder in (tmp_path / "mine", tmp_path / "run")]
    assert names[0].read_text() == names[1].read_text()


def test_parts_are_taken_in_every_form() -> None:
    scores = small_simulation(8)
    expected = tune(scores, "grid_search", stack=STACK, metric={"t_collar": 0.4}).about
    for best in (
        tune(scores, GridSearch(), stack=Stack.from_config(STACK), metric=EventBased(t_collar=0.4)),
        tune(scores, "grid_search", stack=STACK, metric={"metric": "event_based", "t_collar": 0.4}, objective="macro"),
        tune(TuningTask.build(scores, STACK, EventBased(t_collar=0.4)), "grid_search", objective=Macro()),
        tune(
            {"data": {"simulated": {"n_clips": 8}}, "stack": STACK, "metric": {"t_collar": 0.4}},
            "grid_search",
            objective={"objective": "macro"},
        ),
    ):
        assert isinstance(best, PostProcessor)
        assert best.about == expected
    task = TuningTask.build(scores, STACK, {"metric": "tagging"})
    by_name = tune(scores, "grid_search", stack=STACK, metric="tagging").choose(scores)
    assert by_name.equal(tune(task, "grid_search").choose(scores))
    assert by_name.equal(tune(scores, "grid_search", stack=STACK, metric=Tagging()).choose(scores))


def test_progress_is_silent_a_bar_or_a_callback(capsys: pytest.CaptureFixture[str]) -> None:
    scores, seen = small_simulation(8), []
    settings = {"stack": STACK, "rollouts": 1, "members": 1}
    tune(scores, "ppo", progress=lambda fraction, figures: seen.append(fraction), **settings)
    assert seen == sorted(seen)
    assert 0 < seen[-1] <= 1
    assert capsys.readouterr() == ("", "")
    tune(scores, "ppo", progress=True, **settings)
    assert not capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"agent": "grid_serach"}, r"unknown agent 'grid_serach'; did you mean 'grid_search'"),
        ({"agent": "grid_search", "scoppe": "global"}, r"'scoppe'.*did you mean 'scope'"),
        ({"agent": GridSearch(), "scope": "global"}, r"'grid_search' is built already; leave out 'scope'"),
        ({"agent": "grid_search", "metric": "taging"}, r"unknown metric 'taging'; did you mean 'tagging'"),
        ({"agent": "grid_search", "objective": "makro"}, r"unknown objective 'makro'; did you mean 'macro'"),
        ({"agent": "grid_search", "stack": [{"stage": "medain"}]}, r"unknown stage 'medain'"),
    ],
)
def test_what_cannot_be_tuned_is_refused(arguments: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        tune(small_simulation(4), **arguments)


def test_scores_without_references_are_refused() -> None:
    scores = ScoreSet.from_arrays({"a": [[0.5]]}, hop=0.1, classes=["Cat"])
    with pytest.raises(UserError, match="reference"):
        tune(scores, "grid_search")
