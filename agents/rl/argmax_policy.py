"""What the actors of PPO have learned, as a policy that takes the most probable candidate."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from rl_postproc.pipeline.policy import Policy
from rl_postproc.task import TuningTask

from ..actor import Actor
from ..events.actor import EventActor
from ..events.policy import EventAdditive, EventPolicy, best_candidates
from ..events.value_functions import EventValueFunction, NetworkValues
from .learned_events import LearnedEventActor, LearnedEvents
from .track_policy import TrackActor, TrackPolicy


def argmax_policy(actors: Sequence[Actor], base: EventValueFunction | None, task: TuningTask) -> Policy:
    """Returns the argmax policy of copies of what actors of one kind have learned, their event values averaged.

    Args:
        actors: members trained from different seeds; of tracks one.
        base: the values that actors on event features add theirs to, None for none.
        task: what they were trained on, or clips of the same frame length and bounds.
    """
    if isinstance(actors[0], TrackActor):
        return TrackPolicy.of_actor(actors[0], task.scores.hop)
    learned = [actor for actor in actors if isinstance(actor, LearnedEventActor)]
    if learned:
        return LearnedEvents.of_actors(learned, task)
    networks = [n for a in actors if isinstance(a, EventActor) for n in a.value_function(None).networks]
    return EventAdditive(NetworkValues(networks, base=base), task.grid, task.bounds)


def chosen_candidates(policy: Policy, on: TuningTask, base: torch.Tensor | None = None) -> torch.Tensor:
    """Returns the candidates that such a policy chooses on a task, int64 ``[clip, class]``.

    Args:
        policy: of `argmax_policy`.
        on: the task, with its decoded events and their features at hand.
        base: values to add to those of the policy, ``[event]``.
    """
    if isinstance(policy, EventPolicy):
        values = policy.values_on(on) if base is None else policy.values_on(on) + base
        return best_candidates(on.decoded, values).reshape(on.scores.n_clips, on.scores.n_classes)
    assert isinstance(policy, TrackPolicy)
    return on.stack.space.candidate(policy.indices(on.scores))
