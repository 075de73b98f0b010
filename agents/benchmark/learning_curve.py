"""Agents on fewer and more clips: rows of a benchmark, and what they show together."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from rl_postproc.utils.errors import UserError

from ..base import make_agent


class LearningCurve(BaseModel):
    """Agents of which each runs on several numbers of clips, besides the agents of the config."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    agents: list[str | dict[str, Any]] = Field(min_length=1, description="as in the config's 'agents'")
    clips: list[Annotated[int, Field(ge=0)]] = Field(
        min_length=1,
        description="numbers of labelled clips; 0 is for agents that need no label, and passes over others",
    )

    @field_validator("clips")
    @classmethod
    def _rising(cls, value: list[int]) -> list[int]:
        if sorted(set(value)) != value:
            raise ValueError("give the numbers of clips in rising order, each once")
        return value

    def points(self) -> list[tuple[str, int, dict[str, Any]]]:
        """Returns each agent's name, number of clips, and settings with the name of its row.

        Raises:
            UserError: an agent cannot be built.
        """
        found = []
        for item in self.agents:
            own = {"agent": item} if isinstance(item, str) else dict(item)
            name = str(own.pop("name", own.get("agent")))
            agent = make_agent(own)
            for n in self.clips:
                if n or not agent.needs_labels:
                    settings = agent.on_few(n).model_dump(mode="json")
                    found.append((name, n, {**settings, "name": f"{name} {n}"}))
        if not found:
            raise UserError("No agent of the learning curve does without labels; give numbers of clips above 0.")
        return found

    def results(self, agents: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
        """Returns, for each agent, its figures on each number of clips, of those that ran.

        Args:
            agents: ``agent``, ``value``, ``low`` and ``high`` of each row of the benchmark.
        """
        by_row = {entry["agent"]: entry for entry in agents}
        found: dict[str, list[dict[str, Any]]] = {}
        for name, n, settings in self.points():
            if (entry := by_row.get(settings["name"])) is not None:
                figures = {key: entry[key] for key in ("value", "low", "high")}
                found.setdefault(name, []).append({"clips": n, **figures})
        return found
