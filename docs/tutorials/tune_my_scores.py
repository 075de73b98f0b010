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
# # Tune my scores
#
# You have a detector. It gives class probabilities for each frame of each clip, and you want events: when does which
# class begin and end? This tutorial goes the whole way, from arrays to events that are scored, in half a minute on one
# core. You need the package and nothing else.
#
# What you learn: how arrays go in, how to find out what tuning is worth *before* you trust it, what kinds of errors
# remain, and how the result becomes files that other tools read.
#
# The same as a notebook and as a script is in `docs/tutorials/`, `tune_my_scores.ipynb` and `.py`.
# Run them in an empty folder.

# %% [markdown]
# ## Scores in
# A detector of yours is not at hand here, so a simulated one stands for it. It smears boundaries, breaks long events and
# raises false alarms, and it is kinder to tuning than real detectors are: take the figures below as an example, not as a
# promise. From it we keep what you would have: one array `[frame, class]` a clip, and the true events.

# %%
import torch

from rl_postproc import ScoreSet, SimulationConfig, data_report, simulate

torch.set_num_threads(1)
detector = simulate(SimulationConfig(n_clips=150, classes=["Cat", "Dog", "Speech"]))
arrays = {clip: detector.scores[i].T.numpy() for i, clip in enumerate(detector.clip_ids)}  # [frame, class]
rows = detector.references.to_rows()  # (clip, onset, offset, class), in seconds
print(arrays["sim_00000.wav"].shape, rows[0])

# %% [markdown]
# Arrays go in with the length of a frame, the names of the classes and the true events, which are called references.
# `data_report` says what the set holds and what looks wrong, before any work. `rl-postproc check` says the same of files.

# %%
scores = ScoreSet.from_arrays(arrays, hop=detector.hop, classes=["Cat", "Dog", "Speech"], references=rows)
report = data_report(scores)
print(report.n_clips, "clips,", report.hop, "seconds a frame, references:", report.references)
print("what looks wrong:", report.notes or "nothing")

# %% [markdown]
# ## What is tuning worth?
# Look at clips that were not tuned on. Everything else flatters: the more settings a search tries, the better it fits the
# clips that it sees. `benchmark` deals the clips into folds, tunes on all folds but one and counts on that one, in turn.
#
# - `default` tunes nothing: threshold 0.5.
# - `grid_search` finds the best median filter and threshold of each class, the same for all clips.
# - `event_value` looks at the events that filters and thresholds could give on a clip, and chooses for each clip anew.

# %%
from rl_postproc import benchmark

results = benchmark(scores, ["default", "grid_search", "event_value"], folds=2)
held_out = {row["agent"]: row for row in results["agents"]}
for name, row in held_out.items():
    print(f"{name:12} macro F1 held out {100 * row['value']:.1f} ({100 * row['low']:.1f} to {100 * row['high']:.1f})")

# %% [markdown]
# Here that is 40.5, 40.9 and 56.3. The brackets are 95 % intervals over clips. To compare two agents do not compare their
# brackets: both judge the same clips, so their difference is known better than either figure. It has an interval of its own.

# %%
gain = held_out["event_value"]["gain"]
value, low, high = (100 * gain[key] for key in ("value", "low", "high"))
print(f"event_value over {gain['over']}: {value:+.1f} ({low:+.1f} to {high:+.1f})")
assert held_out["event_value"]["value"] > held_out["default"]["value"]

# %% [markdown]
# ## Tune
# Now two post-processors that we keep. A hundred clips are tuned on. Fifty are set aside, and nothing below looks at their
# references before the events are there.

# %%
from rl_postproc import tune

training, others = scores.select(range(100)), scores.select(range(100, 150))
constants = tune(training, "grid_search")
chosen = tune(training, "event_value")
for name, values in zip(constants.classes, constants.policy.values.tolist(), strict=True):
    print(
        name, {parameter: round(value, 3) for parameter, value in zip(constants.stack.space.names, values, strict=True)}
    )

# %% [markdown]
# Those of `grid_search` are the same for every clip, and you can read them: the length of the median filter in seconds and
# the threshold. `event_value` has no such list. It keeps what it has learned about events. `"ppo"` in its place learns the
# same decision by reinforcement learning, in a minute or two.
#
# ## Apply
# A post-processor turns scores into events. It needs no references for that.

# %%
events = {"grid_search": constants.apply(others), "event_value": chosen.apply(others)}
print(events["event_value"].to_rows()[:3])

# %% [markdown]
# ## What kinds of errors remain?
# One figure hides much. The diary puts every missed reference and every false alarm into exactly one kind, and says which
# kinds make the difference between two lists of events. Parts of the difference add up to it.

