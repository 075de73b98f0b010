"""Names of the catalogue in the place of paths, in Python and in configs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from catalogue_server import Server, write_catalogue

from rl_postproc.catalogue import fetch, find_entry, stand_in
from rl_postproc.config import TaskConfig, load_config
from rl_postproc.formats import read_event_pair, read_scores
from rl_postproc.task import TuningTask
from rl_postproc.utils.checked import build
from rl_postproc.utils.errors import DataWarning, UserError


@pytest.fixture
def offered(server: Server, simulated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The simulated files, which the catalogue offers as ``heard``; an empty working folder."""
    paths = sorted(path for path in simulated.rglob("*") if path.is_file())
    server.files = {path.relative_to(simulated).as_posix(): path.read_bytes() for path in paths}
    use = {"scores": "scores", "references": "references.tsv", "durations": "durations.tsv"}
    write_catalogue(tmp_path / "catalogue.yaml", heard=server.entry(*server.files, use=use))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return simulated


def test_a_name_stands_for_scores_and_all_that_goes_with_them(offered: Path) -> None:
    with pytest.raises(
        UserError, match="'heard' of the catalogue is not on this machine; run `rl-postproc download heard`"
    ):
        read_scores("heard")
    folder = fetch("heard")
    scores = read_scores("heard")
    same = read_scores(offered / "scores", references=offered / "references.tsv", durations=offered / "durations.tsv")
    assert scores.clip_ids == same.clip_ids
    assert scores.scores.equal(same.scores) and scores.durations.equal(same.durations)
    assert scores.require_references().to_rows() == same.require_references().to_rows()
    assert scores.origin.notes == ("Taken from the catalogue's 'heard', since not given: references, durations.",)
    assert scores.origin.durations == f"from '{folder / 'durations.tsv'}'"


def test_what_is_given_goes_before_what_the_catalogue_has(offered: Path) -> None:
    fetch("heard")
    few = Path("few.tsv")
    few.write_text("".join((offered / "references.tsv").read_text().splitlines(keepends=True)[:3]))
    with pytest.raises(UserError):
        read_scores("heard", references=few)  # the others' clips are missing from it
    scores = read_scores("heard", references="heard", durations=offered / "durations.tsv")
    assert scores.references is not None and scores.origin.notes == ()


def test_a_file_in_an_entry_has_a_name_too(offered: Path) -> None:
    folder = fetch("heard")
    assert stand_in("heard/references.tsv", "scores") == folder / "references.tsv"
    assert read_scores("heard/scores").references is None
    with pytest.raises(UserError, match=r"has no 'refrences\.tsv'; did you mean 'references\.tsv'"):
        stand_in("heard/refrences.tsv", "scores")
    with pytest.raises(UserError, match="'heard' has no checkpoint; it has scores, references, durations"):
        stand_in("heard", "checkpoint")


def test_a_checkpoint_has_a_name(server: Server, tmp_path: Path) -> None:
    server.files["weights.pth"] = b"weights"
    write_catalogue(tmp_path / "catalogue.yaml", net=server.entry("weights.pth", use={"checkpoint": "weights.pth"}))
    with pytest.raises(UserError, match="run `rl-postproc download net`"):
        stand_in("net", "checkpoint")
    folder = fetch("net")
    assert stand_in("net", "checkpoint") == folder / "weights.pth"


def test_a_path_that_exists_goes_before_a_name_and_that_is_said(offered: Path) -> None:
    fetch("heard")
    os.symlink(offered / "scores", "heard")
    with pytest.warns(DataWarning, match="'heard' is there as a file or folder, which is used"):
        assert read_scores("heard").references is None


def test_a_misspelt_name_is_helped_where_no_path_is(offered: Path) -> None:
    for path in ("herd", Path.cwd() / "herd"):
        with pytest.raises(UserError, match=r"There is no .*herd'; did you mean the catalogue's 'heard'"):
            read_scores(path)
    with pytest.raises(UserError, match=r"There is no 'quite_another'; give"):
        read_scores("quite_another")


def test_a_config_finds_data_in_its_root_the_data_variable_or_the_cache(
    offered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lengths() -> str:
        config = load_config(TaskConfig, path)
        assert config.data is not None and config.data.files(config.base) == {"scores": Path("heard")}
        return config.load_data().origin.durations

    path = tmp_path / "config.yaml"
    path.write_text("data: {root: shared, scores: heard}")
    with pytest.raises(UserError, match="run `rl-postproc download heard`, or set RL_POSTPROC_DATA"):
        lengths()
    in_cache = fetch("heard")
    assert str(in_cache) in lengths()
    in_root = fetch("heard", tmp_path / "shared")
    assert str(in_root) in lengths()
    in_variable = fetch("heard", tmp_path / "other")
    monkeypatch.setenv("RL_POSTPROC_DATA", str(tmp_path / "other"))
    assert str(in_variable) in lengths()
    assert len(read_scores("heard").origin.notes) == 1


def test_a_config_mixes_names_and_paths(offered: Path, tmp_path: Path) -> None:
    fetch("heard")
    config = build(TaskConfig, {"data": {"scores": str(offered / "scores"), "references": "heard"}}, "test")
    assert config.load_data().references is not None
    relative = {"data": {"scores": "heard", "durations": "mine.tsv", "root": os.path.relpath(tmp_path)}}
    (tmp_path / "mine.tsv").write_bytes((offered / "durations.tsv").read_bytes())
    assert "mine.tsv" in build(TaskConfig, relative, "test").load_data().origin.durations


def test_tasks_and_events_take_names(offered: Path) -> None:
    fetch("heard")
    assert TuningTask.build("heard").scores.n_clips == 12
    expected, found = read_event_pair(offered / "references.tsv", "heard", "heard")
    assert expected.to_rows() == found.to_rows()


def test_the_packages_own_configs_name_entries_that_there_are() -> None:
    for path in sorted((Path(__file__).resolve().parents[2] / "configs").rglob("*.yaml")):
        for line in path.read_text().splitlines():
            key, _, value = line.strip().removeprefix("- ").partition(": ")
            if key in ("scores", "references") and value:
                name, _, part = value.partition("/")
                assert not part or part in {file.path for file in find_entry(name).files}, path
                assert find_entry(name).use.scores, path
