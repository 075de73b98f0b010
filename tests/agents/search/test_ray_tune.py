"""Ray Tune as a search of settings: the best of its trials is what is fitted, again and again."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest
from event_agents import STACK, files_of, small_task
from rl_postproc.agents import make_agent
from rl_postproc.agents.search.tuned import objective_of
from rl_postproc.envs.evaluation import set_aside

from rl_postproc.utils.errors import UserError

CHOICES = {"trials": [1, 2, 60]}
SETTINGS = {"agent": "ray_tune", "of": {"agent": "random_search", "trials": 3}, "choices": CHOICES, "trials": 4}


@pytest.fixture(scope="module")
def two_cores() -> Iterator[None]:
    ray = pytest.importorskip("ray", reason="needs ray: pip install 'rl-postproc[ray]'")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=100 << 20)
    yield
    ray.shutdown()


def test_the_best_of_its_trials_is_fitted_on_all_clips_and_the_seed_repeats_it(two_cores: None, tmp_path: Path) -> None:
    task = small_task(16, stack=STACK)
    fit, again = (make_agent(SETTINGS).fit(task, 3) for _ in range(2))
    assert files_of(fit.post_processor, tmp_path / "a") == files_of(again.post_processor, tmp_path / "b")
    assert fit.curve == again.curve
    about = fit.post_processor.about
    train, held = set_aside(task, 0.25, 3)
    scores = [row["inner_macro_f1"] for row in fit.curve if "trial" in row]
    assert len(scores) == 4 and about["trial"] == scores.index(max(scores)) + 1
    assert scores[0] == objective_of(make_agent(SETTINGS["of"]).fit(train, 3), held)  # the agent as it stands
    assert max(scores) == objective_of(make_agent(about["chosen"]).fit(train, 3), held)
    alone = make_agent(about["chosen"]).fit(task, 3)
    assert alone.post_processor.policy.state()[0] == fit.post_processor.policy.state()[0]


@pytest.mark.parametrize(
    "wrong", [{"choices": {"rounds": [1]}}, {"choices": {"trials": []}}, {"choices": {"trials": [0]}}, {"of": {}}]
)
def test_settings_that_make_no_sense_are_refused(wrong: dict) -> None:
    pytest.importorskip("ray", reason="needs ray: pip install 'rl-postproc[ray]'")
    with pytest.raises(UserError):
        make_agent({**SETTINGS, **wrong})


def test_a_missing_ray_is_named_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "ray" else real(name, *rest))
    with pytest.raises(UserError, match=r"ray is not installed; run `pip install 'rl-postproc\[ray\]'`"):
        make_agent(SETTINGS)
