"""`apply universal` on whatever this package reads: no references, no durations, no frame length, no known class."""

from __future__ import annotations

import shutil
import sys
import time
from importlib.resources import files
from pathlib import Path

import pytest
from program import Run
from rl_postproc.agents.universal.augment import resampled

from rl_postproc.formats import read_events, write_scores
from rl_postproc.simulation.config import SimulationConfig
from rl_postproc.simulation.data_set import simulate


def test_it_takes_the_score_files_of_dcase_2023(run: Run, data_root: Path, tmp_path: Path) -> None:
    code, out, err = run(
        "apply", "universal", data_root / "dcase2023_task4a_baseline2" / "scores", "--out", "events.tsv"
    )
    assert code == 0 and "of 20 clips" in out and "Note" not in err
    events = [event for event in read_events(tmp_path / "events.tsv") if event.label]
    assert len({event.label for event in events}) >= 8 and 60 < len(events) < 250


def test_it_takes_a_hundred_frames_a_second_of_527_classes(run: Run, tmp_path: Path) -> None:
    scores = resampled(simulate(SimulationConfig(n_clips=6, n_classes=527, seed=5)), 0.01)
    write_scores(scores, tmp_path / "scores")
    code, out, _ = run("apply", "universal", "scores", "--out", "events.tsv")
    assert code == 0 and "of 6 clips" in out
    events = [event for event in read_events(tmp_path / "events.tsv") if event.label]
    found = {(event.filename.removesuffix(".wav"), event.label) for event in events}
    own = scores.require_references()
    sounding = {(clip.removesuffix(".wav"), label) for clip, _, _, label in own.to_rows()}
    assert len(found & sounding) > 0.5 * len(found) and len(found) > 10


@pytest.mark.slow
def test_a_thousand_clips_take_seconds(run: Run, data_root: Path, tmp_path: Path) -> None:
    points = data_root / "desed_validation" / "baseline2021_student" / "operating_points"
    begin = time.process_time()
    assert run("apply", "universal", points, "--out", "events.tsv")[0] == 0
    assert time.process_time() - begin < 10


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the package's own was made on Linux")
def test_the_one_that_ships_is_made_again_byte_for_byte(run: Run, data_root: Path, tmp_path: Path) -> None:
    assert run("make", "--out", "made", "--set", f"real.0.data.root={data_root}")[0] == 0
    shipped = Path(str(files("rl_postproc"))) / "trained" / "universal" / "postprocessor.safetensors"
    assert (tmp_path / "made" / "postprocessor.safetensors").read_bytes() == shipped.read_bytes()
    shutil.rmtree(tmp_path / "made")


def test_figures_on_clips_that_it_was_made_of_are_called_so(run: Run, data_root: Path, tmp_path: Path) -> None:
    desed, dcase2023 = data_root / "desed_validation", data_root / "dcase2023_task4a_baseline2"
    known = (
        "--scores",
        desed / "baseline2021_student" / "operating_points",
        "--references",
        desed / "ground_truth.tsv",
    )
    other = ("--scores", dcase2023 / "scores", "--references", dcase2023 / "ground_truth.tsv", "--subset")
    for options, told in ((known, True), (other, False)):
        code, out, err = run("evaluate", "universal", *options)
        assert code == 0 and "macro" in out and ("not held out" in err) == told
        assert err.count("not held out") <= 1
    code, _, err = run("train", "--agent", "universal", *known, "--set", "agent.labelled_clips=5", "--out", "run")
    assert code == 0 and err.count("not held out") == 1