# %%
from rl_postproc.diary import KINDS, contributions, diary
from rl_postproc.metrics import EventBased

before, after = (diary(others.references, found, EventBased()) for found in events.values())
parts = contributions(before, after).nanmean(1)  # [kind]: the mean over classes
errors = [(own.missed + own.false).sum(1).tolist() for own in (before, after)]  # missed references and false alarms
for kind, old, new, part in zip(KINDS, *errors, parts.tolist(), strict=True):
    print(f"{kind:10} {old:3} errors and {new:3}, part of the difference {100 * part:+.1f}")

difference = after.f1.nanmean() - before.f1.nanmean()
print(f"together {100 * float(difference):+.1f}")
assert abs(float(parts.sum() - difference)) < 1e-9

# %% [markdown]
# ## Look at it
# The clip with the most events: its scores, the events of both, and the references.

# %%
from pathlib import Path

from rl_postproc.results.clips import plot_clip
from rl_postproc.results.figures import save

folder = Path("my_scores")
folder.mkdir(exist_ok=True)
fullest = int(others.references.counts().sum(1).argmax())
picture = save(plot_clip(others, fullest, events), folder / "clip.png")
assert picture.stat().st_size > 10_000

# %% [markdown]
# ![A clip with its scores, the events of both post-processors and the references](clip.png)
#
# ## Files
# Post-processors, scores and events are files, which the program and other tools read. A post-processor is JSON and, where
# it has learned something, safetensors. Nothing in it is code.

# %%
from rl_postproc import PostProcessor, read_scores, write_events, write_scores

chosen.save(folder / "tuned")
write_scores(others, folder / "scores")  # one table a clip, as sed_scores_eval has them
write_events(others.references, folder / "references.tsv")
write_events(events["event_value"], folder / "events.tsv")  # filename, onset, offset, event_label
write_events(events["event_value"], folder / "labels", format="audacity")  # one a clip, to look at beside the sound

again = PostProcessor.load(folder / "tuned").apply(read_scores(folder / "scores"))
assert len(again) == len(events["event_value"])
assert len(list((folder / "labels").glob("*.txt"))) == 50

# %% [markdown]
# On the command line that is `rl-postproc apply my_scores/tuned my_scores/scores --out events.tsv`.
#
# ## Score the events
# `evaluate` counts the hits within DCASE's collars (0.2 s, and a fifth of the length for the end), has
# [sed_eval](https://tut-arg.github.io/sed_eval/) count them again, and stops if the two differ.

# %%
from rl_postproc import evaluate

figures = evaluate(others.references, events["event_value"])
print(f"macro F1 {figures.score.macro:.4f}, certified by {figures.certified_by}")

# %% [markdown]
# You need not believe that. Here sed_eval reads the files that we have written, without this package.

# %%
import sed_eval


def by_clip(path):
    found = {}
    for event in sed_eval.io.load_event_list(str(path)):
        if event.onset is not None:  # a row with a name alone is a clip without events
            found.setdefault(event.filename, []).append(event)
    return found


theirs = sed_eval.sound_event.EventBasedMetrics(["Cat", "Dog", "Speech"], t_collar=0.2, percentage_of_length=0.2)
references, estimates = by_clip(folder / "references.tsv"), by_clip(folder / "events.tsv")
for clip in others.clip_ids:
    theirs.evaluate(references.get(clip, []), estimates.get(clip, []))
their_f1 = theirs.results_class_wise_average_metrics()["f_measure"]["f_measure"]
print(f"sed_eval by itself: {their_f1:.4f}")
assert abs(their_f1 - figures.score.macro) < 1e-9

# %% [markdown]
# ## Without references
# No true events at all? A post-processor that has learned from many other detectors comes with the package. The simulator
# made most of them, so that the figure below flatters it. [What to expect of it](../comes_trained.md) on real detectors.

# %%
found = PostProcessor.load("universal").apply(others)
plain = evaluate(others.references, tune(training, "default").apply(others)).score.macro
print(f"universal {evaluate(others.references, found).score.macro:.3f}, threshold 0.5 {plain:.3f}")

# %% [markdown]
# ## Where to go on
# - Other tables, arrays, and formats of events: `rl-postproc list formats`, `ScoreSet.from_sed_scores_eval`,
#   `Events.from_pandas`, `to_pandas`, `from_dcase_util`.
# - False alarms that cost more than misses, or a minimum of precision: [which objective](../objectives.md).
# - Other filters and decoders: [stacks](../stacks.md), or [a stage of your own](write_a_stage.md).
