"""Event policies on more events than they judge, on one long clip, and on classes without any match."""

from __future__ import annotations

import dataclasses
import json
import warnings
from pathlib import Path

import pytest
import torch
from cases import make_set, small_simulation
from event_agents import AGENTS, agent
from rl_postproc.agents import make_agent
from rl_postproc.agents.events import fit_value as module
from rl_postproc.agents.events import held_out as learning
from rl_postproc.agents.events.fit_value import fit_value
from rl_postproc.agents.events.value_models import ValueSettings

from rl_postproc.candidates.pool import PoolBounds
from rl_postproc.data.scores import ScoreSet
from rl_postproc.pipeline.postprocessor import PostProcessor
from rl_postproc.pipeline.stack import Stack
from rl_postproc.task import TuningTask
from rl_postproc.utils.errors import DataWarning, UserError

STACK = [{"stage": "median", "kernel": [0, 0.3]}, {"stage": "threshold", "threshold": [k / 10 for k in range(1, 10)]}]
BOUNDS = {"most_per_minute": 60, "least_votes": 2}


def noisy(n_clips: int = 12) -> ScoreSet:
    """Simulated clips under noise, in which candidates decode many events."""
    scores = small_simulation(n_clips, 3)
    noise = torch.rand(scores.scores.shape, generator=torch.Generator().manual_seed(0))
    return dataclasses.replace(scores, scores=0.6 * scores.scores + 0.4 * noise)


@pytest.mark.parametrize("name", ["boosted", "set", "exact", "events", "features_on_values"])
def test_a_saved_policy_judges_as_few_events_as_it_was_trained_on_and_says_so(name: str, tmp_path: Path) -> None:
    scores = noisy()
    task = TuningTask.build(scores, Stack.from_config(STACK))
    within = {} if name in ("boosted", "set") else {"value": {**AGENTS["boosted"], **BOUNDS}}
    with pytest.warns(DataWarning, match="are not judged"):
        processor = agent(name, **within, **({} if within else BOUNDS)).fit(task, 0).post_processor
    processor.save(tmp_path)
    restored = PostProcessor.load(tmp_path)
    assert '"most_per_minute": 60' in (tmp_path / "postprocessor.json").read_text()
    with pytest.warns(DataWarning) as said:
        found = restored.apply(scores)
    whole = len(task.bounded(PoolBounds(1, 1e9)).decoded)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        n_left_out = whole - len(task.bounded(PoolBounds(2, 60)).decoded)
        again = processor.apply(scores)
    (sentence,) = [str(one.message) for one in said]
    assert sentence.startswith(f"Of {whole} events that the candidates decode, {n_left_out} in 12 of 12 clips are not")
    assert found.to_rows() == again.to_rows()
    assert len(found) > 0


@pytest.mark.parametrize(
    "bounds", [{"least_votes": 0, "most_per_minute": 3.0}, {"least_votes": 1}, {"more": 1}, 3, None]
)
def test_bounds_that_no_policy_has_are_refused(bounds: object, tmp_path: Path) -> None:
    task = TuningTask.build(noisy(), Stack.from_config(STACK))
    agent("boosted").fit(task, 0).post_processor.save(tmp_path)
    path = tmp_path / "postprocessor.json"
    values = json.loads(path.read_text())
    values["policy"]["bounds"] = bounds
    path.write_text(json.dumps(values))
    with pytest.raises(UserError, match=r"is damaged \('bounds"):
        PostProcessor.load(tmp_path)


def long_clip(seconds: float) -> ScoreSet:
    """One clip of simulated ones laid end to end."""
    scores = small_simulation(60, 3)
    n, length = scores.n_clips, scores.width * scores.hop
    rows = [
        ("c0", onset + length * clip, min(offset, length) + length * clip, f"k{label}")
        for (_, onset, offset, _), clip, label in zip(
            scores.require_references().to_rows(), scores.require_references().clip.tolist(),
            scores.require_references().label.tolist(), strict=True,
        )
        if length * (clip + 1) <= seconds
    ]  # fmt: skip
    x = scores.scores.transpose(0, 1).reshape(1, 3, n * scores.width)[..., : int(seconds / scores.hop)]
    return make_set(x, rows, hop=scores.hop)


def test_a_single_long_clip_is_held_out_part_by_part() -> None:
    task = TuningTask.build(long_clip(240), Stack.from_config(STACK))
    settings = make_agent({**AGENTS["boosted"], "inner_folds": 3})
    assert isinstance(settings, ValueSettings)
    value = fit_value(task, settings, 0)
    fold, of_event = module._inner_folds(task, 3)
    assert fold is None
    middle = (task.decoded.first + task.decoded.last) / 2
    assert torch.equal(of_event, (3 * middle / task.scores.width).long())
    assert int(torch.bincount(of_event, minlength=3).min()) > 100
    assert bool((value.held_out > 0).all())
    assert value.constants == task.table.score(task.best_constants).macro
    assert len(settings.fit(task, 0).post_processor.apply(task.scores)) > 0


def test_a_single_short_clip_is_refused() -> None:
    task = TuningTask.build(long_clip(100), Stack.from_config(STACK))
    with pytest.raises(UserError, match=r"need at least two clips .* or one of 2 minutes\.$"):
        agent("boosted").fit(task, 0)


def test_models_learn_from_so_many_events_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes, fit = [], learning.FITS["boosted"]
    monkeypatch.setitem(
        learning.FITS, "boosted", lambda events, *rest: sizes.append(len(events.label)) or fit(events, *rest)
    )
    task = TuningTask.build(noisy(40), Stack.from_config(STACK))
    assert len(task.decoded) > 3000
    settings = make_agent({**AGENTS["boosted"], "most_events": 1000})
    assert isinstance(settings, ValueSettings)
    value = fit_value(task, settings, 0)
    assert sizes == [1000, 1000]
    assert len(value.held_out) == len(task.decoded)
    assert torch.equal(value.held_out, fit_value(task, settings, 0).held_out)


@pytest.mark.parametrize("name", ["boosted", "network", "set"])
def test_many_classes_of_which_hardly_any_occurs(name: str) -> None:
    x = torch.rand(3, 300, 40, generator=torch.Generator().manual_seed(0))
    scores = make_set(x, [("c0", 0.5, 1.5, "k7"), ("c1", 1.0, 2.0, "k299")])
    processor = agent(name, fallback=False).fit(TuningTask.build(scores, Stack.from_config(STACK)), 0).post_processor
    assert processor.apply(scores).counts().shape == (3, 300)
