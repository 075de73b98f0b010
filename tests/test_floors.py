"""The floors of the house, read from the imports: the core knows neither envs nor agents, and nothing goes in circles."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = {"rl_postproc": "rl_postproc", "envs": "rl_postproc.envs", "agents": "rl_postproc.agents"}
UPSTAIRS = re.compile(r"(rl_postproc\.(envs|agents)|gymnasium|gym|stable_baselines3)(\.[\w.]*)?")

LAZY = {
    "rl_postproc.__main__": {"rl_postproc.agents.cli"},
    "rl_postproc": {
        "rl_postproc.agents.compare",
        "rl_postproc.agents.tune",
        "rl_postproc.envs",
        "gymnasium.envs.registration",
    },
    "rl_postproc.pipeline.postprocessor": {"rl_postproc.agents.rl.observed_policy", "rl_postproc.agents.rl.sb3_policy"},
    "rl_postproc.pipeline.policy": {
        "rl_postproc.agents.events.policy",
        "rl_postproc.agents.events.ranking_policy",
        "rl_postproc.agents.events.set_policy",
        "rl_postproc.agents.events.silent_classes",
        "rl_postproc.agents.rl.learned_events",
        "rl_postproc.agents.rl.observed_policy",
        "rl_postproc.agents.rl.sb3_policy",
        "rl_postproc.agents.rl.track_policy",
        "rl_postproc.agents.rl.vpg_paper",
        "rl_postproc.agents.universal.class_groups",
        "rl_postproc.agents.universal.policy",
    },
}
"""What the core names as text, to be imported when it is asked for."""


def find_modules() -> dict[str, Path]:
    """Returns the file of every module by its name."""
    found = {}
    for folder, package in FOLDERS.items():
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            found[".".join((package, *(part for part in parts if part != "__init__")))] = path
    return found


MODULES = find_modules()
TREES = {name: ast.parse(path.read_text()) for name, path in MODULES.items()}


def walk(tree: ast.AST, later: bool) -> Iterator[ast.AST]:
    """Yields the nodes that run on import, and with ``later`` those of functions too; never what is for types alone."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if not later and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        yield node
        yield from walk(node, later)


def imports(name: str, later: bool) -> set[str]:
    """Returns the modules that a module imports, ours and others', in full."""
    found: set[str] = set()
    package = name if MODULES[name].name == "__init__.py" else name.rpartition(".")[0]
    for node in walk(TREES[name], later):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parent = package.rsplit(".", node.level - 1)[0] if node.level else ""
            origin = ".".join(part for part in (parent, node.module) if part)
            inside = {f"{origin}.{alias.name}" for alias in node.names} & set(MODULES)
            # `from package import module` needs the package's own contents only where it takes more than modules.
            found |= inside if len(inside) == len(node.names) else inside | {origin}
    return found


def texts(name: str) -> set[str]:
    """Returns the texts of a module that are nothing but a module's name upstairs."""
    values = (node.value for node in ast.walk(TREES[name]) if isinstance(node, ast.Constant))
    return {value for value in values if isinstance(value, str) and UPSTAIRS.fullmatch(value)}


def floor(name: str) -> str:
    return next((folder for folder in ("envs", "agents") if f"{name}.".startswith(f"rl_postproc.{folder}.")), "core")


CORE = [name for name in MODULES if floor(name) == "core"]


def test_the_reader_of_imports_sees_all_of_them() -> None:
    assert len(CORE) > 60 and len(MODULES) > len(CORE) + 40
    face = imports("rl_postproc", later=True)
    assert "rl_postproc.utils.after_import" in face and "rl_postproc.agents.tune" not in face
    assert {"torch", "rl_postproc.metrics.f1", "rl_postproc.task"} <= imports("rl_postproc.agents.base", later=False)
    assert "rl_postproc.envs.engine" in imports("rl_postproc.envs.vector", later=False)
    assert "gymnasium" in imports("rl_postproc.envs.vector", later=False)


@pytest.mark.parametrize("name", CORE)
def test_the_core_imports_nothing_from_upstairs(name: str) -> None:
    assert not {module for module in imports(name, later=True) if UPSTAIRS.fullmatch(module)}
    assert texts(name) == LAZY.get(name, set())


@pytest.mark.parametrize("name", [name for name in MODULES if floor(name) == "envs"])
def test_environments_know_no_agents(name: str) -> None:
    named = imports(name, later=True) | texts(name)
    assert not {module for module in named if floor(module) == "agents"}


def edges(name: str) -> set[str]:
    """Returns the modules of ours that must have run before a module has: what it imports, and their packages."""
    found: set[str] = set()
    for target in imports(name, later=False):
        parts = target.split(".")
        parents = {".".join(parts[:n]) for n in range(1, len(parts))}
        found |= {target} | {parent for parent in parents if not f"{name}.".startswith(f"{parent}.")}
    return found & set(MODULES)


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = {name: edges(name) for name in MODULES}
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " → ".join((*path[path.index(name) :], name))
        if name not in done:
            for other in sorted(graph[name]):
                visit(other, (*path, name))
            done.add(name)

    for name in graph:
        visit(name, ())
    assert sum(map(len, graph.values())) > 300
