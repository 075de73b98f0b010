# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Write a stage
#
# Post-processing is a stack of stages: filters, thresholds, rules about events. Here you write one of your own, in one file,
# and everything else takes it as if it had come with the package: searches tune it, the environment offers it as an action,
# the command line applies it. Half a minute on one core.
#
# What you learn: what a stage promises, how the package checks it, and how to find out whether your idea earns anything.
#
# The same as a notebook and as a script is in `docs/tutorials/`, `write_a_stage.ipynb` and `.py`.
# Run them in an empty folder.

# %% [markdown]
# ## The idea
# Some clips are noisy throughout. The scores of a class then stay high where nothing happens, and one threshold for all
# clips is too low there and too high elsewhere. So look at the middle score of the class in the clip, the median over
# frames, and take a share of it out. How large a share is for tuning to say.
#
# ## The file
# A plug-in is a Python file. We write it from here, so that this page holds it; you would open an editor.

# %%
from pathlib import Path

Path("background.py").write_text('''
"""A stage of our own: the background of a clip is taken out of its scores."""

from typing import ClassVar, Literal

import torch

from rl_postproc.data.frames import Frames
from rl_postproc.stages import Kind, Parameter, Probability, Stage


class Background(Stage):
    """Takes a share of the middle score of each class in a clip out of its scores."""

    stage: Literal["background"] = "background"
    share: Probability = Parameter(candidates=(0.0, 0.25, 0.5, 0.75, 1.0), default=0.0)

    takes: ClassVar[Kind] = "scores"
    gives: ClassVar[Kind] = "scores"

    def __call__(self, x: torch.Tensor, frames: Frames, **values: torch.Tensor) -> torch.Tensor:
        """x: scores [frame, track]; frames.n_frames and each value: [track]."""
        frame = torch.arange(len(x), device=x.device)[:, None]
        ordered = x.masked_fill(frame >= frames.n_frames, 2.0).sort(0).values  # frames beyond a clip's end come last
        middle = ordered.gather(0, (frames.n_frames[None] - 1) // 2)
        out = middle * values["share"]
        return ((x - out) / (1 - out).clamp(min=1e-6)).clamp(0.0, 1.0)
'''.lstrip())  # fmt: skip

# %% [markdown]
# That is all of it:
#
# - The field `stage` is its name. In a config it is `{stage: background}`.
# - A `Parameter` is what may be tuned, with its candidates. `Probability` says what kind of number it is, `Seconds` is the
#   other. A share of 0 changes nothing, so that tuning can leave the stage out.
# - It `takes` scores and `gives` scores. Others make decisions of scores, or take and give events.
# - It works on all tracks at once, and each track has parameter values of its own. There is no loop.
# - A batch holds clips of several lengths, padded with zeros. A stage must not look beyond the end of a clip: therefore the
#   line that puts those frames last.
#
# ## Certify it
# `check_stage` holds a stage to everything that the rest relies on: shapes and kinds, that silence stays silent, that a
# track by itself gives what it gives among others, that padding makes no difference, that a stack takes it.

# %%
import sys

import torch

sys.path.insert(0, ".")
from background import Background

from rl_postproc.testing import check_stage

torch.set_num_threads(1)
check_stage(Background())

# %% [markdown]
# It says nothing: all promises are kept. What would it say of a mistake that is easy to make, the median over all frames,
# padding included?

# %%
from typing import Literal

from rl_postproc.testing import NonConformant


class Careless(Background):
    """The same, with padding taken for scores."""

    stage: Literal["careless"] = "careless"

    def __call__(self, x, frames, **values):
        out = x.median(0).values * values["share"]
        return ((x - out) / (1 - out).clamp(min=1e-6)).clamp(0.0, 1.0)


try:
    check_stage(Careless())
except NonConformant as problem:
    print(problem)
else:
    raise AssertionError("a careless stage has passed")

