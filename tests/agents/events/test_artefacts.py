"""What a policy that chooses clip by clip is made from, and where it applies: unseen folds, lengths, samplings, processes."""

from __future__ import annotations

import itertools
import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cases import small_simulation
from event_agents import AGENTS, agent, files_of, random_tracks, repeated, small_task
from rl_postproc.agents.benchmark.config import BenchmarkConfig
from rl_postproc.agents.benchmark.run import run_benchmark
from rl_postproc.agents.events.event_value import EventValue
from rl_postproc.agents.events.fit_value import fit_value

from rl_postproc.data.events import Events
from rl_postproc.data.folds import fold_of_clips
from rl_postproc.data.scores import ScoreSet
from rl_postproc.formats import read_scores, write_scores
from rl_postproc.pipeline.postprocessor import PostProcessor
from rl_postproc.pipeline.stack import Stack
from rl_postproc.task import TuningTask
from rl_postproc.utils.checked import build
from rl_postproc.utils.errors import UserError

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def task() -> TuningTask:
    return small_task()


@pytest.fixture(scope="module")
def fitted(task: TuningTask) -> dict[str, PostProcessor]:
    """Every kind of policy, trained."""
    return {name: agent(name).fit(task, 0).post_processor for name in AGENTS}


def with_other_references(scores: ScoreSet, clips: torch.Tensor) -> ScoreSet:
    """Returns the set with the references of some clips replaced by one odd event for each class."""
    names = {scores.clip_ids[c] for c in clips.tolist()}
    rows = [row for row in scores.require_references().to_rows() if row[0] not in names]
    rows += [(name, 0.1, 1.3, label) for name in names for label in scores.classes]
    references = Events.from_rows(rows, scores.clip_ids, scores.classes)
    return ScoreSet.build(
        scores.scores, scores.edges, scores.clip_ids, scores.classes, scores.n_frames, scores.durations, references
    )


