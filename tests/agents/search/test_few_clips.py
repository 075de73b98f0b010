"""The agent that gives another one few clips."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from event_agents import AGENTS, files_of, small_task
from rl_postproc.agents.base import make_agent
from rl_postproc.agents.testing import check_agent

from rl_postproc.data.folds import drawn_clips
from rl_postproc.utils.errors import UserError


def test_it_fits_the_other_agent_on_the_clips_that_its_seed_draws(tmp_path: Path) -> None:
    task = small_task(16)
    few = task.select(drawn_clips(task.scores.clip_ids, 9, 2))
    for other in ("grid_search", AGENTS["boosted"]):
        found = make_agent({"agent": "few_clips", "of": other, "clips": 9}).fit(task, 2)
        expected = make_agent(other).fit(few, 2)
        assert found.evaluations == expected.evaluations
        assert files_of(found.post_processor, tmp_path / "a") == files_of(expected.post_processor, tmp_path / "b")
    assert not torch.equal(drawn_clips(task.scores.clip_ids, 9, 3), drawn_clips(task.scores.clip_ids, 9, 2))


def test_it_conforms_to_what_agents_are() -> None:
    check_agent({"agent": "few_clips", "clips": 12, "of": AGENTS["boosted"]}, small_task(16))


def test_what_it_cannot_do_is_said_before_any_work() -> None:
    with pytest.raises(UserError, match="17 clips of 16"):
        make_agent({"agent": "few_clips", "clips": 17}).check(small_task(16))
    with pytest.raises(UserError, match="did you mean 'grid_search'"):
        make_agent({"agent": "few_clips", "of": "grid_serch"})
