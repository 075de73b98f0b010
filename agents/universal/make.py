"""Making the post-processor that comes with the package: from several detectors, real, changed and simulated."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, Field, model_validator

from rl_postproc.candidates.events import decode_candidates
from rl_postproc.candidates.features import FeatureGrid, event_features, feature_names
from rl_postproc.config import DataConfig
from rl_postproc.data.scores import ScoreSet
from rl_postproc.pipeline.postprocessor import PostProcessor
from rl_postproc.pipeline.stack import Stack
from rl_postproc.simulation.config import SimulationConfig
from rl_postproc.simulation.data_set import simulate
from rl_postproc.task import TuningTask
from rl_postproc.utils.errors import UserError, unwarned

from ..base import ProgressCallback, silent
from ..events.lightgbm_trees import boosting_parameters, require_lightgbm, trees_of
from .augment import pseudo_detector
from .familiarity import Description, Familiarity
from .operating_point import OperatingPoint
from .policy import BOUNDS, LIKELY, UniversalPolicy, lasting_features, names_digest

GRID = FeatureGrid(step=0.064)
"""Where features are sampled, whatever the frame length of the scores."""


class RealSource(BaseModel, extra="forbid", frozen=True):
    """A real detector's scores with references, and how many pseudo-detectors are made of it."""

    data: DataConfig = Field(description="scores and references; a relative root starts from the recipe's folder")
    copies: int = Field(default=24, ge=0, description="pseudo-detectors made of it")
    clips: int = Field(default=200, ge=1, description="clips of each, drawn from all")


class SimulatedSources(BaseModel, extra="forbid", frozen=True):
    """Simulated detectors, each of its own flaws; every one is used as it is and as a pseudo-detector."""

    detectors: int = Field(default=24, ge=0)
    clips: int = Field(default=100, ge=1, description="clips of each")


class Recipe(BaseModel, extra="forbid", frozen=True):
    """What the universal post-processor is made of."""

    real: list[RealSource] = Field(default_factory=list)
    simulated: SimulatedSources = SimulatedSources()
    events: int = Field(
        default=20_000, ge=1, description="decoded events of a pseudo-detector or simulated one, at most"
    )
    rounds: int = Field(default=200, ge=1, description="boosting rounds")
    leaves: int = Field(default=31, ge=2, description="of a tree")
    learning_rate: float = Field(default=0.05, gt=0)
    seed: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _names_detectors(self) -> Recipe:
        if not self.real and not self.simulated.detectors:
            raise ValueError("there is no detector to learn from; name scores under 'real', or ask for simulated ones")
        return self


@dataclass(frozen=True)
class TrainingSet:
    """The decoded events of one detector, real, changed or simulated.

    Attributes:
        features: float32 ``[event, feature]``.
        matches: whether each matches a reference, bool ``[event]``.
        track: clip and class of each, int64 ``[event]``.
    """

    features: torch.Tensor
    matches: torch.Tensor
    track: torch.Tensor

    @classmethod
    def of(cls, scores: ScoreSet, without: Collection[str] = (), most: int | None = None, seed: int = 0) -> TrainingSet:
        """Decodes a score set with references on the default stack.

        Args:
            scores: the score set.
            without: classes that are left out.
            most: number of events above which the clips and classes that chance puts last are left out.
            seed: of that chance.
        """
        with unwarned():  # simulated and changed detectors may be as odd as they like
            task = TuningTask.build(scores)
        events = decode_candidates(task.scores, task.stack, BOUNDS)
        prepared = task.metric.prepare(task.scores)
        assert prepared is not None
        matches = prepared.matches(events.track, events.first, events.last)
        kept = torch.tensor([name not in without for name in scores.classes])[events.track % scores.n_classes]
        if most is not None:
            order = torch.from_numpy(np.random.default_rng(seed).permutation(events.n_tracks))
            size = torch.bincount(events.track[kept], minlength=events.n_tracks)
            within = torch.zeros(events.n_tracks, dtype=torch.bool)
            within[order] = size[order].cumsum(0) <= most
            kept &= within[events.track]
        return cls(event_features(scores, events, GRID)[kept], matches[kept], events.track[kept])


