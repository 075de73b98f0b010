"""The agent of confidences: events that rank by learned probabilities, for PSDS, which looks at every operating point.

P(right) of an event, that it is relevant and finds a reference by itself under the tolerances of a PSDS scenario, P(false
alarm), and P(class is in the clip) are learned on inner folds; what several proposers (boxes, runs above thresholds) say is
averaged. By inner held-out predictions each class then chooses between those events and one over each whole clip. More to
choose from (proposers, powers, costs) reached more on inner folds and less on held-out clips.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import torch
from pydantic import Field

from rl_postproc.candidates.events import DecodedEvents
from rl_postproc.candidates.features import event_features
from rl_postproc.candidates.pool import PoolBounds
from rl_postproc.data.folds import fold_of_clips
from rl_postproc.data.scores import ScoreSet
from rl_postproc.metrics.intersection.psds import SCENARIOS, class_areas, psds
from rl_postproc.metrics.intersection.ranked_counts import Criteria, Stretches, count_ranked, right_alone
from rl_postproc.pipeline.postprocessor import PostProcessor
from rl_postproc.pipeline.stack import Stack
from rl_postproc.task import TuningTask
from rl_postproc.utils.errors import UserError

from ..base import FitResult, ProgressCallback, share
from ..parts import Parts
from .agreement import Proposed, agreed
from .clip_model import fit_clip_model
from .held_out import fit_held_out
from .rank_scale import RankScale
from .ranking_policy import (
    EventRankingPolicy,
    Judge,
    decode_bounded,
    proposed,
    proposers,
    ranking,
    together,
    whole_clips,
)
from .value_models import LabelledEvents, ModelSettings

_CLEARLY = 0.02
"""By how much the area under a class's ROC must be larger with whole clips for them to be taken."""


