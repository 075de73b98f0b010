"""Conformance of an agent."""

from __future__ import annotations

import json
import tempfile
from typing import TYPE_CHECKING, Any

import torch

from rl_postproc.data.events import Events
from rl_postproc.data.scores import ScoreSet
from rl_postproc.pipeline.policy import Policy
from rl_postproc.pipeline.postprocessor import PostProcessor
from rl_postproc.testing.base import require
from rl_postproc.utils.errors import UserError

if TYPE_CHECKING:
    from rl_postproc.task import TuningTask

SIMULATED = {"data": {"simulated": {"n_clips": 24, "seed": 5}}}


def check_agent(settings: str | dict[str, Any], task: TuningTask | None = None) -> None:
    """Checks an agent on a small task.

    It is found by name and describes itself; its settings are checked. A fit yields a post-processor for the task's
    classes and a plain curve, counts its evaluations, reports progress that rises within [0, 1], and leaves the task as
    it is. The same seed gives the same post-processor, whatever torch's global seed. The post-processor survives
    saving, works on clips it has not seen, never looks at references, and treats each clip by itself.

    Args:
        settings: the agent's name or settings, small enough to run in a test.
        task: what it is tried on; a small simulated data set when None.

    Raises:
        NonConformant: one of these does not hold.
    """
    from rl_postproc.task import TuningTask

    from .base import Agent, make_agent

    agent = make_agent(settings)
    name = agent.agent
    require(Agent.types().get(name) is type(agent), f"agent '{name}' is not found by its name")
    require(bool(agent.summary()), f"agent '{name}' has no description")
    require(
        make_agent(agent.model_dump(mode="json")) == agent, f"agent '{name}': its settings do not build an equal one"
    )
    _check_unknown_setting(name)
    own: Any = TuningTask.build(SIMULATED) if task is None else task
    before = _fingerprint(own)
    progress: list[float] = []
    torch.manual_seed(0)
    first = agent.fit(own, 1, lambda fraction, figures: progress.append(fraction))
    torch.manual_seed(99)
    second = agent.fit(own, 1)
    require(_fingerprint(own) == before, f"agent '{name}' changes the task it is given")
    good = all(0 <= p <= 1 for p in progress) and progress == sorted(progress)
    require(good, f"agent '{name}' reports progress that does not rise from 0 to 1: {progress[:10]}")
    require(first.evaluations >= 0, f"agent '{name}' counts {first.evaluations} evaluations")
    json.dumps(first.curve)
    require(
        _same(first.post_processor.policy, second.post_processor.policy),
        f"agent '{name}': the same seed gives two different post-processors",
    )
    unseen = TuningTask.build({"data": {"simulated": {"n_clips": 3, "seed": 17, "clip_seconds": 4.0}}}).scores
    _check_post_processor(name, first.post_processor, own.scores)
    if unseen.classes == own.scores.classes:
        _check_post_processor(name, first.post_processor, unseen)


def _check_unknown_setting(name: str) -> None:
    from .base import make_agent

    try:
        make_agent({"agent": name, "no_such_setting": 1})
    except UserError:
        return
    require(False, f"agent '{name}' takes an unknown setting without an error")


def _fingerprint(task: TuningTask) -> list[str]:
    table, point = task.table, task.linearisation
    tensors = [task.scores.scores, *table.counts.values(), point.scale, point.slope]
    return [str((t.shape, t.double().sum().item(), t.flatten()[::7].tolist())) for t in tensors]


def _same(one: Policy, other: Policy) -> bool:
    """Returns whether two policies would be saved alike."""
    (values, tensors), (other_values, other_tensors) = one.state(), other.state()
    same_tensors = tensors.keys() == other_tensors.keys() and all(
        torch.equal(tensor, other_tensors[name]) for name, tensor in tensors.items()
    )
    return one.kind == other.kind and same_tensors and json.dumps(values) == json.dumps(other_values)


def _check_post_processor(name: str, post_processor: PostProcessor, scores: ScoreSet) -> None:
    require(
        post_processor.classes == scores.classes, f"agent '{name}': its post-processor has other classes than the task"
    )
    with tempfile.TemporaryDirectory() as folder:
        post_processor.save(folder)
        loaded = PostProcessor.load(folder)
        events = post_processor.apply(scores)
        require(isinstance(events, Events), f"agent '{name}': apply gives no events")
        require(
            loaded.apply(scores).to_rows() == events.to_rows(),
            f"agent '{name}': the saved post-processor gives other events",
        )
    from dataclasses import replace

    blind = replace(scores, references=None)
    require(
        post_processor.apply(blind).to_rows() == events.to_rows(), f"agent '{name}': the policy looks at the references"
    )
    half = scores.select(list(range(max(1, scores.n_clips // 2))))
    kept = {row for row in events.to_rows() if row[0] in half.clip_ids}
    require(
        set(post_processor.apply(half).to_rows()) == kept,
        f"agent '{name}': what a clip gets depends on the other clips",
    )
