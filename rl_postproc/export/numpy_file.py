"""Constants as a NumPy function of one file, which needs neither this package nor torch."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from rl_postproc import __version__
from rl_postproc.export import numpy_stages
from rl_postproc.export.constants import constants_of
from rl_postproc.pipeline.postprocessor import PostProcessor
from rl_postproc.stages.base import Parameter, Stage
from rl_postproc.stages.one_of import OneOf
from rl_postproc.utils.errors import UserError
from rl_postproc.utils.files import write_text
from rl_postproc.utils.tensors import decimals

_HEAD = '''"""Post-processing of sound event detection: `events(scores, hop)` turns frame-level scores into events.

Written by rl_postproc {version}. It needs NumPy alone, and gives what rl_postproc gives. Lengths are in seconds.{hop}
"""

import math

import numpy as np

'''

_DRIVER = '''

def events(scores, hop):
    """Returns the events in the scores of a clip, class by class, each as ({columns}).

    Args:
        scores: probabilities [frame, class], the classes in the order of `CLASSES`.
        hop: frame length in seconds.
    """
    scores = np.asarray(scores, dtype=np.float32)
    if scores.ndim != 2 or scores.shape[1] != len(CLASSES) or not len(scores):
        raise ValueError(f"the scores have the shape {{scores.shape}}, not [frame, {{len(CLASSES)}}]")
    if not ((scores >= -1e-4) & (scores <= 1 + 1e-4)).all():
        raise ValueError("the scores are no probabilities in [0, 1]")
    edges = np.round(np.arange(len(scores) + 1) * hop, 6)
    hop = round(float(np.sort(np.diff(edges))[(len(scores) - 1) // 2]), 9)
    found = []
    for column, (label, stages) in enumerate(CLASSES.items()):
        x = np.clip(np.ascontiguousarray(scores[:, column]), 0, 1)
        for stage, takes_events, values, options in stages:
            if takes_events and not isinstance(x, tuple):
                x = decided(x, edges)
            x = stage(x, edges, hop, **{{name: float(np.float32(value)) for name, value in values.items()}}, **options)
        onset, offset, sure = x if isinstance(x, tuple) else decided(x, edges)
        rows = zip(onset.tolist(), offset.tolist(), sure.tolist())
        found += [{row} for begin, end, how_sure in rows]
    return found
'''


def write_numpy(processor: PostProcessor, path: str | Path) -> None:
    """Writes a file with the function ``events(scores, hop)``, whole or not at all.

    Raises:
        UserError: the post-processor has no constants, or a stage that cannot be exported; or the file cannot be written.
    """
    write_text(path, numpy_source(processor))


def numpy_source(processor: PostProcessor) -> str:
    """Returns the text of the file, see `write_numpy`."""
    policy = constants_of(processor)
    classes = []
    for name, row in zip(policy.classes, policy.values, strict=True):
        stages, values = _used(processor.stack.stages, row)
        classes.append((name, _calls(stages, values)))
    used = {call[0] for _, calls in classes for call in calls} | {"decided"}
    hop = f"\nThe constants were tuned on frames of {processor.hop:g} s." if processor.hop else ""
    table = "\n".join(f"    {name!r}: [\n{''.join(map(_line, calls))}    ]," for name, calls in classes)
    sure = processor.stack.gives_confidence
    driver = _DRIVER.format(
        columns="onset, offset, label, confidence" if sure else "onset, offset, label",
        row="(begin, end, label, how_sure)" if sure else "(begin, end, label)",
    )
    constants = (
        f'\n\nCLASSES = {{\n{table}\n}}\n"""Stages of each class: whether they take events, values, options."""\n'
    )
    return _HEAD.format(version=__version__, hop=hop) + "\n\n".join(_sources(used)) + constants + driver


_Call = tuple[str, bool, dict[str, float], dict[str, Any]]
"""Name of a stage, whether it takes events, values of its parameters, and its options."""


def _line(call: _Call) -> str:
    name, takes_events, values, options = call
    return f"        ({name}, {takes_events}, {values!r}, {options!r}),\n"


def _used(stages: Sequence[Stage], row: torch.Tensor) -> tuple[Sequence[Stage], torch.Tensor]:
    """Returns the stages that a class goes through, and their values."""
    choice = stages[0]
    if not isinstance(choice, OneOf):
        return stages, row
    first = 1
    for number, own in enumerate(choice.stacks.values()):
        n = sum(len(stage.parameters) for stage in own)
        if number == int(row[0]):
            return own, row[first : first + n]
        first += n
    raise UserError(f"There is no stack number {int(row[0])} in one_of.")


def _calls(stages: Sequence[Stage], row: torch.Tensor) -> list[_Call]:
    calls, before = [], 0
    for stage in stages:
        if stage.stage not in numpy_stages.STAGES or not type(stage).__module__.startswith("rl_postproc.stages."):
            name = stage.stage
            raise UserError(f"The stage '{name}' cannot be exported, since it is known in torch alone; export to yaml, "
                            "or tune a stack without it.")  # fmt: skip
        names = list(stage.parameters)
        values = dict(zip(names, decimals(row[before : before + len(names)]), strict=True))
        fields = {name: getattr(stage, name) for name in type(stage).model_fields if name != "stage"}
        options = {name: value for name, value in fields.items() if not isinstance(value, Parameter)}
        calls.append((stage.stage, stage.takes == "events", values, options))
        before += len(names)
    return calls


def _sources(names: set[str]) -> list[str]:
    """Returns the text of functions of `numpy_stages` and of all that they call, in its order."""
    known = dict(inspect.getmembers(numpy_stages, inspect.isfunction))
    pending, needed = list(names), set(names)
    while pending:
        tree = ast.parse(inspect.getsource(known[pending.pop()]))
        called = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} & set(known)
        pending += called - needed
        needed |= called
    ordered = sorted(needed, key=lambda name: known[name].__code__.co_firstlineno)
    return [inspect.getsource(known[name]) for name in ordered]
