"""Plug-ins by file, by module and by entry point; the command line's own tests are beside it."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rl_postproc.stages import Stage
from rl_postproc.utils import plugins
from rl_postproc.utils.errors import UserError
from rl_postproc.utils.plugins import load_installed, load_plugins

STAGE = '''
from typing import ClassVar, Literal

from rl_postproc.stages import Kind, Stage


class Same(Stage):
    """Leaves scores as they are."""

    stage: Literal["{name}"] = "{name}"
    takes: ClassVar[Kind] = "scores"
    gives: ClassVar[Kind] = "scores"

    def __call__(self, x, frames):
        return x.clone()
'''


@pytest.fixture(autouse=True)
def forget(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Lets no imported plug-in outlive its test."""
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if "test_plugin" in name:
            del sys.modules[name]


def test_a_file_and_a_module_beside_the_config_are_found_from_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "configs" / "mine").mkdir(parents=True)
    (tmp_path / "configs" / "test_plugin_file.py").write_text(STAGE.format(name="test_of_file"))
    (tmp_path / "configs" / "mine" / "test_plugin_deep.py").write_text(STAGE.format(name="test_of_module"))
    monkeypatch.chdir(tmp_path)
    load_plugins(["test_plugin_file.py", "mine.test_plugin_deep"], base=tmp_path / "configs")
    assert {"test_of_file", "test_of_module"} <= set(Stage.types())
    assert Stage.make("test_of_file").summary() == "Leaves scores as they are"


def test_a_file_is_imported_once_however_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "test_plugin_once.py").write_text(STAGE.format(name="test_once") + "\nopen('log', 'a').write('x')\n")
    monkeypatch.chdir(tmp_path)
    load_plugins(["test_plugin_once.py", "test_plugin_once", str(tmp_path / "test_plugin_once.py")])
    load_plugins(["test_plugin_once"], base=tmp_path)
    assert (tmp_path / "log").read_text() == "x"


def test_two_files_of_one_name_in_two_folders_are_two_plug_ins(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        text = STAGE.format(name=f"test_same_name_{folder}")
        (tmp_path / folder / "test_plugin_twin.py").write_text(text)
        load_plugins(["test_plugin_twin.py"], base=tmp_path / folder)
    assert {"test_same_name_a", "test_same_name_b"} <= set(Stage.types())


def test_a_broken_file_is_named_and_can_be_mended(tmp_path: Path) -> None:
    path = tmp_path / "test_plugin_broken.py"
    path.write_text("import no_such_module_at_all\n")
    with pytest.raises(UserError, match=r"test_plugin_broken\.py' cannot be imported \(ModuleNotFoundError: .*at_all"):
        load_plugins([path.name], base=tmp_path)
    path.write_text(STAGE.format(name="test_mended_stage_of_a_file"))
    load_plugins([path.name], base=tmp_path)
    assert "test_mended_stage_of_a_file" in Stage.types()


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no Python file '.*absent\.py'"):
        load_plugins(["absent.py"], base=tmp_path)
    with pytest.raises(UserError, match=r"'absent_module_of_mine' cannot be imported \(ModuleNotFoundError"):
        load_plugins(["absent_module_of_mine"], base=tmp_path)


def test_an_installed_plug_in_that_fails_is_left_out_with_a_warning_and_the_others_are_loaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loaded: list[str] = []

    def fails() -> None:
        raise OSError("planted")

    points = [
        SimpleNamespace(name="bad", value="bad_module", dist=SimpleNamespace(name="bad-package"), load=fails),
        SimpleNamespace(name="good", value="good_module", dist=None, load=lambda: loaded.append("good")),
    ]
    monkeypatch.setattr(plugins, "entry_points", lambda group: points if group == "rl_postproc.plugins" else [])
    monkeypatch.setattr(plugins, "_installed_loaded", False)
    with pytest.warns(RuntimeWarning, match=r"'bad' of bad-package is left out: importing 'bad_module' failed \(OSErr"):
        load_installed()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_installed()
    assert loaded == ["good"]
