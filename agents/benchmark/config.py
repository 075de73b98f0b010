"""The config of a benchmark."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from rl_postproc.config import DataConfig, TaskConfig
from rl_postproc.data.scores import ScoreSet
from rl_postproc.utils.errors import UserError
from rl_postproc.utils.seeds import MOST_SEED

from ..base import Agent, make_agent
from .learning_curve import LearningCurve

Seed = Annotated[int, Field(ge=0, le=MOST_SEED)]


class Published(BaseModel):
    """Figures that others have published for the agents of a benchmark, to be shown beside ours."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str
    measure: Literal["micro_f1", "macro_f1"] = "micro_f1"
    figures: dict[str, tuple[float, float]] = Field(
        description="by agent: held-out figure and training figure, in percent"
    )


class BenchmarkConfig(TaskConfig):
    """A benchmark: data, stack and metric, and the agents that are compared."""

    title: str = "benchmark"
    agents: list[str | dict[str, Any]] = Field(
        default_factory=lambda: ["default", "grid_search", "sgl_thresh", "ppo"], min_length=1
    )
    learning_curve: LearningCurve | None = Field(
        None, description="agents that run on several numbers of clips as well, and a table and a plot of them"
    )
    evaluation: DataConfig | None = Field(
        None, description="set on which agents tuned on all of `data` are scored, in place of folds"
    )
    published: Published | None = None
    folds: int = Field(default=5, ge=2)
    seeds: list[Seed] = Field(default_factory=lambda: [0], min_length=1)
    baseline: str = Field(default="grid_search", description="agent that the others' gains are measured against")

    @field_validator("seeds")
    @classmethod
    def _different(cls, value: list[int]) -> list[int]:
        twice = [seed for i, seed in enumerate(value) if seed in value[:i]]
        if twice:
            raise ValueError(f"the seed {twice[0]} stands there twice; a seed always gives the same result")
        return value

    @model_validator(mode="after")
    def _checked_rows(self) -> BenchmarkConfig:
        try:
            named_agents(self.rows())
        except UserError as error:
            raise ValueError(str(error)) from error
        return self

    @model_validator(mode="after")
    def _baseline_is_there(self) -> BenchmarkConfig:
        names = agent_names(self.rows())
        if self.baseline not in (*names, "grid_search"):
            raise ValueError(f"the baseline '{self.baseline}' is not among the agents ({', '.join(names)})")
        return self

    def rows(self) -> list[str | dict[str, Any]]:
        """Returns the settings of all agents, those of the learning curve after the others."""
        points = [] if self.learning_curve is None else self.learning_curve.points()
        return [*self.agents, *(settings for _, _, settings in points)]

    def load_evaluation(self) -> ScoreSet | None:
        """Reads the evaluation set, if there is one."""
        return None if self.evaluation is None else self.evaluation.load(self._base)


def named_agents(settings: list[str | dict[str, Any]]) -> dict[str, Agent]:
    """Returns the agents by their names in the table."""
    own = [item if isinstance(item, str) else {k: v for k, v in item.items() if k != "name"} for item in settings]
    return dict(zip(agent_names(settings), map(make_agent, own), strict=True))


def agent_names(settings: list[str | dict[str, Any]]) -> list[str]:
    """Returns what each agent is called in the table: its ``name``, by default the agent's own.

    Raises:
        UserError: two are called alike, or one cannot be called so.
    """
    found: list[str] = []
    for item in settings:
        name = str(item if isinstance(item, str) else item.get("name", item.get("agent")))
        if not re.fullmatch(r"[\w+-][\w .+-]*", name):
            raise UserError(f"An agent cannot be called '{name}', since its results go to a folder of that name; use "
                            "letters, digits, spaces, and . _ + -.")  # fmt: skip
        if name in found:
            raise UserError(f"Two agents are called '{name}'; give one of them another 'name'.")
        found.append(name)
    return found


def choose_agents(config: BenchmarkConfig, names: list[str]) -> BenchmarkConfig:
    """Keeps the named agents of the config; a name that it lacks stands for that agent with its defaults."""
    rows = config.rows()
    known = {name: item for item, name in zip(rows, agent_names(rows), strict=True)}
    return config.model_copy(update={"agents": [known.get(name, name) for name in names], "learning_curve": None})
