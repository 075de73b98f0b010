"""Trees as arrays: equal to LightGBM on whatever it may learn from and judge, faster than it, and checked before use."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import lightgbm
import numpy as np
import pytest
import torch
from event_agents import small_task
from hypothesis import given, settings
from hypothesis import strategies as st
from rl_postproc.agents.events.event_value import EventValue
from rl_postproc.agents.events.lightgbm_trees import trees_of
from rl_postproc.agents.events.trees import Trees
from rl_postproc.agents.events.value_models import LabelledEvents, fit_boosted

ODD = [0.0, -0.0, float("nan"), 1e-36, -1e-36, 1e-35, 2e-35, 3e38, -3e38, 0.1, 1.0]


def table(rng: np.random.Generator, n: int, n_columns: int, n_classes: int, odd: float) -> np.ndarray:
    """Returns random features, of which a share is replaced by odd numbers, and a class, float32 ``[n, column + 1]``."""
    x = rng.standard_normal((n, n_columns)).astype(np.float32)
    x[:, ::2] = np.round(x[:, ::2] * 4) / 4
    where = rng.random(x.shape) < odd
    x[where] = rng.choice(np.array(ODD, np.float32), int(where.sum()))
    return np.concatenate([x, rng.integers(0, n_classes, (n, 1))], 1, dtype=np.float32)


def booster(x: np.ndarray, seed: int, rounds: int = 10, **parameters: Any) -> lightgbm.Booster:
    """Fits a model to a random function of the features and the class, as the agents do."""
    rng = np.random.default_rng(seed)
    plain = np.nan_to_num(x, nan=1.0).clip(-9, 9)
    y = plain[:, :-1] @ rng.standard_normal(x.shape[1] - 1) + rng.standard_normal(1000)[x[:, -1].astype(int)]
    y = y + rng.standard_normal(len(y)) > 0
    data = lightgbm.Dataset(x, y.astype(int), categorical_feature=[x.shape[1] - 1])
    fixed = {"objective": "binary", "verbose": -1, "seed": seed, "deterministic": True, "num_threads": 1}
    return lightgbm.train({**fixed, "min_data_in_leaf": 2, **parameters}, data, rounds)


def assert_equal(models: list[lightgbm.Booster], x: np.ndarray, n_classes: int) -> Trees:
    trees = Trees.join([trees_of(model, n_classes) for model in models])
    trees.check(x.shape[1] - 1)
    expected = np.mean([np.asarray(model.predict(x, num_threads=1)) for model in models], 0)
    found = trees.probabilities(torch.from_numpy(x[:, :-1]), torch.from_numpy(x[:, -1]).long())
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-6)
    return trees


@given(
    st.integers(0, 2**31),
    st.sampled_from([2, 3, 8, 31, 100]),
    st.sampled_from([{}, {"zero_as_missing": True}, {"use_missing": False}]),
    st.sampled_from([1, 2, 7, 40]),
    st.sampled_from([0.0, 0.1, 0.5]),
    st.integers(1, 3),
)
@settings(max_examples=40)
def test_trees_equal_lightgbm(
    seed: int, leaves: int, missing: dict[str, Any], n_classes: int, odd: float, n_models: int
) -> None:
    rng = np.random.default_rng(seed)
    x = table(rng, 400, 5, n_classes, odd)
    parameters = {
        "num_leaves": leaves,
        **missing,
        "feature_fraction": 0.7,
        "max_cat_to_onehot": int(rng.integers(1, 9)),
    }
    models = [booster(x, seed + i, rounds=int(rng.integers(1, 12)), **parameters) for i in range(n_models)]
    assert_equal(models, np.concatenate([x, table(rng, 300, 5, n_classes, 0.5)]), n_classes)


def test_what_is_missing_goes_the_way_of_each_kind() -> None:
    rng, kinds = np.random.default_rng(0), set()
    x = table(rng, 600, 4, 3, 0.3)
    for parameters in ({}, {"zero_as_missing": True}, {"use_missing": False}):
        trees = assert_equal([booster(x, 1, **parameters)], table(rng, 500, 4, 3, 0.5), 3)
        kinds |= set(trees.missing.tolist())
    assert kinds == {0, 1, 2}


def test_thresholds_at_numbers_of_the_data_are_exact() -> None:
    rng = np.random.default_rng(2)
    x = np.zeros((2000, 2), np.float32)
    # Neighbours in float32, between which LightGBM's float64 thresholds lie.
    x[:, 0] = np.float32(0.3) + rng.integers(-3, 4, 2000) * np.spacing(np.float32(0.3))
    y = (x[:, 0] > np.float32(0.3)).astype(int)
    model = lightgbm.train(
        {"objective": "binary", "verbose": -1, "min_data_in_leaf": 1, "min_data_in_bin": 1},
        lightgbm.Dataset(x, y, categorical_feature=[1]),
        3,
    )
    assert_equal([model], x, 1)
    assert len(np.unique(np.asarray(model.predict(x)))) > 1


@pytest.mark.parametrize(("rows", "leaves", "rounds"), [(4000, 1500, 2), (4000, 257, 3), (300, 2, 50)])
def test_deep_trees_and_stumps_equal_lightgbm(rows: int, leaves: int, rounds: int) -> None:
    x = table(np.random.default_rng(3), rows, 6, 5, 0.0)
    trees = assert_equal([booster(x, 0, rounds, num_leaves=leaves, min_data_in_leaf=1)], x, 5)
    assert int(trees.splits_of_tree.max()) > leaves // 2 - 1


def test_a_model_that_learned_nothing_is_one_leaf_and_stands_beside_others() -> None:
    x = table(np.random.default_rng(4), 50, 3, 2, 0.0)
    nothing, something = booster(x, 0, min_data_in_leaf=1000), booster(x, 0, min_data_in_leaf=2)
    assert trees_of(nothing, 2).splits_of_tree.tolist() == [0]
    assert_equal([nothing], x, 2)
    assert_equal([something, nothing, something], x, 2)


def test_trees_equal_lightgbm_on_decoded_events_across_batches() -> None:
    task = small_task(120)
    events, label = task.event_features, task.decoded.track % task.scores.n_classes
    x = np.concatenate([events.numpy(), label[:, None].numpy()], 1, dtype=np.float32)
    x = np.concatenate([x] * (1 + 20000 // len(x)))
    models = [booster(x[:4000], seed, 40, num_leaves=31, feature_fraction=0.5) for seed in range(3)]
    trees = assert_equal(models, x, task.scores.n_classes)
    one = trees.probabilities(torch.from_numpy(x[17:18, :-1]), torch.from_numpy(x[17:18, -1]).long())
    assert one.item() == trees.probabilities(torch.from_numpy(x[:, :-1]), torch.from_numpy(x[:, -1]).long())[17].item()
    assert trees.probabilities(torch.zeros(0, events.shape[1]), torch.zeros(0, dtype=torch.int64)).shape == (0,)


def small_trees() -> Trees:
    x = table(np.random.default_rng(5), 300, 4, 6, 0.0)
    return trees_of(booster(x, 0, num_leaves=8, max_cat_to_onehot=1), 6)


def changed(values: np.ndarray, index: Any, value: Any) -> np.ndarray:
    values = values.copy()
    values[index] = value
    return values


@pytest.mark.parametrize(
    ("name", "index", "value", "message"),
    [
        ("children", (0, 0), 0, "leads back"),
        ("children", (3, 1), 2, "leads back"),
        ("children", (0, 0), 7, "out of its tree"),
        ("children", (0, 0), -9, "out of its tree"),
        ("children", (0, 0), 2**31 - 1, "out of its tree"),
        ("children", (0, 0), -(2**31), "out of its tree"),
        ("children", (0, 0), 6, "just one way"),
        ("children", (6, 0), -1, "just one way"),
        ("column", 0, 4, "feature that does not exist"),
        ("column", 0, -2, "feature that does not exist"),
        ("missing", 0, 3, "kind that does not exist"),
        ("splits_of_tree", 0, 8, "splits do not add up"),
        ("splits_of_tree", 0, -1, "splits do not add up"),
        ("splits_of_tree", 0, 2**31 - 1, "splits do not add up"),
        ("trees_of_model", 0, 9, "trees do not add up"),
        ("trees_of_model", 0, -1, "trees do not add up"),
    ],
)
def test_arrays_that_make_no_trees_are_refused(name: str, index: Any, value: Any, message: str) -> None:
    trees = small_trees()
    trees.check(4)
    with pytest.raises(ValueError, match=message):
        replace(trees, **{name: changed(getattr(trees, name), index, value)}).check(4)


@pytest.mark.parametrize("name", ["trees_of_model", "splits_of_tree", "left_classes", "leaf_value"])
def test_arrays_of_other_lengths_are_refused(name: str) -> None:
    trees = small_trees()
    for values in (getattr(trees, name)[:-1], np.repeat(getattr(trees, name), 2, 0)):
        with pytest.raises(ValueError, match=r"add up|kind"):
            replace(trees, **{name: values}).check(4)


@pytest.mark.slow
def test_trees_judge_many_events_faster_than_lightgbm() -> None:
    task = small_task(120)
    label = (task.decoded.track % task.scores.n_classes).repeat(2)
    features = task.event_features.repeat(2, 1)
    matches = features[:, 0] + torch.randn(len(features), generator=torch.Generator().manual_seed(0)) > 0.8
    trees, _ = fit_boosted(LabelledEvents(features, label, matches, 3), EventValue(), 0)
    x = np.concatenate([features.numpy(), label[:, None].numpy()], 1)
    model = booster(x.astype(np.float32), 0, 150, num_leaves=31, min_data_in_leaf=50, feature_fraction=0.5)
    n = 1 + 100_000 // len(x)
    features, label, x = features.repeat(n, 1), label.repeat(n), np.concatenate([x] * n)
    seconds: dict[str, float] = {}
    for _ in range(3):
        for name, judge in (
            ("trees", lambda: trees.probabilities(features, label)),
            ("lightgbm", lambda: model.predict(x, num_threads=1)),
        ):
            begin = time.process_time()
            judge()
            seconds[name] = min(seconds.get(name, 1e9), time.process_time() - begin)
    assert seconds["trees"] < seconds["lightgbm"], seconds


@pytest.mark.parametrize("n", [1, 2, 3])
def test_hardly_any_events_can_be_learned_from(n: int) -> None:
    features, label = torch.rand(n, 5), torch.zeros(n, dtype=torch.int64)
    events = LabelledEvents(features, label, torch.ones(n, dtype=torch.bool), 1)
    _, predict = fit_boosted(events, EventValue(rounds=3), 0)
    assert bool((predict(features, label) > 0.5).all())
