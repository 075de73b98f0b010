"""Every module in a room of agents is found, whatever its file is called."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from rl_postproc.agents import Agent

ROOT = Path(__file__).resolve().parents[2]
MODULE = '''
from typing import Literal

from rl_postproc.agents.search.default import Default


class Mine(Default):
    """An agent of one's own."""

    agent: Literal["{name}"] = "{name}"
'''
PROGRAM = """
import importlib, json, sys
from rl_postproc.agents import Agent
for room in Agent.rooms:
    importlib.import_module(room).__path__.append(f"{sys.argv[1]}/{room.rpartition('.')[2]}")
print(json.dumps({name: kind.__module__ for name, kind in Agent.types().items()}))
"""


def test_a_module_of_any_name_is_found_in_every_room(tmp_path: Path) -> None:
    # In a process of its own, since a room is looked through once.
    rooms = [room.rpartition(".")[2] for room in Agent.rooms]
    expected = {}
    for room in rooms:
        for prefix in ("cli", "benchmark", "testing", "base"):
            name = f"{prefix}_in_{room}"
            (tmp_path / room).mkdir(exist_ok=True)
            (tmp_path / room / f"{name}.py").write_text(MODULE.format(name=name))
            expected[name] = f"rl_postproc.agents.{room}.{name}"
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    found = json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)
    assert found.items() >= expected.items()
    assert set(rooms) == {"search", "thresholds", "events", "rl", "universal"}
    assert {"default", "ppo", "event_value", "sgl_thresh"} <= set(found)
