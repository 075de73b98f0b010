"""A policy for each group of classes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from rl_postproc.data.events import Events
from rl_postproc.data.scores import ScoreSet
from rl_postproc.pipeline.policy import ChoosesEvents, Policy, check_inner_policy, restore_policy
from rl_postproc.pipeline.saved import MadeFor, Saved, Shapes, prefixed, with_prefix
from rl_postproc.pipeline.stack import Stack


class SavedGroup(Saved):
    """Classes, and what judges them."""

    classes: list[str]
    policy: dict[str, Any]


class SavedClassGroups(Saved):
    """All groups."""

    groups: list[SavedGroup]

    def tensors(self, made: MadeFor) -> Shapes | None:
        """See `Saved.tensors`."""
        named = sorted(name for group in self.groups for name in group.classes)
        made.equal(classes=(named, sorted(made.classes)))
        shapes: Shapes = {}
        for i, group in enumerate(self.groups):
            own = check_inner_policy(group.policy, replace(made, classes=tuple(group.classes)))
            if own is None:
                return None
            shapes |= prefixed(f"{i}.", own)
        return shapes


class ClassGroups(ChoosesEvents):
    """Applies to each class the policy of its group."""

    kind = "class_groups"
    saved = SavedClassGroups

    def __init__(self, groups: list[tuple[str, ...]], policies: list[Policy]):
        """Takes the classes of each group, and its policy."""
        self.groups, self.policies = groups, policies

    def gives_confidence(self, stack: Stack) -> bool:
        """See `Policy.gives_confidence`."""
        return all(policy.gives_confidence(stack) for policy in self.policies)

    def apply(self, scores: ScoreSet, stack: Stack) -> Events:
        """Returns the events of all groups."""
        columns = []
        for group, policy in zip(self.groups, self.policies, strict=True):
            own = policy.apply(replace(scores, references=None).of_classes(group), stack)
            label = torch.tensor([scores.classes.index(name) for name in group])[own.label]
            columns.append((own.clip, label, own.onset, own.offset, own.confidence))
        return Events.from_tensors(
            scores.clip_ids, scores.classes, *(torch.cat(parts) for parts in zip(*columns, strict=True))
        )

    def state(self) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
        """Returns the groups and their policies."""
        values, tensors = [], {}
        for i, (group, policy) in enumerate(zip(self.groups, self.policies, strict=True)):
            own, own_tensors = policy.state()
            values.append({"classes": list(group), "policy": {"kind": policy.kind, **own}})
            tensors |= {f"{i}.{name}": tensor.clone() for name, tensor in own_tensors.items()}  # groups may share one
        return {"groups": values}, tensors

    @classmethod
    def from_state(cls, values: dict[str, Any], tensors: dict[str, torch.Tensor]) -> ClassGroups:
        """Restores the policies."""
        policies = []
        for i, group in enumerate(values["groups"]):
            inner = dict(group["policy"])
            policies.append(restore_policy(inner.pop("kind"), inner, with_prefix(tensors, f"{i}.")))
        return cls([tuple(group["classes"]) for group in values["groups"]], policies)
