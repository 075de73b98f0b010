"""Every agent that chooses clip by clip passes the conformance check."""

from __future__ import annotations

import pytest
from event_agents import AGENTS, small_task
from rl_postproc.agents.testing import check_agent


@pytest.mark.parametrize("name", AGENTS)
def test_agents_that_choose_clip_by_clip_conform(name: str) -> None:
    check_agent(AGENTS[name], small_task(16))
