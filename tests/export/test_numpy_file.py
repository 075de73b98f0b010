"""The exported NumPy function: the events that applying gives, to the last bit, without torch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from program import environment
from stack_cases import DECIDE, EVENTS, SCORES, scores_of, stacks

from rl_postproc.data.frames import Frames
from rl_postproc.data.scores import ScoreSet
from rl_postproc.export.numpy_file import numpy_source, write_numpy
from rl_postproc.export.numpy_stages import STAGES
from rl_postproc.pipeline.postprocessor import PostProcessor
from rl_postproc.pipeline.stack import Stack
from rl_postproc.stages.base import Kind, Stage
from rl_postproc.utils.errors import UserError

HOPS = st.sampled_from([0.1, 0.064, 1 / 60, 0.0213333])


def expected(processor: PostProcessor, scores: ScoreSet) -> list[tuple]:
    found = processor.apply(scores)
    columns = [found.onset.tolist(), found.offset.tolist(), [found.classes[k] for k in found.label.tolist()]]
    if processor.stack.gives_confidence:
        columns.append(found.confidence.tolist())
    return list(zip(*columns, strict=True))


def made(config: list[dict[str, Any]], n_frames: int, seed: int, hop: float) -> tuple[PostProcessor, ScoreSet]:
    stack, rng = Stack.from_config(config), np.random.default_rng(seed)
    array = scores_of(n_frames, seed).scores[0].T.numpy()
    scores = ScoreSet.from_arrays({"a": array}, hop=hop, classes=["k'0", "k1", "k2"])
    rows = [[float(rng.choice(p.candidates)) for p in stack.space.parameters] for _ in range(3)]
    return PostProcessor.constant(stack, scores, torch.tensor(rows)), scores


@settings(max_examples=60)
@given(config=stacks, n_frames=st.integers(1, 90), seed=st.integers(0, 10_000), hop=HOPS)
def test_any_stack_gives_what_applying_gives(config: list, n_frames: int, seed: int, hop: float) -> None:
    processor, scores = made(config, n_frames, seed, hop)
    own: dict[str, Any] = {}
    exec(compile(numpy_source(processor), "exported", "exec"), own)
    assert own["events"](scores.scores[0].T.numpy().astype(np.float64), hop) == expected(processor, scores), config


CHILD = """
import sys
sys.modules["torch"] = None  # any import of it fails
import json, runpy
import numpy as np
for name in sys.argv[1:]:
    found = runpy.run_path(name + ".py")["events"](np.load(name + ".npy"), float(open(name + ".hop").read()))
    assert [list(event) for event in found] == json.load(open(name + ".json")), name
loaded = {module.partition(".")[0] for module in sys.modules}
assert not loaded & {"rl_postproc", "scipy", "pandas"}, loaded
print("same", len(sys.argv) - 1)
"""


def test_every_stage_works_where_torch_cannot_be_imported(tmp_path: Path) -> None:
    choice = [{"stage": "one_of", "stacks": {"a": [SCORES[0], DECIDE[0]], "b": [DECIDE[3], EVENTS[4]]}}]
    configs = [*([own, DECIDE[0]] for own in SCORES), *([own, EVENTS[0]] for own in DECIDE), choice,
               *([SCORES[0], DECIDE[1], own] for own in EVENTS)]  # fmt: skip
    used = {stage["stage"] for config in configs for stage in config} - {"one_of"}
    assert used == set(STAGES) == {name for name, kind in Stage.types().items()
                                   if kind.__module__.startswith("rl_postproc.stages.")} - {"one_of"}  # fmt: skip
    names = []
    for i, config in enumerate(configs):
        processor, scores = made(config, 3000, i + 1, 0.064)
        names.append(str(tmp_path / f"case_{i}"))
        write_numpy(processor, f"{names[-1]}.py")
        np.save(f"{names[-1]}.npy", scores.scores[0].T.numpy())
        Path(f"{names[-1]}.hop").write_text("0.064")
        events = expected(processor, scores)
        assert events
        Path(f"{names[-1]}.json").write_text(json.dumps(events))
    done = subprocess.run([sys.executable, "-c", CHILD, *names], capture_output=True, text=True, cwd=tmp_path,
                          env={**environment(), "PYTHONPATH": ""}, timeout=120)  # fmt: skip
    assert done.stdout == f"same {len(configs)}\n", done.stderr


def test_what_the_function_refuses() -> None:
    processor, _ = made([DECIDE[0]], 9, 1, 0.1)
    own: dict[str, Any] = {}
    exec(compile(numpy_source(processor), "exported", "exec"), own)
    for scores, message in (
        (np.zeros((3, 2)), r"the shape \(3, 2\)"),
        (np.zeros((0, 3)), r"the shape \(0, 3\)"),
        (np.full((3, 3), 1.2), "no probabilities"),
        (np.full((3, 3), np.nan), "no probabilities"),
    ):
        with pytest.raises(ValueError, match=message):
            own["events"](scores, 0.1)


class Foreign(Stage):
    """A stage of somebody else's."""

    stage: Literal["foreign"] = "foreign"
    takes: ClassVar[Kind] = "scores"
    gives: ClassVar[Kind] = "decisions"

    def __call__(self, x: torch.Tensor, frames: Frames, **values: torch.Tensor) -> torch.Tensor:
        return x > 0.5


def test_what_cannot_be_exported_says_why(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"'foreign' cannot be exported, since it is known in torch alone"):
        write_numpy(made([{"stage": "foreign"}], 9, 1, 0.1)[0], tmp_path / "out.py")
    with pytest.raises(UserError, match=r"its policy 'universal' looks at the scores of each clip"):
        write_numpy(PostProcessor.load("universal"), tmp_path / "out.py")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("relative", [1000.99, 1001.0])
def test_no_limit_of_ratios_joins_over_silence(relative: float) -> None:
    array = np.repeat([0.0, 1.0, 0.0, 1.0, 0.0], 8)[:, None].repeat(3, 1).astype(np.float32)
    scores = ScoreSet.from_arrays({"a": array}, hop=0.1, classes=["a", "b", "c"])
    processor = PostProcessor.constant(
        Stack.from_config([{"stage": "boxes"}]), scores, torch.tensor([0.3, 1.0, relative])
    )
    own: dict[str, Any] = {}
    exec(compile(numpy_source(processor), "exported", "exec"), own)
    assert own["events"](array, 0.1) == expected(processor, scores)
    assert len(expected(processor, scores)) == (3 if relative > 1000.995 else 6)


@pytest.mark.parametrize(("shortest", "longest", "n"), [(0.5, 600.0, 2), (0.0, 0.5, 2), (0.5, 0.5, 1), (0.51, 0.6, 1)])
def test_events_as_long_as_a_limit_stay(shortest: float, longest: float, n: int) -> None:
    active = np.repeat([1.0, 0, 1, 0, 1], [4, 3, 5, 2, 6])[:, None].astype(np.float32)
    scores = ScoreSet.from_arrays({"a": active}, hop=0.1, classes=["a"])
    stack = Stack.from_config([{"stage": "threshold"}, {"stage": "duration"}])
    processor = PostProcessor.constant(stack, scores, torch.tensor([0.5, shortest, longest]))
    own: dict[str, Any] = {}
    exec(compile(numpy_source(processor), "exported", "exec"), own)
    assert own["events"](active, 0.1) == expected(processor, scores)
    assert len(expected(processor, scores)) == n