# %% [markdown]
# ## Use it
# In Python a stack is a list. Scores are simulated, by a detector that drifts from clip to clip: the kind of fault that the
# idea is for.

# %%
from rl_postproc import SimulationConfig, Stack, simulate, tune

scores = simulate(SimulationConfig(n_clips=200, classes=["Cat", "Dog", "Speech"]))
training, others = scores.select(range(120)), scores.select(range(120, 200))

stack = Stack.from_config([{"stage": "background"}, {"stage": "median"}, {"stage": "threshold"}])
print(stack.space.names, len(stack.space.values), "candidates")

# %% [markdown]
# Our parameter has joined the space that searches go through and agents act in. `grid_search` tries all of it.

# %%
best = tune(training, "grid_search", stack=stack)
for name, values in zip(best.classes, best.policy.values.tolist(), strict=True):
    print(name, {parameter: round(value, 2) for parameter, value in zip(stack.space.names, values, strict=True)})

# %% [markdown]
# ## The command line
# The program knows our stage when it is given the file. It never loads code by itself: a post-processor that needs a
# plug-in says so.

# %%
import shlex
import subprocess

from rl_postproc import write_events, write_scores


def shell(command):
    """Runs a command line and returns what it prints."""
    arguments = [sys.executable if word == "python" else word for word in shlex.split(command)]
    done = subprocess.run(arguments, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


best.save("tuned")
write_scores(others, "scores")
write_events(others.references, "references.tsv")
shell("python -m rl_postproc apply tuned scores --plugin background.py --out events.tsv")
print(shell("python -m rl_postproc evaluate events.tsv --references references.tsv"))

# %% [markdown]
# `python -m rl_postproc` is the program `rl-postproc`. The events are those that Python gives:

# %%
from rl_postproc import read_events

written = [row for row in read_events("events.tsv") if row.label is not None]  # a clip without events has a row, too
assert {(row.filename, row.onset, row.label) for row in written} == {
    (Path(clip).stem, onset, label) for clip, onset, _, label in best.apply(others).to_rows()
}

# %% [markdown]
# ## What does it earn?
# Leave it out, tune what is left anew, and compare on clips that neither has seen. A benchmark does that with
# `drop_one_out`, for every stage of a stack in turn: as many folds as you like, and an interval for each difference.

# %%
Path("ablation.yaml").write_text("""
title: what each stage earns
data: {simulated: {n_clips: 300, classes: [Cat, Dog, Speech]}}
plugins: [background.py]
stacks:
  with_background: [{stage: background}, {stage: median}, {stage: threshold}]
agents: [default, grid_search]
drop_one_out: {stack: with_background, agent: grid_search}
folds: 3
""")
print(shell("python -m rl_postproc benchmark ablation.yaml --out ablation"))

# %%
import json

parts = json.loads(Path("ablation/results.json").read_text())["drop_one_out"]["parts"]
for stage, part in parts.items():
    print(f"{stage} earns {100 * part['value']:+.1f} ({100 * part['low']:+.1f} to {100 * part['high']:+.1f})")
assert parts["background"]["low"] < parts["background"]["value"] < parts["background"]["high"]

# %% [markdown]
# Read the interval, not the figure. It holds zero: 300 clips do not tell whether the stage earns anything. With `n_clips:
# 1000` it is +1.6 (+0.4 to +2.7), so on this detector it does. On the simulated detector of another seed (`{seed: 1, n_clips:
# 1000, …}`) it is +0.1 (−1.1 to +1.4), so there it does not, and it costs nothing either: tuning takes a share of 0. An
# idea earns where the fault is that it mends. Try yours on your own scores: `data: {scores: …, references: …}`.
#
# ## Where to go on
# - [Stacks](../stacks.md): the stages that there are, alternatives, what a search costs.
# - [Extending](../extending.md): stages that make decisions or events, optional parts that make a search fast, and metrics,
#   agents and formats of your own. A package may bring plug-ins, too; then nobody needs `--plugin`.
