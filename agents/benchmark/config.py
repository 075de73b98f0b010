"""The config of a benchmark."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny, ValidationInfo, field_validator, model_validator

from rl_postproc.config import DataConfig, TaskConfig
from rl_postproc.data.scores import ScoreSet
from rl_postproc.metrics import Metric, Objective
from rl_postproc.metrics.ranking import RankingMetric
from rl_postproc.utils.errors import UserError, warn
from rl_postproc.utils.seeds import MOST_SEED

from ..base import Agent, make_agent
from .judges import make_judge, own_metric
from .learning_curve import LearningCurve
from .objectives import own_objective, with_twins
from .stacks import APART, DropOneOut, named_stacks, row_of, stack_rows

_USUAL = "grid_search"
"""The usual baseline, which need not run."""

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
    stacks: dict[str, list[dict[str, Any]]] | None = Field(
        None,
        description="stacks on each of which every agent runs, in place of `stack`: names of packaged ones, or by name",
    )
    drop_one_out: DropOneOut | None = Field(
        None, description="one of the stacks, of which each part is left out in turn, to see what it earns"
    )
    agents: list[str | dict[str, Any]] = Field(
        default_factory=lambda: ["default", "grid_search", "sgl_thresh", "ppo"], min_length=1
    )
    learning_curve: LearningCurve | None = Field(
        None, description="agents that run on several numbers of clips as well, and a table and a plot of them"
    )
    without_minimum: bool = Field(
        True, description="where the objective has a minimum, run each agent without it as well, to see what it costs"
    )
    evaluation: DataConfig | None = Field(
        None, description="set on which agents tuned on all of `data` are scored, in place of folds"
    )
    judged_by: list[SerializeAsAny[Metric | RankingMetric]] = Field(
        default_factory=list,
        description="further metrics and rankings that judge every agent's held-out events, by name or with settings",
    )
    published: Published | None = None
    folds: int = Field(default=5, ge=2)
    seeds: list[Seed] = Field(default_factory=lambda: [0], min_length=1)
    baseline: str = Field(default=_USUAL, description="agent that the others' gains are measured against")

    @field_validator("judged_by", mode="before")
    @classmethod
    def _judges(cls, value: Any) -> Any:
        try:
            return [x if isinstance(x, Metric | RankingMetric) else make_judge(x) for x in value]
        except UserError as error:
            raise ValueError(str(error)) from error

    @field_validator("stacks", mode="before")
    @classmethod
    def _named_stacks(cls, value: Any, info: ValidationInfo) -> Any:
        try:
            return named_stacks(value, (info.context or {}).get("base"))
        except UserError as error:
            raise ValueError(str(error)) from error

    @model_validator(mode="after")
    def _drops_what_is_there(self) -> BenchmarkConfig:
        if self.drop_one_out is not None and self.drop_one_out.stack not in (self.stacks or {}):
            raise ValueError(f"'drop_one_out' names the stack '{self.drop_one_out.stack}', which is not among 'stacks'")
        return self

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
            self.row_objectives()
        except UserError as error:
            raise ValueError(str(error)) from error
        return self

    @model_validator(mode="after")
    def _baseline_is_there(self) -> BenchmarkConfig:
        names = agent_names(self.rows())
        if self.baseline not in (*names, _USUAL):
            raise ValueError(f"the baseline '{self.baseline}' is not among the agents ({', '.join(names)})")
        return self

    def rows(self) -> list[str | dict[str, Any]]:
        """Returns the settings of all agents, with their stacks where there are several.

        Raises:
            UserError: one cannot be built.
        """
        found = self._rows()
        if not (self.objective.constrained and self.without_minimum):
            return found
        return with_twins(found, agent_names(found))

    def _rows(self) -> list[str | dict[str, Any]]:
        points = [] if self.learning_curve is None else self.learning_curve.points()
        agents = [*self.agents, *(settings for _, _, settings in points)]
        if self.stacks is None:
            return agents
        rows = stack_rows(self.stacks, agents)
        if self.drop_one_out is not None:
            if self.drop_one_out.row() not in agent_names(rows):
                rows.append(
                    row_of(self.drop_one_out.stack, self.stacks[self.drop_one_out.stack], self.drop_one_out.agent)
                )
            rows += self.drop_one_out.rows(self.stacks[self.drop_one_out.stack]).values()
        return rows

    def stack_names(self) -> dict[str, tuple[str, str]]:
        """Returns the names of stack and agent of each row on one of the stacks, by the row's name."""
        rows = [row for row in self.rows() if isinstance(row, dict) and "stack_name" in row]
        return {row["name"]: (row["stack_name"], row["name"][len(row["stack_name"]) + 1 :]) for row in rows}

    def row_stacks(self) -> dict[str, list[dict[str, Any]]]:
        """Returns the stack of each row, by the row's name."""
        rows = self.rows()
        own = [row.get("stack", self.stack) if isinstance(row, dict) else self.stack for row in rows]
        return dict(zip(agent_names(rows), own, strict=True))

    def row_objectives(self) -> dict[str, Objective]:
        """Returns the objective of each row, by the row's name."""
        rows = self.rows()
        own = [own_objective(row, self.objective) for row in rows]
        return dict(zip(agent_names(rows), own, strict=True))

    def row_metrics(self) -> dict[str, Metric]:
        """Returns the metric that each row is tuned for, by the row's name."""
        rows = self.rows()
        return dict(zip(agent_names(rows), [own_metric(row, self.metric) for row in rows], strict=True))

    def load_evaluation(self) -> ScoreSet | None:
        """Reads the evaluation set, if there is one."""
        return None if self.evaluation is None else self.evaluation.load(self._base)


def named_agents(settings: list[str | dict[str, Any]]) -> dict[str, Agent]:
    """Returns the agents by their names in the table."""
    own = [item if isinstance(item, str) else {k: v for k, v in item.items() if k not in APART} for item in settings]
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
    """Keeps the named agents of the config; a name that it lacks stands for that agent with its defaults.

    Warns:
        DataWarning: the config's baseline is not among them.
    """
    rows = config.rows()
    known = {name: item for item, name in zip(rows, agent_names(rows), strict=True)}
    chosen = [known.get(name, name) for name in names]
    baseline = config.baseline
    if baseline not in (*names, _USUAL):
        warn(f"The baseline '{baseline}' is not among the agents, so that gains are over '{_USUAL}', if it is.")
        baseline = _USUAL
    changed = {"agents": chosen, "learning_curve": None, "stacks": None, "drop_one_out": None, "baseline": baseline}
    return config.model_copy(update=changed)
