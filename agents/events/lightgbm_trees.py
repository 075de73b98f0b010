"""LightGBM's models as `Trees`: the library fits them, and nothing of it is needed afterwards."""

from __future__ import annotations

from typing import Any

import numpy as np

from rl_postproc.utils.errors import UserError

from .tree_paths import CLASS
from .trees import Trees

_CATEGORICAL, _MISSING_LEFT = 1, 2
"""Bits of LightGBM's decision types; what is missing stands above them."""


def require_lightgbm() -> Any:
    """Imports LightGBM.

    Raises:
        UserError: it is not installed.
    """
    try:
        import lightgbm
    except ImportError as error:
        raise UserError("Gradient boosting needs LightGBM; install 'lightgbm', or set model: network.") from error
    return lightgbm


def boosting_parameters(learning_rate: float, leaves: int, least_events: int, seed: int) -> dict[str, Any]:
    """Returns LightGBM's parameters for P(match), with which equal events give equal trees on one thread.

    Args:
        learning_rate: of boosting.
        leaves: of a tree.
        least_events: in a leaf.
        seed: of the columns and rows that each tree sees.
    """
    return {
        "objective": "binary",
        "learning_rate": learning_rate,
        "num_leaves": leaves,
        "min_data_in_leaf": least_events,
        "feature_fraction": 0.5,
        "bagging_fraction": 0.7,
        "bagging_freq": 1,
        "lambda_l2": 5.0,
        "seed": seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": 1,
        "verbose": -1,
    }


def trees_of(model: Any, n_classes: int) -> Trees:
    """Returns the trees of a binary LightGBM model whose last column is the class, its only categorical one.

    Thresholds are rounded down to float32, which tells the same numbers of that type apart.

    Args:
        model: a `lightgbm.Booster`.
        n_classes: number of classes.
    """
    text = model.model_to_string()
    assert "objective=binary sigmoid:1\n" in text
    blocks = [_fields(block) for block in text.split("\nend of trees")[0].split("\nTree=")[1:]]
    assert not any("leaf_coeff" in block for block in blocks)
    splits, leaves, classes = [], [], []
    for block in blocks:
        n = int(block["num_leaves"][0]) - 1
        leaves.append(np.array(block["leaf_value"], np.float64))
        kind = np.array(block.get("decision_type", []), np.int64)
        on_class = (kind & _CATEGORICAL) > 0
        threshold = np.array(block.get("threshold", []), np.float64)
        classes += _class_sets(block, threshold[on_class].astype(np.int64), n_classes)
        splits.append(
            (
                np.array([block.get("left_child", []), block.get("right_child", [])], np.int32).T.reshape(n, 2),
                np.where(on_class, CLASS, np.array(block.get("split_feature", []), np.int64)).astype(np.int32),
                _rounded_down(np.where(on_class, 0.0, threshold)),
                np.where(on_class, 0, kind >> 2).astype(np.uint8),
                ~on_class & ((kind & _MISSING_LEFT) > 0),
            )
        )
    children, column, thresholds, missing, missing_left = (np.concatenate(parts) for parts in zip(*splits, strict=True))
    trees = Trees(
        np.array([len(blocks)], np.int32),
        np.array([len(own) - 1 for own in leaves], np.int32),
        children,
        column,
        thresholds,
        missing,
        missing_left,
        np.array(classes, bool).reshape(-1, n_classes),
        np.concatenate(leaves),
    )
    trees.check(model.num_feature() - 1)
    return trees


def _fields(block: str) -> dict[str, list[str]]:
    return {key: values.split() for key, _, values in (line.partition("=") for line in block.splitlines())}


def _class_sets(block: dict[str, list[str]], sets: np.ndarray, n_classes: int) -> list[np.ndarray]:
    """Returns which classes are in each of the given sets of a tree, bool ``[class]``; sets are bits of 32-bit words."""
    if not len(sets):
        return []
    bounds, words = np.array(block["cat_boundaries"], np.int64), np.array(block["cat_threshold"], np.uint32)
    found = []
    for i in sets:
        bits = np.unpackbits(words[bounds[i] : bounds[i + 1]].astype("<u4").view(np.uint8), bitorder="little")
        found.append(np.pad(bits, (0, n_classes))[:n_classes].astype(bool))
    return found


def _rounded_down(values: np.ndarray) -> np.ndarray:
    """Returns the largest float32 up to each value, within the finite ones."""
    limit = np.finfo(np.float32).max
    rounded = np.clip(values, -limit, limit).astype(np.float32)
    return np.where(rounded > values, np.nextafter(rounded, -limit), rounded)
