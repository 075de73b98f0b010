"""What tuning yields: a post-processor that anyone can apply, save and load."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch

from rl_postproc.data.events import Events
from rl_postproc.data.scores import ScoreSet
from rl_postproc.pipeline.artefact import (
    ARTEFACT,
    check_seal,
    checking,
    read_artefact,
    read_constants,
    read_tensors,
    write_artefact,
)
from rl_postproc.pipeline.other_hop import other_hop
from rl_postproc.pipeline.policy import Constant, Policy, check_policy, restore_policy
from rl_postproc.pipeline.saved import MadeFor, check_tensors
from rl_postproc.pipeline.stack import Stack
from rl_postproc.utils.errors import UserError, warn


class PostProcessor:
    """A tuned post-processor: a stack, the classes, and the policy that sets its parameters.

    Attributes:
        stack: the stages.
        classes: the classes it was tuned for, in order; None where it suits any.
        policy: what chooses the parameters.
        hop: seconds per frame of the scores it was tuned on; None where it suits any.
        about: how it came to be, plain JSON values.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from rl_postproc import PostProcessor, ScoreSet, Stack
        >>> scores = ScoreSet.from_arrays({"a": [[0.1], [0.9], [0.8], [0.1]]}, hop=0.5, classes=["Dog"])
        >>> stack = Stack.from_config([{"stage": "threshold", "threshold": [0.3, 0.5]}])
        >>> half = PostProcessor.constant(stack, scores, stack.space.defaults)
        >>> half.apply(scores).to_rows()
        [('a', 0.5, 1.5, 'Dog')]
        >>> with TemporaryDirectory() as folder:
        ...     half.save(folder).name
        ...     PostProcessor.load(folder).apply(scores).to_rows()
        'postprocessor.json'
        [('a', 0.5, 1.5, 'Dog')]
    """

    def __init__(
        self,
        stack: Stack,
        classes: tuple[str, ...] | None,
        policy: Policy,
        hop: float | None,
        about: dict[str, Any] | None = None,
    ):
        self.stack, self.policy, self.hop, self.about = stack, policy, hop, about or {}
        self.classes = None if classes is None else tuple(classes)

    @classmethod
    def constant(cls, stack: Stack, scores: ScoreSet, values: torch.Tensor, about: dict | None = None) -> PostProcessor:
        """Makes a post-processor with the same values, ``[class, parameter]`` or ``[parameter]``, for every clip."""
        values = values.cpu().expand(scores.n_classes, len(stack.space.names))
        return cls(stack, scores.classes, Constant(values, scores.classes, stack.space.names), scores.hop, about)

    @classmethod
    def from_sb3(cls, model: Any, env: Any = None) -> PostProcessor:
        """Makes a post-processor of a model of Stable-Baselines3 that was trained on an environment of this package.

        It takes the actions that ``model.predict(observation, deterministic=True)`` gives, and has the parameters that the
        model has now. It can be saved where the model has a network of Stable-Baselines3's own (``MlpPolicy`` or
        ``MultiInputPolicy`` of PPO, A2C, DQN, … with their default features extractor).

        Args:
            model: the model.
            env: the environment that it was trained on, or one with its settings; the model's own when None. Classes, stack,
                observation and the meaning of actions are the environment's.

        Raises:
            UserError: there is no environment of this package inside, or a wrapper changes what the model sees.
        """
        return importlib.import_module("rl_postproc.agents.rl.sb3_policy").from_sb3(model, env)

    @classmethod
    def from_policy(cls, policy: Any, env: Any) -> PostProcessor:
        """Makes a post-processor of any trained policy.

        Args:
            policy: a function from observations to actions, as the environment gives and takes them: one at a time for a
                single environment, arrays or tensors with an item in each row, of any number, for a vector environment. Or a
                `rl_postproc.agents.rl.observed_policy.ObservedPolicy`, which can be saved too.
            env: the environment that it was trained on, or one with its settings. Classes, stack, observation and the
                meaning of actions are the environment's.

        Raises:
            UserError: there is no environment of this package inside, or a wrapper changes what the policy sees.
        """
        return importlib.import_module("rl_postproc.agents.rl.observed_policy").from_policy(policy, env)

    def choose(self, scores: ScoreSet) -> torch.Tensor:
        """Returns the parameter values for these scores, whose classes must be `classes` in order.

        Raises:
            UserError: the policy chooses events and not parameters.
        """
        return self.policy.choose(scores, self.stack)

    def check(self, scores: ScoreSet) -> str:
        """Returns what should be known before applying it to these scores, empty if there is nothing.

        Raises:
            UserError: it cannot be applied to them: they have other classes, or frames that its policy cannot judge.
        """
        with_classes(scores, self.classes)
        return "" if self.hop is None else other_hop(scores.hop, self.hop, self.policy, self.stack)

    def apply(self, scores: ScoreSet) -> Events:
        """Turns scores into events.

        Warns:
            DataWarning: the scores have frames of another length than those it was tuned on.

        Raises:
            UserError: it cannot be applied to these scores, see `check`.
        """
        scores = with_classes(scores, self.classes)
        if said := self.check(scores):
            warn(said)
        return self.policy.apply(scores, self.stack)

    def save(self, folder: str | Path) -> Path:
        """Writes ``postprocessor.json`` and, for a learned policy, ``postprocessor.safetensors``."""
        values, tensors = self.policy.state()
        fields = {
            "about": self.about,
            "hop": self.hop,
            "classes": None if self.classes is None else list(self.classes),
            "stack": self.stack.to_config(),
            "policy": {"kind": self.policy.kind, **values},
        }
        return write_artefact(folder, fields, tensors)

    @classmethod
    def load(cls, path: str | Path) -> PostProcessor:
        """Reads a post-processor from its folder, its JSON file or the YAML of its constants, or a shipped one by its name.

        Raises:
            UserError: the files are missing, damaged, of another version or another run, or of an unknown kind.
        """
        path = shipped(Path(path))
        path = path / ARTEFACT if path.is_dir() else path
        found = read_constants(path) if path.suffix in (".yaml", ".yml") else read_artefact(path)
        kind, values = found.policy.kind, found.policy.values
        classes = None if found.classes is None else tuple(found.classes)
        with checking(path):
            stack = Stack.from_config(found.stack)
            shapes = check_policy(kind, values, MadeFor(classes or (), stack, found.hop))
        check_seal(path, found)
        tensors = read_tensors(path, found)
        with checking(path):
            if shapes is not None:
                check_tensors(tensors, shapes)
            policy = restore_policy(kind, values, tensors)
            if isinstance(policy, Constant):
                policy = policy.of(classes or (), stack.space.names)
        return cls(stack, classes, policy, found.hop, found.about)


def shipped(path: Path) -> Path:
    """Returns the folder of a post-processor that comes with the package where a bare name is that of one, else the path."""
    own = files("rl_postproc") / "trained" / path.name
    return Path(str(own)) if len(path.parts) == 1 and not path.exists() and own.is_dir() else path


def with_classes(scores: ScoreSet, classes: tuple[str, ...] | None) -> ScoreSet:
    """Returns the scores with exactly these classes, in this order, or as they are for None.

    Raises:
        UserError: a class is missing from the scores, or is scored but unknown to the post-processor.
    """
    require_classes(scores.classes, classes)
    return scores if classes is None or scores.classes == classes else scores.of_classes(classes)


def require_classes(scored: Sequence[str], classes: Sequence[str] | None) -> None:
    """Insists that exactly these classes are scored, in whatever order; None is any.

    Raises:
        UserError: a class is missing, or is scored but unknown to the post-processor.
    """
    missing = [name for name in classes or () if name not in scored]
    unknown = [name for name in scored if classes is not None and name not in classes]
    if missing or unknown:
        which = f"lack the class '{missing[0]}'" if missing else f"have the class '{unknown[0]}', unknown to it"
        raise UserError(f"The post-processor was tuned for {len(classes or ())} classes, and these scores {which}; "
                        "apply it to scores of the same classes.")  # fmt: skip
