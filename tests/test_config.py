"""Configs: overriding, and what unknown keys, wrong values and broken YAML are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from rl_postproc.agents import make_agent
from rl_postproc.agents.benchmark.config import BenchmarkConfig, choose_agents, named_agents
from rl_postproc.agents.benchmark.suite import find_suite
from rl_postproc.agents.universal.make import Recipe

from rl_postproc.config import TaskConfig, load_config, read_yaml
from rl_postproc.utils.checked import build
from rl_postproc.utils.errors import UserError
from rl_postproc.utils.files import read_json, whole_file, write_json

ALL = sorted((Path(__file__).resolve().parents[1] / "configs").glob("*.yaml"))
CONFIGS = [path for path in ALL if find_suite(path) is None]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"fold": 3}, r"'fold'.*did you mean 'folds'"),
        ({"metric": {"t_colar": 0.1}}, r"metric.*'t_colar'.*did you mean 't_collar'"),
        ({"metric": {"t_collar": 0}}, r"metric.*'t_collar' is 0"),
        ({"metric": {"percentage_of_length": 1.5}}, r"metric.*'percentage_of_length' is 1.5"),
        ({"data": {"simulated": {"n_clip": 3}}}, r"'data\.simulated\.n_clip'.*did you mean 'n_clips'"),
        ({"data": {"scorse": "x"}}, r"'data\.scorse'.*did you mean 'scores'"),
        ({"data": {}}, r"'scores'.*or 'simulated'"),
        ({"data": {"scores": "x", "simulated": {}}}, r"either 'scores'.*or 'simulated'"),
        ({"data": {"scores": "x", "hop": -1}}, r"'data\.hop' is -1"),
        ({"stack": [{"stage": "median", "kernl": 1}, {"stage": "threshold"}]}, r"kernl.*did you mean 'kernel'"),
        ({"stack": [{"stage": ["median"]}]}, r"unknown stage"),
        ({"agents": ["grid_serach"]}, r"'grid_serach'.*did you mean 'grid_search'"),
        ({"agents": [{"agent": "ppo", "rollout": 3}]}, r"'rollout'.*did you mean 'rollouts'"),
        ({"agents": ["default", "default"]}, r"Two agents are called 'default'"),
        ({"agents": []}, r"'agents'"),
        ({"agents": [5]}, r"'agents"),
        ({"folds": 1}, r"'folds' is 1"),
        ({"seeds": ["one"]}, r"'seeds\.0' is 'one'"),
    ],
)
def test_a_wrong_config_names_the_key_and_the_file_in_one_sentence(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        build(BenchmarkConfig, values, "my.yaml")
    assert str(caught.value).startswith("my.yaml: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("folds: 3\nseeds: [0\nagents: x", r"broken\.yaml', line 3 is not valid YAML"),
        ("a: b: c", r"line 1 is not valid YAML"),
        ("- a\n- b", r"must hold keys and values, but holds a list"),
        ("just text", r"holds a str"),
    ],
)
def test_broken_yaml_is_refused_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        read_yaml(path)
    assert "\n" not in str(caught.value)


def test_a_config_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.yaml", tmp_path):
        with pytest.raises(UserError, match="Cannot read the config"):
            read_yaml(path)
    (tmp_path / "latin.yaml").write_bytes(b"title: caf\xe9")
    with pytest.raises(UserError, match=r"latin\.yaml"):
        read_yaml(tmp_path / "latin.yaml")


def test_yaml_never_builds_python_objects(tmp_path: Path) -> None:
    path = tmp_path / "evil.yaml"
    path.write_text("title: !!python/object/apply:os.getcwd []\n")
    with pytest.raises(UserError, match="line 1"):
        read_yaml(path)


def test_an_empty_config_is_all_defaults(tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").write_text("# nothing\n")
    config = load_config(TaskConfig, tmp_path / "empty.yaml", ["data.simulated.n_clips=3"])
    assert config.load_data().n_clips == 3
    assert config.build_stack().space.names == ("median.kernel", "threshold.threshold")
    assert (config.metric.t_collar, config.metric.percentage_of_length) == (0.2, 0.2)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_the_configs_that_come_with_the_package_are_valid_and_resolve_to_themselves(path: Path) -> None:
    config = load_config(BenchmarkConfig, path)
    resolved = config.model_dump(mode="json")
    again = build(BenchmarkConfig, yaml.safe_load(yaml.safe_dump(resolved)), "resolved")
    assert again.model_dump(mode="json") == resolved


def test_the_suites_that_come_with_the_package_name_configs_beside_them() -> None:
    suites = {path.stem: find_suite(path) for path in ALL if path not in CONFIGS}
    assert set(suites) == {"transfer"}
    for suite in suites.values():
        assert suite is not None and {f"{name}.yaml" for name in suite.benchmarks} <= {path.name for path in CONFIGS}


def test_the_recipes_that_come_with_the_package_are_valid() -> None:
    for path in sorted((ALL[0].parent / "recipes").glob("*.yaml")):
        assert build(Recipe, read_yaml(path), str(path)).real


def test_the_data_variable_replaces_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = build(TaskConfig, {"data": {"root": "elsewhere", "scores": "mine"}}, "test")
    monkeypatch.delenv("RL_POSTPROC_DATA", raising=False)
    with pytest.raises(UserError, match=r"elsewhere.*does not exist.*RL_POSTPROC_DATA"):
        config.load_data()
    monkeypatch.setenv("RL_POSTPROC_DATA", str(tmp_path))
    with pytest.raises(UserError, match=str(tmp_path / "mine")):
        config.load_data()


def test_agents_are_named_and_chosen() -> None:
    config = build(
        BenchmarkConfig, {"agents": ["default", {"agent": "grid_search", "scope": "global", "name": "g"}]}, ""
    )
    assert list(named_agents(config.agents)) == ["default", "g"]
    chosen = choose_agents(config, ["g", "sgl_thresh"])
    agents = named_agents(chosen.agents)
    assert [agent.agent for agent in agents.values()] == ["grid_search", "sgl_thresh"]
    assert agents["g"].model_dump()["scope"] == "global"
    with pytest.raises(UserError, match="did you mean 'default'"):
        make_agent("defualt")


@settings(max_examples=50)
@given(
    st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x, max_size=3), max_leaves=6)
)
def test_json_files_give_back_what_was_written(tmp_path_factory: pytest.TempPathFactory, value: Any) -> None:
    path = tmp_path_factory.mktemp("json") / "deep" / "value.json"
    write_json(path, value)
    assert read_json(path) == value


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_text("old")
    with pytest.raises(RuntimeError, match="planted"), whole_file(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError("planted")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["result.json"]
