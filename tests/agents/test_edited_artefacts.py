"""Whatever single value of a saved post-processor is changed: one good sentence, or the same events as before."""

from __future__ import annotations

import json
import random
import resource
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from artefact_cases import edits, every_kind, reseal
from cases import small_simulation
from event_agents import small_task
from safetensors.torch import load, save

from rl_postproc.data.scores import ScoreSet
from rl_postproc.pipeline.postprocessor import PostProcessor
from rl_postproc.utils.errors import UserError

KINDS = ("constant", "boosted", "network", "mean", "on_values", "on_constants", "event_set", "silent_classes",
         "learned_events", "vpg_paper", "tracks", "adapted", "class_groups", "universal",
         "event_ranking")  # fmt: skip


@pytest.fixture(scope="module")
def scores() -> ScoreSet:
    return small_simulation(3, 3, 5, short=0.4)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    made = every_kind(small_task(16))
    assert set(made) == set(KINDS)
    return {name: made[name].save(tmp_path_factory.mktemp(name)).parent for name in KINDS}


def outcome(folder: Path, scores: ScoreSet) -> Any:
    """Returns events, or the sentence that refuses."""
    try:
        return PostProcessor.load(folder).apply(scores).to_rows()
    except UserError as error:
        text = str(error)
        assert text.endswith("."), text
        assert "\n" not in text, text
        assert len(text) < 700, text
        return text


def run_edits(folder: Path, scores: ScoreSet, share: float, every: bool = False, sealed: bool = True) -> None:
    path = folder / "postprocessor.json"
    whole = path.read_text()
    before = PostProcessor.load(folder).apply(scores).to_rows()
    assert before
    chosen = random.Random(0)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused = 0
    try:
        for what, document in edits(json.loads(whole), every):
            if chosen.random() > share:
                continue
            path.write_text(json.dumps(document))
            if not sealed:
                reseal(path)
            begin = time.process_time()
            found = outcome(folder, scores)
            assert time.process_time() - begin < 3, what
            if isinstance(found, str):
                refused += 1
            elif found != before and sealed:
                # Constants are for people to change, and only they.
                assert document["policy"]["kind"] == "constant", what
                assert what.startswith(("policy.values.", "stack.")), what
    finally:
        path.write_text(whole)
    assert refused > 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 300_000  # KB
    assert outcome(folder, scores) == before


@pytest.mark.parametrize("kind", KINDS)
def test_an_edited_value_is_refused_in_one_sentence_or_changes_nothing(
    kind: str, folders: dict[str, Path], scores: ScoreSet
) -> None:
    run_edits(folders[kind], scores, 1.0 if kind == "constant" else 0.15)


@pytest.mark.parametrize("kind", KINDS)
def test_an_edited_value_that_is_sealed_anew_is_refused_in_one_sentence_or_gives_events(
    kind: str, folders: dict[str, Path], scores: ScoreSet
) -> None:
    run_edits(folders[kind], scores, 0.15, sealed=False)


def tensor_edits(tensors: dict[str, torch.Tensor], every: bool) -> Iterator[tuple[str, bool, dict[str, torch.Tensor]]]:
    """Yields what was done, whether it must be refused, and the tensors with it."""
    yield "more", True, {**tensors, "more": torch.zeros(1)}
    names = sorted(tensors)
    for name in names if every else random.Random(1).sample(names, min(6, len(names))):
        x = tensors[name]
        edited = {
            "drop": None,
            "longer": torch.cat([x, x]) if x.ndim else x[None],
            "deeper": x[None],
            "empty": x[:0] if x.ndim else torch.zeros(0),
            "other type": x.long() if x.is_floating_point() else x.float(),
        }
        for what, value in edited.items():
            rest = {n: t for n, t in tensors.items() if n != name}
            if value is None or value.shape != x.shape or value.dtype != x.dtype:
                yield f"{name} {what}", True, rest if value is None else {**rest, name: value}
        numbers: list[Any] = [True] if x.dtype == torch.bool else [0, 1, 200]
        if x.is_floating_point():
            numbers = [float("nan"), float("inf"), 1e30, 0.0]
        elif x.dtype == torch.int32:
            numbers = [0, 1, -1, -2, 1000, 2**31 - 1, -(2**31)]
        for number in numbers if x.numel() else []:
            value = x.clone()
            value.view(-1)[0] = number
            yield f"{name} := {number}", number != number or number == float("inf"), {**tensors, name: value}


@pytest.mark.parametrize("every", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "constant"])
def test_edited_tensors_are_refused_even_where_they_are_sealed_anew(
    kind: str, every: bool, folders: dict[str, Path], scores: ScoreSet
) -> None:
    path = folders[kind] / "postprocessor.json"
    file = path.with_suffix(".safetensors")
    whole, content = path.read_text(), file.read_bytes()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        for what, refused, tensors in tensor_edits(load(content), every):
            file.write_bytes(save({name: value.contiguous() for name, value in tensors.items()}))
            if file.read_bytes() != content:
                assert "is damaged or of another run" in str(outcome(folders[kind], scores)), what
            reseal(path)
            found = outcome(folders[kind], scores)
            assert isinstance(found, str) or not refused, what
            path.write_text(whole)
    finally:
        path.write_text(whole)
        file.write_bytes(content)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 300_000  # KB


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_edited_value_is_refused_in_one_sentence_or_changes_nothing(
    kind: str, folders: dict[str, Path], scores: ScoreSet
) -> None:
    for sealed in (True, False):
        run_edits(folders[kind], scores, 0.3, every=True, sealed=sealed)