def test_inner_predictions_come_from_models_that_have_not_seen_the_clip(task: TuningTask) -> None:
    value = EventValue.model_validate({**AGENTS["boosted"]})
    fold = fold_of_clips(task.scores.clip_ids, 2)
    poisoned = with_other_references(task.scores, (fold == 0).nonzero()[:, 0])
    other = TuningTask.build(poisoned, task.stack, task.metric)
    own = fold[task.decoded.track // task.scores.n_classes] == 0
    first, second = (fit_value(t, value, 0).held_out for t in (task, other))
    assert torch.equal(first[own], second[own])
    assert not torch.equal(first[~own], second[~own])


def test_nothing_of_a_held_out_fold_reaches_fitting(tmp_path: Path) -> None:
    scores = small_simulation(20, 3, short=0.4)
    fold = fold_of_clips(scores.clip_ids, 2)
    held = (fold == 0).nonzero()[:, 0]
    poisoned = with_other_references(scores, held)
    changed = poisoned.scores.clone()
    changed[held] = (1 - changed[held]) * scores.valid[held, None]
    poisoned = ScoreSet.build(
        changed, scores.edges, scores.clip_ids, scores.classes, scores.n_frames, scores.durations, poisoned.references
    )
    agents = [
        {**AGENTS[name], "name": name} for name in ("boosted", "network", "set", "exact", "events", "tracks", "joint")
    ]
    agents += [{**AGENTS["boosted"], "fallback": True, "name": "careful"}]
    agents += [{**AGENTS["features_on_values"], "validation": 0.3, "patience": 2, "fallback": True, "name": "watched"}]
    values = {"agents": agents, "folds": 2, "stack": small_task(2).stack.to_config()}
    for name, data in (("clean", scores), ("poisoned", poisoned)):
        run_benchmark(build(BenchmarkConfig, values, "test"), data, tmp_path / name, lambda *_: None)
    for k, same in ((0, True), (1, False)):
        for item in agents:
            first, second = (
                {
                    p.name: p.read_bytes()
                    for p in (tmp_path / run / "folds" / f"{item['name']}_seed0_fold{k}").glob("post*")
                }
                for run in ("clean", "poisoned")
            )
            assert "postprocessor.json" in first
            assert (first == second) is same, (item["name"], k)


@pytest.mark.parametrize("name", [*AGENTS, "random_tracks"])
def test_a_policy_applies_to_clips_of_any_length(task: TuningTask, fitted: dict[str, PostProcessor], name: str) -> None:
    processor = random_tracks(task) if name == "random_tracks" else fitted[name]
    parts = [
        small_simulation(3, 3, seed, clip_seconds=n * 0.064, short=0.0) for seed, n in ((1, 40), (2, 156), (3, 1000))
    ]
    assert [part.width for part in parts] == [40, 156, 1000]
    width = max(part.width for part in parts)
    together = ScoreSet.build(
        torch.cat([torch.nn.functional.pad(part.scores, (0, width - part.width)) for part in parts]),
        parts[2].edges,
        [f"{name}_{part.width}" for part in parts for name in part.clip_ids],
        parts[0].classes,
        torch.cat([part.n_frames for part in parts]),
        torch.cat([part.durations for part in parts]),
    )
    everything = processor.apply(together).to_rows()
    for part in parts:
        # Neither the padding nor the other clips make a difference.
        one = processor.apply(part)
        names = {name: f"{name}_{part.width}" for name in part.clip_ids}
        own = [row for row in everything if row[0] in names.values()]
        assert [(names[clip], *rest) for clip, *rest in one.to_rows()] == own
        assert bool((one.offset <= part.durations[one.clip] + 1e-6).all())
    assert everything
    if name in ("boosted", "random_tracks"):
        assert len(processor.choose(together).flatten(0, 1).unique(dim=0)) > 1


@pytest.mark.parametrize("name", ["boosted", "network", "exact", "events", "features", "random_tracks"])
def test_a_policy_decides_the_same_at_another_sampling_of_the_same_scores(name: str) -> None:
    # Thresholds only, since the kernels of a median filter are rounded to frames.
    stack = Stack.from_config([{"stage": "threshold", "threshold": [0.1, 0.3, 0.5, 0.7, 0.9]}])
    scores = repeated(small_simulation(16, 3, short=0.4), 1)
    task = TuningTask.build(scores, stack)
    processor = random_tracks(task) if name == "random_tracks" else agent(name).fit(task, 0).post_processor
    expected = processor.choose(scores)
    for times in (2, 3):
        assert torch.equal(processor.choose(repeated(scores, times)), expected)
    assert len(expected.flatten(0, 1).unique(dim=0)) > 1


def test_policies_decide_the_same_after_saving_in_a_new_process(
    task: TuningTask, fitted: dict[str, PostProcessor], tmp_path: Path
) -> None:
    write_scores(task.scores, tmp_path / "scores")
    rows = zip(task.scores.clip_ids, task.scores.durations.tolist(), strict=True)
    (tmp_path / "durations.tsv").write_text("".join(f"{name}\t{length}\n" for name, length in rows))
    for name, processor in fitted.items():
        processor.save(tmp_path / name)
    command = (
        "import json, sys, torch; torch.set_num_threads(1)\n"
        "import rl_postproc.agents\n"
        "from rl_postproc.formats import read_scores\n"
        "from rl_postproc.pipeline.postprocessor import PostProcessor\n"
        "scores = read_scores(sys.argv[1] + '/scores', durations=sys.argv[1] + '/durations.tsv')\n"
        "print(json.dumps([PostProcessor.load(sys.argv[1] + '/' + n).apply(scores).to_rows() for n in sys.argv[2:]]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", command, str(tmp_path), *fitted], cwd=ROOT, capture_output=True, text=True, check=True
    )
    scores = read_scores(tmp_path / "scores", durations=tmp_path / "durations.tsv")
    for processor, found in zip(fitted.values(), json.loads(done.stdout), strict=True):
        expected = [list(row) for row in processor.apply(scores).to_rows()]
        assert found == expected
        assert expected


def test_artefacts_are_json_and_safetensors_and_load_without_pickle(
    task: TuningTask, fitted: dict[str, PostProcessor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("pickle was used")

    for module, name in itertools.product((pickle,), ("load", "loads", "dump", "dumps", "Unpickler", "Pickler")):
        monkeypatch.setattr(module, name, refuse)
    monkeypatch.setattr(torch, "load", refuse)
    monkeypatch.setattr(torch, "save", refuse)
    for name, processor in fitted.items():
        files = files_of(processor, tmp_path / name)
        assert set(files) <= {"postprocessor.json", "postprocessor.safetensors"}
        json.loads(files["postprocessor.json"])
        assert (
            PostProcessor.load(tmp_path / name).apply(task.scores).to_rows() == processor.apply(task.scores).to_rows()
        )


def test_event_values_of_other_features_are_refused(fitted: dict[str, PostProcessor], tmp_path: Path) -> None:
    path = fitted["boosted"].save(tmp_path)
    text = path.read_text()
    path.write_text(text.replace('"votes_near"', '"votes_far"'))
    with pytest.raises(UserError, match=r"features of another version, such as 'votes_far'\).*train it anew"):
        PostProcessor.load(tmp_path)


@pytest.mark.parametrize("name", AGENTS)
def test_the_same_seed_gives_the_same_artefact_and_the_task_stays_as_it_was(name: str, tmp_path: Path) -> None:
    task = small_task(16)
    before = task.linearisation.slope.clone(), task.linearisation.scale.clone(), task.scores.scores.clone()
    files = []
    for i in range(2):
        torch.manual_seed(i)
        np.random.seed(i)  # noqa: NPY002
        files.append(files_of(agent(name).fit(task, 5).post_processor, tmp_path / str(i)))
    assert files[0] == files[1]
    after = task.linearisation.slope, task.linearisation.scale, task.scores.scores
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
