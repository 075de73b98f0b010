"""A policy that gives events with confidences, for metrics of all operating points: propose, judge, suppress, rank.

Selecting and ranking are different jobs. Of events that overlap, the one that is most likely right stays; how sure it is
said to be also weighs what it would cost if it were wrong, and whether its class is in the clip at all.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, Any

import torch
from pydantic import Field

from rl_postproc.candidates.events import DecodedEvents, decode_candidates
from rl_postproc.candidates.features import FeatureGrid, event_features, feature_names
from rl_postproc.candidates.pool import PoolBounds, tell_left_out
from rl_postproc.candidates.suppression import best_apart
from rl_postproc.data.events import Events
from rl_postproc.data.scores import ScoreSet
from rl_postproc.pipeline.policy import ChoosesEvents
from rl_postproc.pipeline.saved import MadeFor, Saved, Shapes, prefixed, with_prefix
from rl_postproc.pipeline.stack import Stack

from .agreement import Proposed, agreed
from .clip_model import ClipModel, SavedClipModel
from .policy import SavedBounds, clips_at_a_time
from .rank_scale import RankScale
from .value_functions import EventValueFunction, check_values, restore_values

_LEAST_COST = 0.1
"""What an event costs at least, added to the probability that it is a false alarm."""
_CLIP_POWER = 0.5
"""Power of P(class is in the clip) by which rankings are multiplied."""


def proposers(stack: Stack) -> list[Stack]:
    """Returns the parts of a stack that propose events together: its branches, those of the same stages as one."""
    groups: dict[tuple[str, ...], list[Stack]] = {}
    for branch in stack.branches:
        groups.setdefault(tuple(stage.stage for stage in branch.stages), []).append(branch)
    return [_together(own) for own in groups.values()]


def _together(branches: list[Stack]) -> Stack:
    if len(branches) == 1:
        return branches[0]
    stacks = {str(i): branch.to_config() for i, branch in enumerate(branches)}
    return Stack.from_config([{"stage": "one_of", "stacks": stacks}])


@dataclass(frozen=True)
class Judge:
    """What judges the events of a proposer.

    Attributes:
        bounds: of the events.
        right: gives ``2·P(right)``.
        wrong: gives ``2·P(false alarm)``.
    """

    bounds: PoolBounds
    right: EventValueFunction
    wrong: EventValueFunction


class SavedJudge(Saved):
    """The bounds of the events, and the two value functions."""

    bounds: SavedBounds
    right: dict[str, Any]
    wrong: dict[str, Any]

    def tensors(self, made: MadeFor) -> Shapes | None:
        """See `Saved.tensors`."""
        right, wrong = check_values(self.right, made), check_values(self.wrong, made)
        return None if right is None or wrong is None else prefixed("right.", right) | prefixed("wrong.", wrong)


class SavedEventRanking(Saved):
    """Where features are sampled, their names, by which other versions know theirs, and all that judges."""

    step: Annotated[float, Field(ge=1e-6, le=1e6)]
    reach: Annotated[int, Field(ge=0, le=1000)]
    features: list[str]
    silent: list[bool]
    whole_clips: list[bool]
    judges: list[SavedJudge | None]
    clip: SavedClipModel

    def tensors(self, made: MadeFor) -> Shapes | None:
        """See `Saved.tensors`."""
        names = feature_names(FeatureGrid(self.step, self.reach))
        made.equal(features=(self.features, names), judges=(len(self.judges), len(proposers(made.stack))))
        made.per_class("silent", self.silent)
        made.per_class("whole_clips", self.whole_clips)
        if not all(self.whole_clips) and not any(self.judges):
            raise ValueError("nothing judges the events of the classes that do not take whole clips")
        found = prefixed("clip.", self.clip.tensors(made)) | prefixed("scale.", RankScale.shapes(made))
        for i, judge in enumerate(self.judges):
            own = {} if judge is None else judge.tensors(made.with_features(len(names)))
            if own is None:
                return None
            found |= prefixed(f"{i}.", own)
        return found


class EventRankingPolicy(ChoosesEvents):
    """Events that do not overlap, with confidences; some classes have an event over each whole clip instead."""

    kind = "event_ranking"
    saved = SavedEventRanking

    def __init__(
        self,
        grid: FeatureGrid,
        judges: list[Judge | None],
        clip: ClipModel,
        whole: torch.Tensor,
        silent: torch.Tensor,
        scale: RankScale,
    ):
        """Takes all parts.

        Args:
            grid: where features are sampled.
            judges: one for each of `proposers`; None where it proposes nothing.
            clip: gives P(class is in the clip).
            whole: classes with an event over each whole clip, bool ``[class]``.
            silent: classes that get no events, bool ``[class]``.
            scale: turns rankings into confidences.
        """
        self.grid, self.judges, self.clip, self.whole, self.silent = grid, judges, clip, whole, silent
        self.scale = scale

    def gives_confidence(self, stack: Stack) -> bool:
        """See `Policy.gives_confidence`."""
        return True

    def apply(self, scores: ScoreSet, stack: Stack) -> Events:
        """Returns the events, a bounded number of frames at a time."""
        scores, parts, columns = scores.to("cpu"), proposers(stack), []
        for clips in clips_at_a_time(scores):
            part = scores.select(clips)
            in_clip = self.clip.probabilities(part).reshape(part.n_clips, -1)
            found = self._judged(part, parts)
            ways = [] if found is None else [(found, ranking(found, in_clip), ~self.whole)]
            clips_whole = whole_clips(part, in_clip)
            ways.append((clips_whole, clips_whole.right, self.whole))
            for own, sure, classes in ways:
                kept = (classes & ~self.silent)[own.label]
                confidence = self.scale.confidence(own.label[kept], sure[kept])
                columns.append((own.clip[kept] + int(clips[0]), own.label[kept], own.onset[kept], own.offset[kept],
                                confidence))  # fmt: skip
        return together(columns, scores)

    def _judged(self, part: ScoreSet, stacks: list[Stack]) -> Proposed | None:
        """Returns what all proposers propose together; None where no class takes it."""
        own = ~self.whole & ~self.silent
        if not bool(own.any()):
            return None
        found = [self._ranked(part, stack, i, own) for i, stack in enumerate(stacks) if self.judges[i] is not None]
        return agreed(found, part.n_classes)

    def _ranked(self, part: ScoreSet, stack: Stack, number: int, own: torch.Tensor) -> Proposed:
        judge = self.judges[number]
        assert judge is not None
        # Features of an event look at its own class alone.
        kept = own.nonzero()[:, 0]
        few = part.of_classes([part.classes[k] for k in kept.tolist()])
        events = decode_bounded(few, stack, judge.bounds)
        label = kept[events.track % len(kept)]
        features = event_features(few, events, self.grid)
        right, wrong = (v.values(events, features, label) / 2 for v in (judge.right, judge.wrong))
        return proposed(events, few, right, wrong, label)

    def state(self) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
        """Returns rules, and what judges."""
        clip, own = self.clip.state()
        tensors = {f"clip.{name}": tensor for name, tensor in own.items()}
        tensors |= {f"scale.{name}": tensor for name, tensor in self.scale.state().items()}
        judges: list[dict[str, Any] | None] = []
        for i, judge in enumerate(self.judges):
            if judge is None:
                judges.append(None)
                continue
            values: dict[str, Any] = {"bounds": asdict(judge.bounds)}
            for name, function in (("right", judge.right), ("wrong", judge.wrong)):
                saved, own = function.state()
                values[name] = {"kind": function.kind, **saved}
                tensors |= {f"{i}.{name}.{key}": tensor for key, tensor in own.items()}
            judges.append(values)
        return {
            "step": self.grid.step,
            "reach": self.grid.reach,
            "features": feature_names(self.grid),
            "silent": self.silent.tolist(),
            "whole_clips": self.whole.tolist(),
            "judges": judges,
            "clip": clip,
        }, tensors

    @classmethod
    def from_state(cls, values: dict[str, Any], tensors: dict[str, torch.Tensor]) -> EventRankingPolicy:
        """Restores the policy."""
        judges: list[Judge | None] = []
        for i, judge in enumerate(values["judges"]):
            if judge is None:
                judges.append(None)
                continue
            right, wrong = (restore_values(judge[n], with_prefix(tensors, f"{i}.{n}.")) for n in ("right", "wrong"))
            judges.append(Judge(PoolBounds(**judge["bounds"]), right, wrong))
        grid, clip = FeatureGrid(values["step"], values["reach"]), ClipModel.from_state(with_prefix(tensors, "clip."))
        scale = RankScale(**with_prefix(tensors, "scale."))
        scale.check()
        whole, quiet = torch.tensor(values["whole_clips"]), torch.tensor(values["silent"])
        return cls(grid, judges, clip, whole, quiet, scale)


def proposed(
    events: DecodedEvents, scores: ScoreSet, right: torch.Tensor, wrong: torch.Tensor, label: torch.Tensor
) -> Proposed:
    """Returns the events that do not overlap, those that are most likely right first."""
    chosen = best_apart(events, right)
    timed = events.timed(chosen, scores.frames)
    return Proposed(
        timed.track // scores.n_classes, label[chosen], timed.onset, timed.offset, right[chosen], wrong[chosen]
    )


def ranking(found: Proposed, in_clip: torch.Tensor) -> torch.Tensor:
    """Returns what events rank by, in [0, 1]: what is expected to be right over what it is expected to cost, and the clip.

    Args:
        found: the events.
        in_clip: P(class is in the clip), ``[clip, class]``.
    """
    worth = found.right * _LEAST_COST / (found.wrong + _LEAST_COST)
    return (worth * in_clip[found.clip, found.label] ** _CLIP_POWER).clamp(0, 1)


def whole_clips(scores: ScoreSet, in_clip: torch.Tensor) -> Proposed:
    """Returns an event over each whole clip for each class, from P(class is in the clip) ``[clip, class]``."""
    clip, label = torch.ones_like(in_clip, dtype=torch.bool).nonzero().unbind(1)
    offset = scores.durations[clip].round(decimals=6)
    return Proposed(clip, label, torch.zeros_like(offset), offset, in_clip.flatten(), 1 - in_clip.flatten())


def together(columns: list[tuple[torch.Tensor, ...]], scores: ScoreSet) -> Events:
    """Returns events of columns clip, class, onset, offset and confidence."""
    none = torch.zeros(0, dtype=torch.int64)
    whole = [
        torch.cat(c) for c in zip(*[(none, none, none.double(), none.double(), none.float()), *columns], strict=True)
    ]
    return Events.from_tensors(scores.clip_ids, scores.classes, *whole)


def decode_bounded(scores: ScoreSet, stack: Stack, bounds: PoolBounds) -> DecodedEvents:
    """Returns what the candidates of a stack decode within bounds.

    Warns:
        DataWarning: how many events are left out, where some clip and class has more than the bound of events a minute.
    """
    events = decode_candidates(scores, stack, bounds)
    size = torch.bincount(events.track, minlength=events.n_tracks)
    if events.left_out is not None and bool((size >= bounds.most_of_tracks(scores)).any()):
        lost = events.left_out
        tell_left_out(len(events), int(lost.events.sum()), lost.n_clips(scores.n_classes), scores, bounds)
    return events
