"""Where adapting starts: at a post-processor that is there, or at one made anew without what it will be judged on."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from pydantic import Field

from rl_postproc.pipeline.postprocessor import PostProcessor
from rl_postproc.pipeline.stack import Stack
from rl_postproc.task import TuningTask
from rl_postproc.utils.errors import UserError

from ..base import ProgressCallback, share
from .make import Recipe, TrainingSet, fit_universal, training_sets
from .policy import UniversalPolicy


class MadeAnew(Recipe, frozen=True):
    """A recipe for a start that has not seen what it is judged on, by which it is told what a stranger will get.

    With ``class_groups: 2`` the classes are dealt into two groups, and each is judged by values that were learned on the
    other. With ``own_clips`` all clips that an agent is given are one more source, so that the detector is known and only
    recordings and classes are not. A relative root of the sources starts from the folder of the package's configs.
    """

    class_groups: int = Field(
        default=1, ge=1, description="groups of classes, each judged by values of the others; 1: all known"
    )
    own_clips: bool = Field(default=False, description="whether the clips of the task are learned from, too")


def loaded_start(name: str) -> UniversalPolicy:
    """Returns the policy of a post-processor that suits any detector.

    Args:
        name: of one that comes with the package, or its folder.

    Raises:
        UserError: it cannot be read, or is another kind of post-processor.
    """
    trained = PostProcessor.load(name)
    if not isinstance(trained.policy, UniversalPolicy) or trained.stack.to_config() != Stack.default().to_config():
        raise UserError(f"'{name}' is no post-processor for any detector, which is what the agent 'universal' adapts; "
                        "leave out 'start', or give the folder of one that `rl-postproc make` wrote.")  # fmt: skip
    return trained.policy


def class_groups(classes: tuple[str, ...], n: int) -> list[tuple[str, ...]]:
    """Deals classes into groups."""
    return [classes[i :: min(n, len(classes))] for i in range(min(n, len(classes)))]


_sets: dict[tuple[str, tuple[str, ...]], tuple[list[TrainingSet], list[str]]] = {}
_starts: dict[tuple[str, tuple[str, ...], str], UniversalPolicy] = {}
"""What was made in this process, since a benchmark asks for the same again and again: the last sets, and all policies."""


def made_anew(
    recipe: MadeAnew, task: TuningTask, without: tuple[str, ...], report: ProgressCallback
) -> UniversalPolicy:
    """Makes a policy by a recipe, without some classes of the real sources."""
    which, clips = recipe.model_dump_json(), task.fingerprint if recipe.own_clips else ""
    if (which, without, clips) not in _starts:
        left_out = without if recipe.real else ()  # simulated detectors keep all classes
        if (which, left_out) not in _sets:
            base = Path(str(files("rl_postproc.configs")))
            real = [source.data.load(base) for source in recipe.real]
            found = list(training_sets(recipe, real, left_out, share(report, 0, 0.5)))
            if len(_sets) >= max(2, recipe.class_groups):
                _sets.clear()
            _sets[which, left_out] = found, [name for scores in real for name in scores.clip_ids]
        sets, clip_ids = list(_sets[which, left_out][0]), _sets[which, left_out][1]
        if recipe.own_clips:
            sets.append(TrainingSet.of(task.scores, without))
        _starts[which, without, clips] = fit_universal(recipe, sets, clip_ids)
    report(1.0, {})
    return _starts[which, without, clips]
