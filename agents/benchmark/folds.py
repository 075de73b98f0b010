"""One fold of one agent and seed: tuned, applied to the clips left out, and kept as files."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from safetensors.torch import save as save_tensors

from rl_postproc.data.scores import ScoreSet
from rl_postproc.formats import write_events
from rl_postproc.metrics import total_counts
from rl_postproc.task import TuningTask
from rl_postproc.utils.code_version import UNKNOWN, code_version
from rl_postproc.utils.errors import UserError
from rl_postproc.utils.files import read_json, whole_file, write_json

from ..base import Agent, ProgressCallback
from .failures import work_of_agent

RESULT, COUNTS, EVENTS = "result.json", "counts.safetensors", "events.tsv"
CONFIDENCE = "events.confidence"
"""Name, beside the counts, of what the event file has no column for: the confidence of each event, in its order."""


def finished_by(folder: Path, key: str) -> str | None:
    """Returns the version of the code that made the result of the run with this key in a folder, None without one."""
    if not (folder / RESULT).is_file():
        return None
    try:
        result = read_json(folder / RESULT)
    except UserError:
        return None
    return result.get("code", UNKNOWN) if result.get("key") == key else None


def run_fold(
    train: TuningTask, held: ScoreSet, agent: Agent, seed: int, folder: Path, key: str, report: ProgressCallback
) -> None:
    """Tunes on some clips and writes what happens on the ones left out; ``result.json`` comes last.

    Args:
        train: the clips to tune on.
        held: the clips left out, with references.
        agent: what tunes.
        seed: its seed.
        folder: where the post-processor, the events, the counts and the result go.
        key: what identifies the run.
        report: takes progress.

    Raises:
        AgentError: the agent cannot tune on these clips, or its post-processor cannot be applied to them.
        UserError: the files cannot be written.
    """
    begin, metric = time.perf_counter(), train.metric
    with work_of_agent():
        fit = agent.fit(train, seed, report)
        seconds = time.perf_counter() - begin
        events = fit.post_processor.apply(held)
        own = metric.count(train.scores.require_references(), fit.post_processor.apply(train.scores))
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
    }
    write_json(folder / RESULT, result)
