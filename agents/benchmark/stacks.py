"""Stacks compared: rows of a benchmark, and what each part of a stack earns."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from rl_postproc.pipeline.presets import load_preset
from rl_postproc.pipeline.stack import Stack
from rl_postproc.utils.errors import UserError


class DropOneOut(BaseModel):
    """A stack without each of its parts in turn: its stages, or the stacks that it is a choice of."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    stack: str = Field(description="name of one of the stacks")
    agent: str | dict[str, Any] = Field("grid_search", description="what tunes it with and without each part")

    def row(self) -> str:
        """Returns the name of the row of the whole stack."""
        return row_name(self.stack, self.agent)

    def rows(self, stack: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
        """Returns the rows without each part, by the part's name."""
        return {
            part: row_of(f"{self.stack} without {part}", left, self.agent) for part, left in _without(stack).items()
        }

    def results(self, stack: list[dict[str, Any]], pairs: list[dict[str, Any]]) -> dict[str, Any]:
        """Returns what each part earns: the difference of the whole stack and the one without it.

        Args:
            stack: the whole one.
            pairs: the difference of every pair of rows, ``agent``, ``over``, ``value``, ``low`` and ``high``.
        """
        whole, found = self.row(), {}
        for part, row in self.rows(stack).items():
            for pair in pairs:
                gain = {key: pair[key] for key in ("value", "low", "high")}
                if (pair["agent"], pair["over"]) == (whole, row["name"]):
                    found[part] = gain
                if (pair["agent"], pair["over"]) == (row["name"], whole):
                    found[part] = {"value": -gain["value"], "low": -gain["high"], "high": -gain["low"]}
        return {"row": whole, "parts": found}


APART = ("name", "stack", "stack_name", "stacks", "objective", "metric")
"""What a row says beside the settings of its agent."""


def stack_rows(
    stacks: dict[str, list[dict[str, Any]]], agents: list[str | dict[str, Any]]
) -> list[str | dict[str, Any]]:
    """Returns a row for each agent on each stack, or on those that its key ``stacks`` names.

    Raises:
        UserError: it names one that is not there.
    """
    rows: list[str | dict[str, Any]] = []
    for agent in agents:
        wanted = agent.get("stacks", list(stacks)) if isinstance(agent, dict) else list(stacks)
        for name in wanted if isinstance(wanted, list) else [wanted]:
            if not isinstance(name, str) or name not in stacks:
                raise UserError(f"The stack '{name}' of '{row_name('', agent).strip()}' is not among 'stacks' "
                                f"({', '.join(stacks)}).")  # fmt: skip
    for name, stack in stacks.items():
        rows += [row_of(name, stack, a) for a in agents if isinstance(a, str) or name in a.get("stacks", stacks)]
    return rows


def named_stacks(value: Any, base: Any) -> Any:
    """Returns stacks by name, from a mapping or a list of names of packaged stacks or files.

    Args:
        value: of the config's key ``stacks``.
        base: folder of the config, from which relative paths start.

    Raises:
        UserError: there is no such stack.
    """
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        value = {name.rpartition("/")[2].removesuffix(".yaml").removesuffix(".yml"): name for name in value}
    if not isinstance(value, dict):
        return value
    return {str(name): load_preset(own, base).stack if isinstance(own, str) else own for name, own in value.items()}


def row_name(stack: str, agent: str | dict[str, Any]) -> str:
    """Returns the name of the row of an agent on a stack."""
    return f"{stack} {agent if isinstance(agent, str) else agent.get('name', agent.get('agent'))}"


def row_of(name: str, stack: list[dict[str, Any]], agent: str | dict[str, Any]) -> dict[str, Any]:
    """Returns the settings of an agent on a stack: those of the agent, with `APART`."""
    own = {"agent": agent} if isinstance(agent, str) else agent
    own = {key: value for key, value in own.items() if key not in APART or key == "objective"}
    return {**own, "name": row_name(name, agent), "stack": stack, "stack_name": name}


def _without(stack: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Returns what is left of a stack without each part that can be left out, by the part's name.

    Raises:
        UserError: none can.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    if len(stack) == 1 and stack[0].get("stage") == "one_of":
        choices = stack[0].get("stacks", {})
        for name in choices:
            left = {other: own for other, own in choices.items() if other != name}
            if left:
                found[name] = [{**stack[0], "stacks": left}] if len(left) > 1 else next(iter(left.values()))
    for i, stage in enumerate(stack):
        left = stack[:i] + stack[i + 1 :]
        try:
            Stack.from_config(left)
        except UserError:
            continue
        if left:
            found[str(stage.get("stage"))] = left
    if not found:
        raise UserError("No part of the stack can be left out: what remains would not decide; name another stack.")
    return found
