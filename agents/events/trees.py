"""Gradient-boosted trees as flat arrays: what is saved of them, whether they are sound, and their values for events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
import torch

from rl_postproc.pipeline.saved import Shapes
from rl_postproc.utils.parallel import in_threads

from .tree_paths import CLASS, NAN_MISSING, Conditions, TreeBatch, tree_batch

MOST_LEAVES = 1 << 16
"""Leaves that a tree may have."""

_EVENTS, _LEAVES = 8192, 512
"""Events and leaves that are worked on together, few enough for a core's cache."""


@dataclass(frozen=True)
class Trees:
    """The trees of one or several models, one after another.

    Attributes:
        trees_of_model: number of trees of each model, int32 ``[model]``.
        splits_of_tree: number of splits of each tree, which has one leaf more, int32 ``[tree]``.
        children: what lies left and right of a split: a later split of its tree, or ``-1 - leaf``, int32 ``[split, 2]``.
        column: feature that is compared, or `CLASS`, int32 ``[split]``.
        threshold: numbers up to it go left, float32 ``[split]``.
        missing: what counts as missing, uint8 ``[split]``, see `rl_postproc.agents.events.tree_paths`.
        missing_left: whether that goes left, bool ``[split]``.
        left_classes: classes that go left at each split on the class, bool ``[class split, class]``.
        leaf_value: float64 ``[leaf]``.
    """

    trees_of_model: np.ndarray
    splits_of_tree: np.ndarray
    children: np.ndarray
    column: np.ndarray
    threshold: np.ndarray
    missing: np.ndarray
    missing_left: np.ndarray
    left_classes: np.ndarray
    leaf_value: np.ndarray

    @classmethod
    def join(cls, models: Sequence[Trees]) -> Trees:
        """Puts models one after another."""
        return cls(*(np.concatenate([getattr(model, field.name) for model in models]) for field in fields(cls)))

    def to_tensors(self) -> dict[str, torch.Tensor]:
        """Returns the arrays by name."""
        return {field.name: torch.from_numpy(getattr(self, field.name)) for field in fields(self)}

    @classmethod
    def from_tensors(cls, tensors: dict[str, torch.Tensor]) -> Trees:
        """Takes up the arrays that `to_tensors` gave."""
        return cls(*(tensors[field.name].numpy() for field in fields(cls)))

    @staticmethod
    def shapes(n_classes: int) -> Shapes:
        """Returns types and shapes of the arrays."""
        return {
            "trees_of_model": (torch.int32, ("model",)),
            "splits_of_tree": (torch.int32, ("tree",)),
            "children": (torch.int32, ("split", 2)),
            "column": (torch.int32, ("split",)),
            "threshold": (torch.float32, ("split",)),
            "missing": (torch.uint8, ("split",)),
            "missing_left": (torch.bool, ("split",)),
            "left_classes": (torch.bool, ("class split", n_classes)),
            "leaf_value": (torch.float64, ("leaf",)),
        }

    def check(self, n_columns: int) -> None:
        """Insists that the arrays make trees on so many features.

        Raises:
            ValueError: the numbers of trees, splits and leaves do not agree, a split or leaf is not reached by just one way
                from a root, or a feature or a kind of missing values does not exist.
        """
        splits, n = self.splits_of_tree.astype(np.int64), len(self.column)
        if (splits < 0).any() or (splits >= MOST_LEAVES).any() or splits.sum() != n:
            raise ValueError("the splits do not add up to those of the trees")
        models = self.trees_of_model.astype(np.int64)
        if not len(models) or (models < 1).any() or (models > len(splits)).any() or models.sum() != len(splits):
            raise ValueError("the trees do not add up to those of the models")
        if len(self.leaf_value) != n + len(splits):
            raise ValueError("the leaves do not add up to those of the trees")
        tree = np.repeat(np.arange(len(splits)), splits)
        first, first_leaf = self._first_split, n + self._first_split + np.arange(len(splits))
        own, last, children = np.arange(n) - first[tree], splits[tree][:, None], self.children.astype(np.int64)
        if not np.where(children < 0, children >= -1 - last, (children > own[:, None]) & (children < last)).all():
            raise ValueError("a split leads back or out of its tree")
        reached = np.where(children < 0, first_leaf[tree][:, None] - 1 - children, first[tree][:, None] + children)
        ways = np.bincount(reached.ravel(), minlength=n + len(self.leaf_value))
        ways[np.where(splits > 0, first, first_leaf)] += 1
        if (ways != 1).any():
            raise ValueError("a split or leaf of a tree is not reached by just one way")
        if (self.column < CLASS).any() or (self.column >= n_columns).any():
            raise ValueError("a split looks at a feature that does not exist")
        if (self.missing > NAN_MISSING).any() or (self.column == CLASS).sum() != len(self.left_classes):
            raise ValueError("a split is of a kind that does not exist")

    def probabilities(self, features: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """Returns the mean over models of the logistic function of the sum of their leaves, float32 ``[event]``.

        Works on as many threads as torch may use, and in memory that does not grow with the number of events.

        Args:
            features: finite or NaN, float32 ``[event, column]``.
            label: class of each event, int64 ``[event]``.
        """
        x, classes, found = features.numpy(), label.numpy(), torch.empty(len(features))
        n = min(_EVENTS, max(64, _EVENTS * _LEAVES // (int(self.splits_of_tree.max()) + 1)))
        parts = (slice(begin, min(begin + n, len(x))) for begin in range(0, len(x), n))

        def judge(part: slice) -> np.ndarray:
            decided = self._conditions[0].decide(np.ascontiguousarray(x[part].T), classes[part])
            return np.mean([_logistic(batches, decided, len(classes[part])) for batches in self._models], 0)

        for part, probability in in_threads(judge, parts, torch.device("cpu")):
            found[part] = torch.from_numpy(probability)
        return found

    @property
    def _first_split(self) -> np.ndarray:
        """Row of the first split of each tree."""
        return np.cumsum(self.splits_of_tree, dtype=np.int64) - self.splits_of_tree

    @cached_property
    def _conditions(self) -> tuple[Conditions, np.ndarray]:
        """The different splits, and the condition of each split, int64 ``[split]``."""
        on_class = self.column == CLASS
        sets, which_set = np.unique(self.left_classes, axis=0, return_inverse=True)
        kinds = np.zeros(len(self.column), [("column", "i4"), ("threshold", "f4"), ("missing", "u1"), ("left", "?")])
        kinds["column"], kinds["threshold"] = self.column, np.where(on_class, 0, self.threshold)
        kinds["missing"], kinds["left"] = np.where(on_class, 0, self.missing), self.missing_left & ~on_class
        # Sets of classes in the place of thresholds keep such splits apart; CLASS sorts before all features.
        kinds["threshold"][on_class] = which_set.reshape(-1)
        found, which = np.unique(kinds, return_inverse=True)
        threshold, missing, missing_left = (found[name][:, None] for name in ("threshold", "missing", "left"))
        conditions = Conditions(found["column"].astype(np.int64), threshold, missing, missing_left, sets)
        return conditions, which.reshape(-1)

    @cached_property
    def _models(self) -> list[list[TreeBatch]]:
        """The trees of each model, some at a time."""
        found, end = [], 0
        for n_trees in self.trees_of_model.tolist():
            begin, end = end, end + n_trees
            most = int(self.splits_of_tree[begin:end].max()) + 1
            step = max(1, _LEAVES // most)
            found.append([self._batch(i, min(i + step, end)) for i in range(begin, end, step)])
        return found

    def _batch(self, begin: int, end: int) -> TreeBatch:
        sizes, first = self.splits_of_tree[begin:end].astype(np.int64), int(self._first_split[begin])
        splits, leaves = slice(first, first + sizes.sum()), slice(first + begin, first + begin + (sizes + 1).sum())
        children = self.children[splits].astype(np.int64)
        return tree_batch(sizes, children, self._conditions[1][splits], self.leaf_value[leaves])


def _logistic(batches: list[TreeBatch], decided: np.ndarray, n_events: int) -> np.ndarray:
    total = np.zeros(n_events)
    for batch in batches:
        batch.add_to(total, decided)
    return 1 / (1 + np.exp(-total))
