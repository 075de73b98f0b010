"""The policy that comes trained: it chooses events on the scores of any detector, for any classes, without a reference."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Annotated, Any

import torch
from pydantic import Field

from rl_postproc.candidates.events import DecodedEvents
from rl_postproc.candidates.features import FeatureGrid, feature_names, features_in_parts
from rl_postproc.candidates.pool import PoolBounds
from rl_postproc.candidates.scheduling import best_sets
from rl_postproc.data.events import Events
from rl_postproc.data.scores import ScoreSet
from rl_postproc.formats.clip_names import without_audio_suffix
from rl_postproc.pipeline.policy import ChoosesEvents
from rl_postproc.pipeline.saved import MadeFor, Saved, Shapes, prefixed, with_prefix
from rl_postproc.pipeline.stack import Stack
from rl_postproc.utils.errors import UserError, warn

from ..events.policy import decoded_tracks
from ..events.trees import Trees
from .familiarity import Description, Familiarity
from .operating_point import LEAST, OperatingPoint, Wish

BOUNDS = PoolBounds()
"""Of the decoded events that are judged."""

LIKELY = 0.125
"""Probability from which on an event tells what a set of scores looks like."""

_OF_PLACE = ("start", "to_end", "clip_length", "length", "log_length", "track_events")
"""Features that depend on how long clips are, which makes no set of scores strange."""


@dataclass(frozen=True)
class JudgedEvents:
    """The events of all clips that may be chosen.

    Attributes:
        events: without their memberships of candidates.
        probability: of each to match a reference, ``[event]``.
        description: what the likely ones look like.
    """

    events: DecodedEvents
    probability: torch.Tensor
    description: Description


class SavedUniversal(Saved):
    """Where features are sampled, their names, the operating point and the wish."""

    step: Annotated[float, Field(ge=1e-6, le=1e6)]
    reach: Annotated[int, Field(ge=0, le=1000)]
    features: list[str]
    point: OperatingPoint
    wish: Wish

    def tensors(self, made: MadeFor) -> Shapes:
        """See `Saved.tensors`."""
        if self.features != feature_names(FeatureGrid(self.step, self.reach)):
            raise ValueError("it judges events by features of another version")
        own: Shapes = {"clips": (torch.int64, ("clip",))}
        return own | prefixed("trees.", Trees.shapes(1)) | prefixed("familiarity.", Familiarity.shapes())


class UniversalPolicy(ChoosesEvents):
    """Judges events by trees that know no class and no detector, and finds its operating point on the scores themselves.

    Scores that look unlike all it was trained on get the defaults of the stack, which it says.
    """

    kind = "universal"
    saved = SavedUniversal

    def __init__(
        self,
        trees: Trees,
        grid: FeatureGrid,
        point: OperatingPoint,
        familiarity: Familiarity,
        wish: Wish | None = None,
        clips: torch.Tensor | None = None,
    ):
        """Takes what judges.

        Args:
            trees: for P(match).
            grid: where features are sampled.
            point: what gives λ.
            familiarity: what the training sets looked like.
            wish: what the chosen events shall have; the highest F1 when None.
            clips: `names_digest` of the clips with references that it has learned from.
        """
        self.trees, self.grid, self.point, self.familiarity = trees, grid, point, familiarity
        self.wish = wish or Wish()
        self.clips = names_digest(()) if clips is None else clips

    def gives_confidence(self, stack: Stack) -> bool:
        """See `Policy.gives_confidence`: an event's probability to be right."""
        return True

    def knows(self, clip_ids: Sequence[str]) -> bool:
        """Returns whether it has learned from references of clips of these names."""
        return bool(torch.isin(names_digest(clip_ids), self.clips).any())

    def probabilities(self, features: torch.Tensor) -> torch.Tensor:
        """Returns P(match) of events, float32 ``[event]``, from features ``[event, feature]``."""
        return self.trees.probabilities(features, torch.zeros(len(features), dtype=torch.int64))

    def apply(self, scores: ScoreSet, stack: Stack) -> Events:
        """Returns the chosen events, or those of the defaults where the scores look like nothing it knows.

        Raises:
            UserError: the clips have one frame each.
        """
        if scores.width == 1:
            raise UserError("The trained post-processor judges when events begin and end, but these clips have one frame "
                            "each; give frame-level scores.")  # fmt: skip
        scores = scores.to("cpu")
        judged = self.judge(scores, stack)
        if judged.description.tells:
            distance = self.familiarity.distance(judged.description)
            if distance > 1:
                warn("These scores look unlike any that the trained post-processor has learned from (distance "
                     f"{distance:.1f}, familiar up to 1), so they get the defaults of its stack, threshold 0.5; tune on "
                     "references of your own, or check that the scores are probabilities.")  # fmt: skip
                return stack.events(scores, stack.space.defaults)
        hours = float(scores.durations.sum()) / 3600
        lam = self.point.lam(judged.events, judged.probability, scores.n_classes, hours, self.wish)
        chosen = best_sets(judged.events, 2 * judged.probability - lam[judged.events.track % scores.n_classes])
        self._tell_unmet(judged.probability[chosen])
        found = judged.events.timed(chosen, scores.frames).with_confidence(judged.probability[chosen])
        return found.to_events(scores.clip_ids, scores.classes)

    def _tell_unmet(self, probability: torch.Tensor) -> None:
        """Warns where the chosen events, of these probabilities, are not expected to have what was wished for."""
        wanted = self.wish.value or 0.0
        if self.wish.of == "precision" and not len(probability):
            warn(f"No event of these scores is expected to be right as often as a precision of {wanted:g} asks, so there are "
                 "none; ask for less.")  # fmt: skip
        if self.wish.of == "recall" and wanted > self.point.recalled:
            warn(f"A recall of {wanted:g} is beyond what the scores hold, about {self.point.recalled:g} by experience; all "
                 "events that may be right are given.")  # fmt: skip

    def judge(self, scores: ScoreSet, stack: Stack) -> JudgedEvents:
        """Returns the events that may be chosen, found a bounded number of frames at a time."""
        kept = lasting_features(self.grid)
        description, columns, n_filters, n_levels = Description(len(kept)), [], 0, 0
        for part, events, tracks in decoded_tracks(scores, stack, BOUNDS):
            probability, looks = torch.empty(len(events)), []
            for some, features in features_in_parts(part, events, self.grid):
                probability[some] = self.probabilities(features)
                looks.append(features[probability[some] >= LIKELY][:, kept])
            likely = probability >= LIKELY
            if bool(likely.any()):
                description.add(torch.cat(looks), events.track[likely])
            able = probability >= LEAST
            columns.append((tracks[events.track[able]], events.first[able], events.last[able], probability[able]))
            n_filters, n_levels = events.n_filters, events.n_levels
            del part, events  # before the next ones are made
        track, first, last, probability = (torch.cat(column) for column in zip(*columns, strict=True))
        none = torch.zeros(0, dtype=torch.int64)
        events = DecodedEvents(track, first, last, none, none, none, none, scores.n_clips * scores.n_classes,
                               n_filters, n_levels)  # fmt: skip
        return JudgedEvents(events, probability, description)

    def state(self) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
        """Returns the operating point and the features' names, the trees and the training sets' looks."""
        looks = {f"familiarity.{own.name}": getattr(self.familiarity, own.name) for own in fields(Familiarity)}
        values = {
            "step": self.grid.step,
            "reach": self.grid.reach,
            "features": feature_names(self.grid),
            "point": self.point.model_dump(),
            "wish": self.wish.model_dump(),
        }
        looks["clips"] = self.clips
        return values, {f"trees.{name}": tensor for name, tensor in self.trees.to_tensors().items()} | looks

    @classmethod
    def from_state(cls, values: dict[str, Any], tensors: dict[str, torch.Tensor]) -> UniversalPolicy:
        """Restores the policy.

        Raises:
            ValueError: the arrays make no trees.
        """
        grid = FeatureGrid(values["step"], values["reach"])
        trees = Trees.from_tensors(with_prefix(tensors, "trees."))
        trees.check(len(feature_names(grid)))
        looks, point = Familiarity(**with_prefix(tensors, "familiarity.")), OperatingPoint(**values["point"])
        return cls(trees, grid, point, looks, Wish(**values["wish"]), tensors["clips"])


def names_digest(clip_ids: Iterable[str]) -> torch.Tensor:
    """Returns a number for each different name of a clip, its audio suffix left out, ascending, int64 ``[clip]``."""
    names = {without_audio_suffix(name) for name in clip_ids}
    numbers = [int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little", signed=True) for name in names]
    return torch.tensor(sorted(numbers), dtype=torch.int64)


def lasting_features(grid: FeatureGrid) -> list[int]:
    """Returns the columns of the features that do not depend on how long clips are."""
    return [i for i, name in enumerate(feature_names(grid)) if name not in _OF_PLACE]
