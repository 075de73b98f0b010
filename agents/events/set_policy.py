"""A policy that chooses events instead of parameters: propose, judge, select.

The candidates of the stack propose, an event policy judges, and weighted interval scheduling selects the events of
highest total value among those of all candidates that share no frame (`rl_postproc.candidates.scheduling`).
"""

from __future__ import annotations

from typing import Any

import torch

from rl_postproc.candidates.scheduling import best_sets
from rl_postproc.data.events import Events
from rl_postproc.data.scores import ScoreSet
from rl_postproc.pipeline.policy import ChoosesEvents, check_inner_policy, restore_policy
from rl_postproc.pipeline.saved import MadeFor, Price, Saved, Shapes
from rl_postproc.pipeline.stack import Stack
from rl_postproc.utils.tensors import decimals

from .policy import EventPolicy


class SavedEventSet(Saved):
    """What judges, the classes that stay silent, and λ of each."""

    silent: list[bool]
    lam: list[Price] | None
    judge: dict[str, Any]

    def tensors(self, made: MadeFor) -> Shapes | None:
        """See `Saved.tensors`."""
        made.per_class("silent", self.silent)
        made.per_class("lam", self.lam)
        return check_inner_policy(self.judge, made)


class EventSetPolicy(ChoosesEvents):
    """The set of events with the highest sum of values, of all that the candidates decode.

    λ of each class is its one parameter: a higher one lets fewer events pass. Where values are ``2·p − λ``, an event's
    confidence is p; elsewhere it is 1.
    """

    kind = "event_set"
    saved = SavedEventSet

    def __init__(self, judge: EventPolicy, silent: torch.Tensor, lam: torch.Tensor | None = None):
        """Takes what gives events their values, the classes that stay silent, bool ``[class]``, and λ ``[class]``."""
        self.judge, self.silent, self.lam = judge, silent, lam

    def gives_confidence(self, stack: Stack) -> bool:
        """See `Policy.gives_confidence`: where λ is known so is an event's probability to be right."""
        return self.lam is not None

    def apply(self, scores: ScoreSet, stack: Stack) -> Events:
        """Returns the chosen events, a bounded number of frames at a time."""
        columns, n_clips = [], 0
        for part, events in self.judge.decoded(scores.to("cpu"), stack):
            values, label = self.judge.event_values(part, events), events.track % scores.n_classes
            chosen = best_sets(events, values.masked_fill(self.silent[label], -1.0))
            found = events.timed(chosen, part.frames)
            if self.lam is not None:
                found = found.with_confidence(((values + self.lam[label]) / 2).clamp(0, 1)[chosen])
            own = found.to_events(part.clip_ids, scores.classes)
            columns.append((own.clip + n_clips, own.label, own.onset, own.offset, own.confidence))
            n_clips += part.n_clips
        return Events.from_tensors(scores.clip_ids, scores.classes, *(torch.cat(c) for c in zip(*columns, strict=True)))

    def state(self) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
        """Returns what judges, and λ."""
        values, tensors = self.judge.state()
        lam = None if self.lam is None else decimals(self.lam)
        return {"silent": self.silent.tolist(), "lam": lam, "judge": {"kind": self.judge.kind, **values}}, tensors

    @classmethod
    def from_state(cls, values: dict[str, Any], tensors: dict[str, torch.Tensor]) -> EventSetPolicy:
        """Restores the policy."""
        inner = dict(values["judge"])
        judge = restore_policy(inner.pop("kind"), inner, tensors)
        if not isinstance(judge, EventPolicy):
            raise ValueError(f"the policy '{judge.kind}' does not judge events")
        lam = None if values["lam"] is None else torch.tensor(values["lam"])
        return cls(judge, torch.tensor(values["silent"]), lam)
