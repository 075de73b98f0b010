"""The agent that adapts the trained post-processor to labels, few or many."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from rl_postproc.data.folds import drawn_clips
from rl_postproc.pipeline.postprocessor import PostProcessor
from rl_postproc.pipeline.stack import Stack
from rl_postproc.task import TuningTask
from rl_postproc.task_memory import Holds
from rl_postproc.utils.errors import UserError, warn

from ..base import Agent, FitResult, ProgressCallback, require_clips, share
from ..events.checks import check_events
from ..parts import Parts, ResumableAgent
from .adapt import Adapting, adapted
from .class_groups import ClassGroups
from .policy import UniversalPolicy
from .start import MadeAnew, class_groups, loaded_start, made_anew


class Universal(Adapting, ResumableAgent):
    """The post-processor that comes trained, adapted to references: its calibration, λ, and where labels are many its values.

    Everything shrinks towards the trained one, the less there are labels the more. With ``labelled_clips: 0`` no reference
    is looked at: λ is the one that the scores of the clips lead one to expect.
    """

    needs_labels: ClassVar[bool] = False
    holds: ClassVar[Holds] = "events"

    agent: Literal["universal"] = "universal"
    start: str | MadeAnew = Field(
        default="universal",
        description="trained post-processor that is adapted: a name, a folder, or a recipe by which it is made anew",
    )
    labelled_clips: int | None = Field(
        default=None, ge=0, description="clips, drawn by the seed, of which references are used; all by default"
    )

    @model_validator(mode="after")
    def _known_start(self) -> Universal:
        if isinstance(self.start, str) and not self.start:
            raise ValueError("'start' is empty; leave it out, or name a post-processor")
        return self

    def check(self, task: TuningTask) -> None:
        """Needs events, and the stack that the trained post-processor has."""
        check_events(self, task)
        require_clips(self, self.labelled_clips or 0, task)
        if isinstance(self.start, str):
            loaded_start(self.start)
        if Stack.default().to_config() != task.stack.to_config():
            raise UserError("The trained post-processor has its stack already, median filter and threshold with default "
                            "candidates; leave out 'stack'.")  # fmt: skip

    def on_few(self, n_clips: int) -> Agent:
        """See `Agent.on_few`; what it starts from may know all clips, of other classes."""
        return self.model_copy(update={"labelled_clips": n_clips})

    def fit_parts(self, task: TuningTask, seed: int, report: ProgressCallback, parts: Parts) -> FitResult:
        """Calibrates, fits values of its own where there are enough clips, and moves λ towards what the labels say."""
        self.check(task)
        task = task.to("cpu")
        n_groups = 1 if isinstance(self.start, str) else self.start.class_groups
        groups = class_groups(task.scores.classes, n_groups)
        labelled = task
        if self.labelled_clips:
            labelled = task.select(drawn_clips(task.scores.clip_ids, self.labelled_clips, seed))
        policies, curve = [], []
        for i, group in enumerate(groups):
            tell = share(report, i / len(groups), (i + 1) / len(groups))
            own_parts = parts.below(f"group_{i}") if len(groups) > 1 else parts
            start = self.start_on(task, group if len(groups) > 1 else (), share(tell, 0, 0.5), own_parts)
            own = labelled if len(groups) == 1 else labelled.of_classes(group)
            found = adapted(start, own, self, self.labelled_clips != 0, seed, share(tell, 0.5, 1), own_parts)
            policies.append(found.policy())
            curve.append({"group": i + 1.0, **found.figures} if len(groups) > 1 else found.figures)
        policy = policies[0] if len(groups) == 1 else ClassGroups(groups, policies)
        processor = PostProcessor(task.stack, task.scores.classes, policy, task.scores.hop)
        evaluations = task.stack.space.n_candidates * labelled.scores.n_clips if self.labelled_clips != 0 else 0
        return FitResult(processor, evaluations, curve)

    def start_on(
        self, task: TuningTask, without: tuple[str, ...], report: ProgressCallback, parts: Parts
    ) -> UniversalPolicy:
        """Returns what is adapted, taking it up where it has been made anew already.

        Warns:
            DataWarning: it has learned from these clips.
        """
        if isinstance(self.start, str):
            found = loaded_start(self.start)
        elif (kept := parts.get("start")) is not None:
            found = UniversalPolicy.from_state(*kept)
        else:
            found = made_anew(self.start, task, without, report)
            parts.put("start", *found.state())
        if found.knows(task.scores.clip_ids):
            warn("What the agent 'universal' starts from has learned from references of clips of these names, so figures "
                 "on them are not held out; for such, give a recipe without them as 'start'.")  # fmt: skip
        return found
