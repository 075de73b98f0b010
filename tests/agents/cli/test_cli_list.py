"""The command `list`: every name that configs know, with its description and its settings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from program import Run, assert_one_sentence, process

EXPECTED = {
    "stages": {"median", "threshold"},
    "stacks": {"median_threshold", "dcase_baseline", "pyannote", "csebbs", "rich"},
    "metrics": {"event_based", "segment_based", "tagging"},
    "rankings": {"d_prime", "lwlrap", "mean_average_precision", "mpauc"},
    "objectives": {"macro"},
    "agents": {
        "coordinate_ascent",
        "default",
        "event_ranking",
        "event_set",
        "event_value",
        "exact_gradient",
        "exact_search",
        "grid_search",
        "heu_thresh",
        "num_thresh",
        "optuna_search",
        "ppo",
        "random_search",
        "sgl_thresh",
        "tuned",
        "vpg_paper",
    },
    "formats": {"arrays", "npy", "operating_points", "score_table", "sed_scores", "shards", "tags"},
    "event_formats": {"audacity", "audioset_strong", "jams", "raven", "rttm", "sed_eval", "table"},
    "rewards": {"linearised_f1", "clip_f1", "episode_f1"},
    "observations": {"scores", "flat", "dict", "summary", "events", "item"},
    "simulation": {"simulated"},
}

PLUGIN = '''
from typing import ClassVar, Literal

from pydantic import Field

from rl_postproc.stages import Kind, Parameter, Seconds, Stage


class Later(Stage):
    """Every decision as it is. More follows."""

    stage: Literal["later"] = "later"
    by: Seconds = Field(default=Parameter(candidates=(0.0, 0.5), default=0.5), description="how much later")
    strict: bool = Field(description="whether to be strict")
    takes: ClassVar[Kind] = "decisions"
    gives: ClassVar[Kind] = "decisions"

    def __call__(self, x, frames, **values):
        return x
'''


@pytest.fixture(scope="module")
def listed() -> dict[str, dict]:
    """What `list --json` prints, in this process."""
    from rl_postproc.agents.cli.listing import Noun, names_of

    return {noun.value: names_of(noun) for noun in Noun}


@pytest.mark.parametrize("noun", EXPECTED)
def test_each_noun_is_listed_with_descriptions_and_settings(run: Run, listed: dict[str, dict], noun: str) -> None:
    code, out, err = run("list", noun, "--json")
    assert code == 0, err
    assert json.loads(out) == {noun: listed[noun]}
    assert set(listed[noun]) >= EXPECTED[noun]
    for kind in (listed[noun][name] for name in EXPECTED[noun]):  # other tests' classes may be without a docstring
        assert len(kind["summary"]) > 10
        for setting in kind["settings"].values():
            assert set(setting) >= {"type", "required", "default", "description"}
    code, out, _ = run("list", noun)
    assert code == 0
    for name, kind in listed[noun].items():
        assert name in out
        assert all(setting in out for setting in kind["settings"])


def test_every_setting_is_described_and_every_class_of_ours_is_listed(listed: dict[str, dict]) -> None:
    bare = [
        f"{noun} {name} {setting}"
        for noun, kinds in listed.items()
        for name in EXPECTED[noun]
        for setting, told in kinds[name]["settings"].items()
        if not told["description"]
    ]
    assert not bare
    from rl_postproc.utils.registry import Registered

    ours = [base for base in Registered.__subclasses__() if base.__module__.startswith("rl_postproc")]
    assert {f"{base.noun}s" for base in ours} | {"simulation", "stacks"} == set(listed)


def test_everything_is_listed_without_settings_unless_they_are_asked_for(run: Run, listed: dict[str, dict]) -> None:
    code, out, _ = run("list")
    assert code == 0
    for noun, names in listed.items():
        assert noun in out
        assert all(name in out for name in names)
    assert "percentage_of_length" not in out
    assert "percentage_of_length" in run("list", "--settings")[1]
    assert json.loads(run("list", "--json")[1]) == listed


def test_settings_have_types_defaults_units_and_descriptions(listed: dict[str, dict]) -> None:
    kernel = listed["stages"]["median"]["settings"]["kernel"]
    assert (kernel["type"], kernel["unit"], kernel["default"]) == ("parameter", "seconds", 0.0)
    assert kernel["candidates"][:3] == [0.0, 0.2, 0.32]
    assert listed["stages"]["threshold"]["settings"]["threshold"]["unit"] == "probability"
    assert listed["stages"]["median"]["takes"] == listed["stages"]["median"]["gives"] == "scores"
    collar = listed["metrics"]["event_based"]["settings"]["t_collar"]
    assert (collar["type"], collar["default"]) == ("float", 0.2)
    assert "seconds" in collar["description"]
    assert listed["agents"]["grid_search"]["settings"]["scope"]["type"] == "class or global"
    assert listed["formats"]["tags"]["settings"]["array"]["type"] == "str or nothing"


def test_a_plug_in_adds_to_the_list(tmp_path: Path) -> None:
    # In processes of their own: what a plug-in brings along stays known for the rest of a process.
    (tmp_path / "later.py").write_text(PLUGIN)
    assert "Every decision as it is" not in process("list", "stages", cwd=tmp_path).stdout
    done = process("list", "stages", "--plugin", "later.py", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Every decision as it is. Takes decisions, gives decisions." in done.stdout
    found = json.loads(process("list", "--plugin", "later", "--json", cwd=tmp_path).stdout)["stages"]["later"]
    assert found["settings"]["by"]["description"] == "how much later"
    assert (found["settings"]["by"]["unit"], found["settings"]["by"]["candidates"]) == ("seconds", [0.0, 0.5])
    assert found["settings"]["strict"]["required"]


def test_what_cannot_be_listed_is_refused(run: Run, tmp_path: Path) -> None:
    code, _, err = run("list", "stagges")
    assert code == 2
    assert "Traceback" not in err
    (tmp_path / "broken.py").write_text("import rl_postproc\nrl_postproc.nothing\n")
    assert_one_sentence(run("list", "--plugin", "broken.py"), r"plug-in '.*broken\.py' cannot be imported.*'nothing'")
    assert_one_sentence(run("list", "--plugin", "absent.py"), r"no Python file '.*absent\.py'")
    assert_one_sentence(run("list", "--plugin", "absent_module"), r"'absent_module' cannot be imported")
