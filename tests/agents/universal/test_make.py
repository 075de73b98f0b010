"""`make`: what it cannot do is said before any work, and what lies there already is left alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from program import Run, assert_one_sentence

from rl_postproc import PostProcessor

SMALL = {"simulated": {"detectors": 3, "clips": 25}, "rounds": 30, "leaves": 15}


def written(folder: Path, recipe: dict) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(json.dumps(recipe))
    return path


def test_a_recipe_of_ones_own_makes_a_post_processor_that_apply_takes(run: Run, tmp_path: Path) -> None:
    assert run("simulate", "--out", "data", "--set", "n_clips=12", "--set", "seed=4")[0] == 0
    data = {"scores": "data/scores", "references": "data/references.tsv"}
    recipe = {**SMALL, "real": [{"data": data, "copies": 2, "clips": 8}]}
    code, out, _ = run("make", written(tmp_path, recipe), "--out", "mine")
    assert code == 0 and "of 9 detectors" in out
    about = PostProcessor.load(tmp_path / "mine").about
    assert about["made_of"]["real"][0]["copies"] == 2 and about["n_events"] > 500
    code, out, _ = run("apply", "mine", "data/scores", "--out", "events.tsv")
    assert code == 0 and "of 12 clips" in out
    # Made of these clips, which is told where it is scored on them.
    code, _, err = run("evaluate", "mine", "--scores", "data/scores", "--references", "data/references.tsv")
    assert code == 0 and "not held out" in err


@pytest.mark.parametrize(
    ("recipe", "options", "message"),
    [
        ({**SMALL, "simulated": {"detectors": 0}}, (), r"no detector to learn from"),
        ({**SMALL, "simulated": {"detectors": 1, "clips": 2}}, (), r"fewer than two detectors with enough"),
        ({**SMALL, "reall": []}, (), r"unknown key 'reall'; did you mean 'real'"),
        ({**SMALL, "real": [{"data": {"scores": "gone", "references": "gone.tsv"}}]}, (), r"There is no '.*gone'"),
        (SMALL, ("--set", "rounds=0"), r"'rounds' is 0"),
        (SMALL, ("--out", "recipe.yaml"), r"Cannot write 'recipe\.yaml"),
        (SMALL, ("--out", "taken"), r"'taken' holds a run of `train`"),
    ],
)
def test_what_it_cannot_do_is_one_sentence(
    run: Run, recipe: dict, options: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "report.json").write_text("{}")
    path = written(tmp_path, recipe)
    assert_one_sentence(run("make", path, *(options if "--out" in options else ("--out", "new", *options))), message)
    assert not (tmp_path / "new").exists()
    assert [file.name for file in (tmp_path / "taken").iterdir()] == ["report.json"]
