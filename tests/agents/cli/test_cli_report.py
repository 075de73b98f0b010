"""The command `report`: where its page goes, what it says, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
from program import SIMULATED, Run, assert_one_sentence, config_file, sources


@pytest.fixture
def runs(run: Run, tmp_path: Path) -> Path:
    """Returns the working folder, with data, a training and two benchmarks."""
    assert run("simulate", "--out", "data", *SIMULATED)[0] == 0
    assert run("train", "--agent", "grid_search", *sources(Path("data")), "--out", "tuned")[0] == 0
    for name in ("one", "two"):
        assert run("benchmark", config_file(tmp_path, agents=["default"]), "--out", name)[0] == 0
    return tmp_path


def test_a_benchmark_writes_its_page_and_prints_where(run: Run, tmp_path: Path) -> None:
    code, out, _ = run("benchmark", config_file(tmp_path, agents=["default"]), "--out", "one")
    assert code == 0
    assert out.splitlines()[-2:] == ["Look at it:", "one/report.html"]
    page = (tmp_path / "one" / "report.html").read_text()
    assert page.startswith("<!doctype html>") or page.startswith("<!DOCTYPE html>")
    assert "small" in page
    (tmp_path / "one" / "report.html").unlink()
    code, out, _ = run("report", "one")
    assert (code, out) == (0, "Wrote one/report.html.\n")
    assert (tmp_path / "one" / "report.html").read_text() == page


def test_pages_go_to_the_run_unless_it_is_said(run: Run, runs: Path) -> None:
    code, out, err = run("report", "tuned")
    assert (code, out) == (0, "Wrote tuned/report.html.\n")
    assert "optimistic" in err
    assert run("report", "one", "two")[1] == "Wrote two/compared.html.\n"
    code, out, _ = run("report", "universal", *sources(Path("data")))
    assert (code, out) == (0, "Wrote report.html.\n")
    code, out, err = run("report", "tuned", "--out", "-")
    assert code == 0 and "<title>" in out and "Wrote" in err
    # A new training does not leave the page of an older one.
    assert run("train", "--agent", "default", *sources(Path("data")), "--out", "tuned")[0] == 0
    assert not (runs / "tuned" / "report.html").exists()


def test_refusals_leave_nothing_behind(run: Run, runs: Path) -> None:
    (runs / "silence").mkdir()
    assert_one_sentence(run("report", "one", "tuned", "--out", "x.html"), "other references for the same clips")
    assert_one_sentence(
        run("report", "one", "--durations", "data/durations.tsv", "--out", "x.html"), "give --scores too"
    )
    assert_one_sentence(run("report", "one", "--audio", "silence", "--out", "x.html"), "silence")
    assert_one_sentence(run("report", "tuned", "--set", "metric.t_collar=x", "--out", "x.html"), "t_collar")
    assert_one_sentence(run("report", "one", "--set", "metric.t_collar=1", "--out", "x.html"), "leave out --set")
    assert not (runs / "x.html").exists()
