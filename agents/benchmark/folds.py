"""One fold of one agent and seed: tuned, applied to the clips left out, and kept as files."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from typing import Any

from safetensors.torch import save as save_tensors

from rl_postproc.data.scores import ScoreSet
from rl_postproc.formats import write_events
from rl_postproc.metrics import Metric, total_counts
from rl_postproc.pipeline.artefact import ARTEFACT, WEIGHTS
from rl_postproc.task import TuningTask
from rl_postproc.utils.code_version import code_version
from rl_postproc.utils.errors import UserError, warn
from rl_postproc.utils.files import read_json, unwritable, whole_file, write_json

from ..base import Agent, ProgressCallback
from .failures import work_of_agent

RESULT, COUNTS, EVENTS = "result.json", "counts.safetensors", "events.tsv"
FILES = (ARTEFACT, WEIGHTS, COUNTS, EVENTS)
"""What ``result.json`` holds digests of."""
CONFIDENCE = "events.confidence"
"""Name, beside the counts, of what the event file has no column for: the confidence of each event, in its order."""


def finished_by(folder: Path, key: str) -> str | None:
    """Returns the version of the code that made the result of the run with this key in a folder, None without one.

    Warns:
        DataWarning: there is one, but its files are not as they were written.
    """
    try:
        made_by = _made_by(folder, key)
    except ValueError as error:
        warn(f"The fold '{folder}' is run anew, since {error}.")
        return None
    return made_by


def _made_by(folder: Path, key: str) -> str | None:
    """Does the work of `finished_by`.

    Raises:
        ValueError: a file is missing or changed; the message says which.
    """
    if not (folder / RESULT).exists():
        if any((folder / name).exists() for name in (COUNTS, EVENTS)):
            raise ValueError(f"{RESULT} is missing")
        return None
    try:
        result = read_json(folder / RESULT)
    except UserError as error:
        raise ValueError(f"{RESULT} cannot be read") from error
    if isinstance(result, dict) and result.get("key", key) != key:
        return None
    if not isinstance(result, dict) or result.get("sha256") != sealed(result)["sha256"]:
        raise ValueError(f"{RESULT} is not as it was written")
    for name, digest in result["files"].items():
        try:
            same = _digest((folder / name).read_bytes()) == digest
        except OSError as error:
            raise ValueError(f"{name} cannot be read") from error
        if not same:
            raise ValueError(f"{name} is not as it was written")
    return str(result["code"])


def sealed(result: dict[str, Any]) -> dict[str, Any]:
    """Returns the contents of ``result.json`` with a digest of their own."""
    values = {name: value for name, value in result.items() if name != "sha256"}
    return {**values, "sha256": _digest(json.dumps(values, sort_keys=True).encode())}


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def keep_fold(folder: Path, files: dict[str, bytes]) -> None:
    """Writes the files of a fold in place of those that are there; ``result.json``, which tells that all are, comes last.

    Raises:
        UserError: one cannot be written.
    """
    try:
        for name in (RESULT, *FILES):  # what it tells of other settings ends first
            if name == RESULT or name not in files:
                (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise unwritable(folder, error) from error
    for name in (*FILES, RESULT):
        if name in files:
            with whole_file(folder / name) as temporary:
                temporary.write_bytes(files[name])


def run_fold(
    train: TuningTask,
    held: ScoreSet,
    agent: Agent,
    seed: int,
    folder: Path,
    key: str,
    report: ProgressCallback,
    metric: Metric,
) -> None:
    """Tunes on some clips and writes what happens on the ones left out into an empty folder.

    Args:
        train: the clips to tune on.
        held: the clips left out, with references.
        agent: what tunes.
        seed: its seed.
        folder: where the post-processor, the events, the counts and the result go.
        key: what identifies the run.
        report: takes progress.
        metric: what is counted of the clips left out, which may be another than that of the task.

    Raises:
        AgentError: the agent cannot tune on these clips, or its post-processor cannot be applied to them.
        UserError: the files cannot be written.
    """
    begin = time.perf_counter()
    with work_of_agent():
        fit = agent.fit(train, seed, report)
        seconds = time.perf_counter() - begin
        events = fit.post_processor.apply(held)
        references, found = train.scores.require_references(), fit.post_processor.apply(train.scores)
        own = metric.count(references, found)
        reached = own if metric == train.metric else train.metric.count(references, found)
    fit.post_processor.save(folder)
    counts = metric.count(held.require_references(), events)
    with whole_file(folder / COUNTS) as temporary:
        tensors = {name: counts[name].contiguous() for name in metric.columns}
        temporary.write_bytes(save_tensors({**tensors, CONFIDENCE: events.confidence.contiguous()}))
    write_events(events, folder / EVENTS)
    scored = metric.summarise(total_counts(own))
    result: dict[str, Any] = {
        "key": key,
        "code": code_version(),
        "seconds": seconds,
        "evaluations": fit.evaluations,
        f"train_macro_{metric.score_name}": scored.macro,
        f"train_micro_{metric.score_name}": scored.micro,
        "curve": fit.curve,
        "missed": train.objective.missed(train.metric, fit.held_out or total_counts(reached), train.scores.classes),
        "files": {name: _digest((folder / name).read_bytes()) for name in FILES if (folder / name).exists()},
    }
    write_json(folder / RESULT, sealed(result))
