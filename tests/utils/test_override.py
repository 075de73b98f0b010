"""Settings of the command line reach their place in a config, defaults included, or are refused."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from rl_postproc.agents.benchmark.config import BenchmarkConfig

from rl_postproc.config import build_config
from rl_postproc.simulation.config import SimulationConfig
from rl_postproc.utils.errors import UserError
from rl_postproc.utils.override import override


@pytest.mark.parametrize(
    ("setting", "path", "value"),
    [
        ("folds=3", ["folds"], 3),
        ("data.simulated.n_clips=5", ["data", "simulated", "n_clips"], 5),
        ("new.key.below=[1, two]", ["new", "key", "below"], [1, "two"]),
        ("stack.1.threshold=0.25", ["stack", 1, "threshold"], 0.25),
        ("title=a=b", ["title"], "a=b"),
        ("title=", ["title"], None),
        ("data.simulated={n_clips: 7}", ["data", "simulated"], {"n_clips": 7}),
    ],
)
def test_a_setting_reaches_its_place(setting: str, path: list[Any], value: Any) -> None:
    config = {"folds": 5, "stack": [{"stage": "median"}, {"stage": "threshold"}], "data": {"simulated": {"seed": 1}}}
    before = yaml.safe_dump(config)
    found: Any = override(config, [setting])
    for key in path:
        found = found[key]
    assert found == value
    assert yaml.safe_dump(config) == before


def test_later_settings_win() -> None:
    assert override({}, ["a.b=1", "a.b=2", "a.c=3"]) == {"a": {"b": 2, "c": 3}}


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("folds", r"key\.subkey=value.*'folds'"),
        ("stack.7.kernel=1", r"stack\.7\.kernel.*no such place"),
        ("stack.first.kernel=1", r"no such place"),
        ("stack.=1", r"key\.subkey=value.*'stack\.=1'"),
        ("=1", r"key\.subkey=value.*'=1'"),
        ("stack.7.kernel=1", r"'stack' is a list whose items are numbered 0 to 0, and '7' is not one of them"),
        ("stack.-2.kernel=1", r"'-2' is not one of them"),
        ("seeds.0=1", r"'seeds' is a list whose items are none"),
        ("folds.sub=1", r"folds\.sub.*no such place.*'folds' is 5 and has no keys"),
        ("data.simulated.classes.0=Cat", r"'classes' is no list yet; give all of it, as in classes=\[…\]"),
        (f"title={'[' * 5000}", r"title: '\[{60}…' is not a YAML value"),
        (f"title={'1' * 5000}", r"not a YAML value"),
        ("title=2020-99-99", r"not a YAML value"),
        ("title=&a [*a]", r"not a YAML value"),
        ("title=[1", r"title.*'\[1'.*not a YAML value"),
    ],
)
def test_a_setting_that_fits_nowhere_is_refused(setting: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        override({"folds": 5, "stack": [{"stage": "median"}], "seeds": []}, [setting], BenchmarkConfig)


@pytest.mark.parametrize(
    ("given", "setting", "path", "value"),
    [
        ({}, "stack.1.threshold=0.3", ("stack", 1, "threshold", "candidates"), [0.3]),
        ({}, "stack.0.kernel.candidates.1=0.1", ("stack", 0, "kernel", "candidates", 1), 0.1),
        (
            {"stack": [{"stage": "threshold"}]},
            "stack.0.threshold.default=0.3",
            ("stack", 0, "threshold", "default"),
            0.3,
        ),
        ({}, "metric.t_collar=0.1", ("metric", "t_collar"), 0.1),
        ({}, "metric.metric=tagging", ("metric", "metric"), "tagging"),
        ({}, "seeds.0=7", ("seeds", 0), 7),
        ({}, "agents.-1.visits=3", ("agents", 3), {"agent": "ppo", "visits": 3}),
        ({"agents": [{"agent": "vpg_paper"}]}, "agents.0.windows.1=7", ("agents", 0, "windows", 1), 7),
        ({"data": {"simulated": None}}, "data.simulated.n_clips=9", ("data", "simulated", "n_clips"), 9),
        ({"data": {"scores": "x", "format": "tags"}}, "data.format.array=m", ("data", "format", "array"), "m"),
    ],
)
def test_what_a_config_leaves_to_its_defaults_can_be_addressed(
    given: dict[str, Any], setting: str, path: tuple[Any, ...], value: Any
) -> None:
    values = override(given, [setting], BenchmarkConfig)
    found: Any = build_config(BenchmarkConfig, values, "here").model_dump(mode="json")
    for key in path:
        found = found[key]
    assert found == value
    assert values.keys() - given.keys() <= {path[0]}


def test_a_setting_of_the_simulator_reaches_it() -> None:
    assert override({}, ["n_clips=3"], SimulationConfig) == {"n_clips": 3}
    assert override({}, ["0=3"], SimulationConfig) == {"0": 3}  # for the config's own check of its keys