def training_sets(
    recipe: Recipe, real: list[ScoreSet], without: Collection[str] = (), report: ProgressCallback = silent
) -> Iterator[TrainingSet]:
    """Yields the training sets of a recipe, one at a time.

    Args:
        recipe: how many of what.
        real: the score sets of its real sources, or those of their clips that may be learned from.
        without: classes of the real sources that are left out.
        report: takes progress.
    """
    total = sum(1 + source.copies for source in recipe.real) + 2 * recipe.simulated.detectors
    done = 0

    def one(scores: ScoreSet, left_out: Collection[str] = (), most: int | None = recipe.events) -> TrainingSet:
        nonlocal done
        found, done = TrainingSet.of(scores, left_out, most, done), done + 1
        report(done / max(1, total), {})
        return found

    for number, (source, scores) in enumerate(zip(recipe.real, real, strict=True)):
        yield one(scores, without, None)
        for copy in range(source.copies):
            seed = _seed(recipe, 1 + number, copy)
            rng = np.random.default_rng(seed)
            clips = np.sort(rng.permutation(scores.n_clips)[: source.clips])
            yield one(pseudo_detector(scores.select(torch.from_numpy(clips)), seed), without)
    for number in range(recipe.simulated.detectors):
        scores = simulate(simulated_detector(_seed(recipe, 0, number), recipe.simulated.clips))
        yield one(scores)
        yield one(pseudo_detector(scores, _seed(recipe, 0, number)))


def simulated_detector(seed: int, n_clips: int) -> SimulationConfig:
    """Draws the settings of a simulated detector."""
    rng = np.random.default_rng(seed)
    flaws = {
        name: float(rng.uniform(0.3, 2)) for name in ("drift", "false_alarms", "dropouts", "smear", "noise", "misses")
    }
    drawn = {
        "difficulty": float(rng.uniform(0.2, 1)),
        "hop": float(rng.choice([0.02, 0.04, 0.064, 0.064, 0.064, 0.16])),
    }
    return SimulationConfig.model_validate({"n_clips": n_clips, "n_classes": 10, "seed": seed, **drawn, **flaws})  # fmt: skip


def fit_universal(recipe: Recipe, sets: list[TrainingSet], clip_ids: Iterable[str] = ()) -> UniversalPolicy:
    """Fits the trees and learns what the sets look like; on one thread, so that equal sets give equal bytes.

    Args:
        recipe: how the trees are fitted.
        sets: what they learn from.
        clip_ids: names of the real clips among them.

    Raises:
        UserError: there are fewer than two sets with enough likely events, or LightGBM is not installed.
    """
    lightgbm = require_lightgbm()
    features = torch.cat([own.features for own in sets])
    matches = torch.cat([own.matches for own in sets])
    parameters = boosting_parameters(recipe.learning_rate, recipe.leaves, 100, recipe.seed)
    # The class is the last column of all trees; one class for all tells nothing, so no tree asks for it.
    rows = np.concatenate([features.numpy(), np.zeros((len(features), 1), np.float32)], 1)
    data = lightgbm.Dataset(rows, matches.numpy().astype(int), free_raw_data=True)
    trees = trees_of(lightgbm.train(parameters, data, recipe.rounds), 1)
    kept, described = lasting_features(GRID), []
    for own in sets:
        likely = trees.probabilities(own.features, torch.zeros(len(own.features), dtype=torch.int64)) >= LIKELY
        description = Description(len(kept))
        description.add(own.features[likely][:, kept], own.track[likely])
        if description.tells:
            described.append(description)
    if len(described) < 2:
        raise UserError(
            "The recipe gives fewer than two detectors with enough likely events; use more clips or detectors."
        )
    return UniversalPolicy(trees, GRID, OperatingPoint(), Familiarity.of(described), None, names_digest(clip_ids))


def post_processor(policy: UniversalPolicy, recipe: Recipe, n_events: int) -> PostProcessor:
    """Wraps the policy into what is saved: for any classes and any frame length."""
    about: dict[str, Any] = {
        "made_of": recipe.model_dump(mode="json"),
        "n_events": n_events,
        "features": len(feature_names(GRID)),
    }
    return PostProcessor(Stack.default(), None, policy, None, about)


def _seed(recipe: Recipe, source: int, number: int) -> int:
    return int(np.random.SeedSequence([recipe.seed, source, number]).generate_state(1)[0]) % 4_000_000
