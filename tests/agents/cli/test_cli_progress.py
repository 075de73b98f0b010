"""Progress: lines where there is no terminal; counts are counts, and shares are in percent."""

from __future__ import annotations

import re
import time

import pytest
from event_agents import AGENTS, agent, small_task
from program import Run, sources
from rl_postproc.agents import make_agent
from rl_postproc.agents.cli import output

LINE = r"\[\d+:\d\d\] "


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "FIRST_LINE", 0.0)
    monkeypatch.setattr(output, "NEXT_LINE", 0.05)


@pytest.mark.parametrize(
    ("figures", "shown"),
    [
        ({}, ""),
        ({"steps": 0}, ", steps 0"),
        ({"steps": 12_000, "train_macro_f1": 0.5}, ", steps 12,000, train macro f1 50.00 %"),
        ({"passes": 4, "train_macro_f1": 0.0}, ", passes 4, train macro f1 0.00 %"),
        ({"loss": 25.0}, ", loss 2500.00 %"),
    ],
)
def test_a_line_says_what_is_done_how_much_of_it_and_the_newest_figures(
    quick: None, capsys: pytest.CaptureFixture[str], figures: dict[str, float], shown: str
) -> None:
    with output.progress() as show:
        show("training [x]", 0.254, figures)
        time.sleep(0.3)
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert not out and len(lines) >= 3  # no news, and yet it is seen that work goes on
    assert re.fullmatch(re.escape(f"training [x]: 25 %{shown}"), re.sub(LINE, "", lines[-1]))


def test_quick_work_prints_nothing_and_an_end_stops_the_lines(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with output.progress() as show:
        show("reading scores", 0.0, {})
    monkeypatch.setattr(output, "FIRST_LINE", 0.01)
    with pytest.raises(KeyError), output.progress() as show:
        raise KeyError
    capsys.readouterr()
    time.sleep(0.05)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "learner",
    [agent("tracks"), agent("exact"), agent("boosted"), make_agent({"agent": "vpg_paper", "passes": 4}),
     make_agent({"agent": "random_search", "trials": 20}), make_agent("sgl_thresh")],
    ids=lambda learner: learner.name,
)  # fmt: skip
def test_agents_tell_counts_as_integers_and_shares_as_fractions(learner) -> None:
    told: list[dict[str, float]] = []
    learner.fit(small_task(8), 0, lambda _, figures: told.append(figures))
    found = {name: value for figures in told for name, value in figures.items()}
    assert found
    for name, value in found.items():
        assert isinstance(value, int) == (name in ("steps", "passes", "epoch")), name
        assert isinstance(value, int) or 0 <= value <= 1, name


def test_train_without_a_terminal_writes_lines_on_the_error_output(quick: None, run: Run, simulated) -> None:
    settings = [f"agent.{key}={value}" for key, value in AGENTS["tracks"].items() if key != "agent"]
    code, out, err = run("train", "--out", "run", *sources(simulated), *(x for s in settings for x in ("--set", s)))
    assert code == 0
    assert not re.search(LINE, out)
    assert re.search(rf"^{LINE}training ppo: \d+ %, steps [\d,]+, train macro f1 \d+\.\d\d %$", err, re.MULTILINE)
