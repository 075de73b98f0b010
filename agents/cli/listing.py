"""The command that lists everything that configs can name, with its settings."""

from __future__ import annotations

import json
from enum import Enum
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin

import typer

from .inputs import with_plugins
from .options import Plugins
from .output import console

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo
    from rich.table import Table

    from rl_postproc.pipeline.presets import StackPreset
    from rl_postproc.utils.registry import Registered


class Noun(str, Enum):
    """What configs name."""

    stages = "stages"
    metrics = "metrics"
    rankings = "rankings"
    objectives = "objectives"
    agents = "agents"
    formats = "formats"
    event_formats = "event_formats"
    rewards = "rewards"
    observations = "observations"
    simulation = "simulation"
    stacks = "stacks"


_BASES = {
    Noun.stages: ("rl_postproc.stages", "Stage"),
    Noun.metrics: ("rl_postproc.metrics", "Metric"),
    Noun.rankings: ("rl_postproc.metrics.ranking", "RankingMetric"),
    Noun.objectives: ("rl_postproc.metrics", "Objective"),
    Noun.agents: ("...agents", "Agent"),
    Noun.formats: ("rl_postproc.formats", "Format"),
    Noun.event_formats: ("rl_postproc.formats", "EventFormat"),
    Noun.rewards: ("...envs.rewards", "Reward"),
    Noun.observations: ("...envs.observations", "Observation"),
}
"""Module and name of each noun's base class."""


def list_names(
    noun: Annotated[
        Noun | None, typer.Argument(help="What to list, with its settings; everything when left out.")
    ] = None,
    settings: Annotated[bool, typer.Option("--settings", help="Show the settings of everything listed.")] = False,
    plugin: Plugins = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, settings included.")] = False,
) -> None:
    """List stages, stacks, metrics, rankings, objectives, agents, formats, rewards, observations, the simulation.

    `rl-postproc list` shows every name with what it stands for, `rl-postproc list agents` the settings of each agent too.

    A name goes into a config with its settings, such as `{agent: grid_search, scope: global}` under `agents` or
    `{stage: median, kernel: [0, 0.3]}` under `stack`. Installed packages and plug-ins add to these lists:
    `rl-postproc list stages --plugin my_stage.py`
    """
    with_plugins({}, plugin, None)
    nouns = list(Noun) if noun is None else [noun]
    found = {one.value: names_of(one) for one in nouns}
    if as_json:
        print(json.dumps(found))
        return
    for title, kinds in found.items():
        console.print(_table(title, kinds, settings or noun is not None))


def names_of(noun: Noun) -> dict[str, dict[str, Any]]:
    """Returns every class of a noun by name: ``summary``, ``settings``, and of a stage what it ``takes`` and ``gives``."""
    if noun is Noun.simulation:
        from rl_postproc.simulation.config import SimulationConfig

        fields = {name: _setting(field) for name, field in SimulationConfig.model_fields.items()}
        return {"simulated": {"summary": "The built-in simulated data set, `rl-postproc simulate`", "settings": fields}}
    if noun is Noun.stacks:
        from rl_postproc.pipeline.presets import load_preset, preset_names

        return {name: _preset(load_preset(name)) for name in preset_names()}
    module, name = _BASES[noun]
    base: type[Registered] = getattr(import_module(module, __package__), name)
    return {name: _described(kind) for name, kind in base.types().items()}


def _described(kind: type[Registered]) -> dict[str, Any]:
    """Returns what a class is and which settings it has."""
    fields = {name: field for name, field in kind.model_fields.items() if name != kind.noun}
    declared = {name: getattr(kind, name) for name in ("takes", "gives") if hasattr(kind, name)}
    settings = {name: _setting(field) for name, field in fields.items()}
    return {"summary": kind.summary(), **declared, "settings": settings}