class EventRanking(ModelSettings):
    """Events with learned confidences for PSDS: boxes and runs, or whole clips, by what they may be worth."""

    agent: Literal["event_ranking"] = "event_ranking"
    inner_folds: int = Field(default=8, ge=2, description="parts of the clips, each judged by models of the others")
    scenario: Literal[1, 2] = Field(
        default=1, description="of PSDS: 1 wants onsets and offsets, 2 wants classes told apart"
    )
    least_share: float = Field(
        default=0.005,
        ge=0,
        lt=1,
        description="share of a stack's candidates that must decode an event for it to be judged",
    )

    def check(self, task: TuningTask) -> None:
        """Needs a stack whose events begin and end with frames, and two clips."""
        if not task.stack.on_frames:
            raise UserError("Event policies judge runs of frames, but the stack places events between them; leave out stages "
                            "that move boundaries, such as 'padding', or use an agent with constant parameters.")  # fmt: skip
        if task.scores.n_clips < 2:
            raise UserError("The agent 'event_ranking' needs at least two clips for its inner held-out predictions.")

    def fit_parts(self, task: TuningTask, seed: int, report: ProgressCallback, parts: Parts) -> FitResult:
        """Learns on inner folds, and chooses between events and whole clips for each class on the inner held-out clips."""
        task = task.to("cpu")
        self.check(task)
        scores = task.scores
        fold = fold_of_clips(scores.clip_ids, min(self.inner_folds, scores.n_clips))
        stacks = proposers(task.stack)
        step = 1 / (2 * len(stacks) + 1)
        present = _right(
            whole_clips(scores, torch.zeros(scores.n_clips, scores.n_classes)), scores, SCENARIOS[2].criteria
        )[0]
        clip_model, in_clip = fit_clip_model(
            scores, present, fold, self, seed, share(report, 0, step), parts.below("clip")
        )
        in_clip = in_clip.reshape(scores.n_clips, -1)
        judges: list[Judge | None] = []
        found: list[Proposed] = []
        for i, stack in enumerate(stacks):
            own = share(report, (2 * i + 1) * step, (2 * i + 3) * step)
            judge, held_out = self._learn(task, stack, fold, seed, own, parts.below(f"stack_{i}"))
            judges.append(judge)
            if held_out is not None:
                found.append(held_out)
        whole, scale, reached = _choose(found, in_clip, scores, self.scenario)
        if bool(whole.all()):
            judges = [None] * len(judges)
        silent = scores.require_references().counts().sum(0) == 0
        policy = EventRankingPolicy(task.grid, judges, clip_model, whole, silent, scale)
        figures = {f"inner_psds{self.scenario}": reached}
        report(1.0, figures)
        processor = PostProcessor(task.stack, scores.classes, policy, scores.hop)
        return FitResult(processor, task.stack.space.n_candidates * scores.n_clips, [figures])

    def _learn(
        self, task: TuningTask, stack: Stack, fold: torch.Tensor, seed: int, report: ProgressCallback, parts: Parts
    ) -> tuple[Judge | None, Proposed | None]:
        """Learns to judge what a stack proposes, and returns what is proposed on held-out clips; None for no events."""
        scores = task.scores
        votes = max(1, math.ceil(self.least_share * stack.space.n_candidates))
        bounds = PoolBounds(votes, self.most_per_minute)
        events = decode_bounded(scores, stack, bounds)
        fold_of_event = fold[events.track // scores.n_classes]
        if len(torch.unique(fold_of_event)) < 2:
            return None, None
        features, label = event_features(scores, events, task.grid), events.track % scores.n_classes
        right, wrong = _right(_timed(events, scores), scores, SCENARIOS[self.scenario].criteria)
        learned = []
        for k, (name, target) in enumerate((("right", right), ("wrong", wrong))):
            rows = LabelledEvents(features, label, target, scores.n_classes)
            own = share(report, k / 2, (k + 1) / 2)
            learned.append(fit_held_out(rows, fold_of_event, int(fold.max()) + 1, self, seed, own, parts.below(name)))
        free = torch.zeros(scores.n_classes)
        judge = Judge(bounds, learned[0].value_function(free), learned[1].value_function(free))
        return judge, proposed(events, scores, learned[0].probabilities, learned[1].probabilities, label)


def _timed(events: DecodedEvents, scores: ScoreSet) -> Proposed:
    timed, none = events.timed(torch.ones_like(events.track, dtype=torch.bool), scores.frames), torch.zeros(len(events))
    track = timed.track
    return Proposed(track // scores.n_classes, track % scores.n_classes, timed.onset, timed.offset, none, none)


def _right(found: Proposed, scores: ScoreSet, criteria: Criteria) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns which events are relevant and find a reference alone, and which are not relevant, bool ``[event]`` each."""
    stretches = Stretches(
        found.clip, found.label, found.onset, found.offset, -torch.ones_like(found.right), found.right
    )
    relevant, finds = right_alone(scores.require_references(), stretches, criteria)
    return finds, ~relevant


def _choose(
    found: list[Proposed], in_clip: torch.Tensor, scores: ScoreSet, number: int
) -> tuple[torch.Tensor, RankScale, float]:
    """Returns which classes have the larger area under their ROC by whole clips, their scale, and the PSDS of all together.

    Args:
        found: what each proposer proposes on held-out clips.
        in_clip: P(class is in the clip), ``[clip, class]``.
        scores: the clips.
        number: of the scenario.
    """
    scenario, references = SCENARIOS[number], scores.require_references()
    ways = [agreed(found, scores.n_classes)] if found else []
    ways.append(whole_clips(scores, in_clip))
    rankings = [ranking(own, in_clip) for own in ways[:-1]] + [ways[-1].right]
    columns = [(own.clip, own.label, own.onset, own.offset, sure) for own, sure in zip(ways, rankings, strict=True)]
    areas = []
    for own in columns:
        stretches = Stretches.of_events(together([own], scores))
        areas.append(class_areas(count_ranked(references, stretches, scores.durations, scenario.criteria), scenario))
    areas[-1] = areas[-1] - _CLEARLY
    best = torch.from_numpy(np.array(areas).argmax(0))
    kept = [tuple(column[(best == i)[own[1]]] for column in own) for i, own in enumerate(columns)]
    chosen = together(kept, scores)
    scale = RankScale.of(chosen.label, chosen.confidence, scores.n_classes, float(scores.durations.sum()) / 60)
    counts = count_ranked(references, Stretches.of_events(chosen), scores.durations, scenario.criteria)
    return best == len(ways) - 1, scale, psds(counts, scenario)