def _preset(preset: StackPreset) -> dict[str, Any]:
    """Returns what a stack of that name is, and the parameters that it has."""
    from rl_postproc.pipeline.stack import Stack

    stack = Stack.from_config(preset.stack)
    told = ["the number of the stack in use, from 0"] if stack.is_choice else []
    for stage in (stage for branch in stack.branches for stage in branch.stages):
        told += [type(stage).model_fields[name].description for name in stage.parameters]
    settings = {
        name: {"type": "parameter", "unit": unit, "candidates": list(p.candidates), "scope": p.scope,
               "required": False, "default": p.default, "description": description or ""}
        for name, p, unit, description in zip(stack.space.names, stack.space.parameters, stack.units, told, strict=True)
    }  # fmt: skip
    source = f" ({preset.source})" if preset.source else ""
    return {"summary": f"{preset.description[:1].upper()}{preset.description[1:]}{source}; {stack.space.n_candidates} "
                       "candidates", "settings": settings}  # fmt: skip


def _setting(field: FieldInfo) -> dict[str, Any]:
    """Returns type, default and description of a setting; of a stage's parameter its unit and candidates as well."""
    from pydantic_core import to_jsonable_python

    from rl_postproc.stages import Parameter

    described: dict[str, Any] = {"type": _type_name(field.annotation)}
    default = None if field.is_required() else field.get_default(call_default_factory=True)
    if isinstance(default, Parameter):
        extra = field.json_schema_extra
        unit = extra.get("unit", "number") if isinstance(extra, dict) else "number"
        described = {"type": "parameter", "unit": unit, "candidates": list(default.candidates), "scope": default.scope}
        default = default.default
    described["required"] = field.is_required()
    return {**described, "default": to_jsonable_python(default), "description": field.description or ""}


def _type_name(annotation: Any) -> str:
    """Returns a type as a person would write it: ``float``, ``list of str``, ``class or global``."""
    if get_origin(annotation) is Annotated:
        return _type_name(get_args(annotation)[0])
    arguments = [_type_name(argument) for argument in get_args(annotation) if not isinstance(argument, str)]
    origin = get_origin(annotation)
    if hasattr(annotation, "noun"):
        return f"settings of {annotation.model_fields[annotation.noun].default}"
    if origin is Literal:
        return " or ".join(map(str, get_args(annotation)))
    if origin in (list, tuple, set) and arguments:
        return f"list of {arguments[0]}"
    if origin is dict and arguments:
        return f"mapping of {arguments[0]} to {arguments[1]}"
    if origin is not None and arguments:
        return " or ".join("nothing" if argument == "NoneType" else argument for argument in arguments)
    return getattr(annotation, "__name__", str(annotation))


def _table(title: str, kinds: dict[str, dict[str, Any]], with_settings: bool) -> Table:
    from rich.box import HORIZONTALS
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", box=HORIZONTALS, show_lines=with_settings)
    table.add_column("name", no_wrap=True)
    table.add_column("what it is", ratio=1)
    for name, kind in kinds.items():
        flow = f" Takes {kind['takes']}, gives {kind['gives']}." if "takes" in kind else ""
        summary = Text(f"{kind['summary']}.{flow}")
        shown = with_settings and kind["settings"]
        table.add_row(name, Group(summary, _settings_grid(kind["settings"])) if shown else summary)
    return table


def _settings_grid(settings: dict[str, dict[str, Any]]) -> Table:
    """Returns name, type, default and description of each setting."""
    from rich.table import Table
    from rich.text import Text

    grid = Table("setting", "type", "default", "", box=None, padding=(0, 2), header_style="dim")
    grid.columns[0].no_wrap = True
    for name, setting in settings.items():
        kind, default = setting["type"], "required" if setting["required"] else _shown(setting["default"])
        if "candidates" in setting:
            kind = f"{setting['unit']}: {_shown(setting['candidates'])}"
        grid.add_row(*map(Text, (name, kind, default, setting["description"])))
    return grid


def _shown(value: Any) -> str:
    """Returns a value in one short line."""
    if isinstance(value, list) and len(value) > 8:
        return f"{len(value)} values from {value[0]} to {value[-1]}"
    if isinstance(value, dict) and len(value) > 2:
        return "their defaults"
    return "nothing" if value is None else json.dumps(value) if isinstance(value, list | dict | bool) else str(value)
