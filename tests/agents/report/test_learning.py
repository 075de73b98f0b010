"""Learning curves in a report: the steps of each fold, apart where they begin anew."""

from __future__ import annotations

from rl_postproc.agents.report.learning import learning_section

from rl_postproc.report.contents import Chart

FOLD = [{"steps": 0, "train_macro_f1": 0.1}, {"steps": 50, "train_macro_f1": 0.4, "held_out_macro_f1": 0.3},
        {"steps": 0, "train_macro_f1": 0.1}, {"steps": 50, "train_macro_f1": 0.5, "held_out_macro_f1": 0.35}]  # fmt: skip


def test_members_and_refits_are_lines_of_their_own() -> None:
    section = learning_section({"ppo": [FOLD, FOLD[:2]], "grid_search": [[]]}, {}, "f1")
    assert section is not None
    (chart,) = section.parts
    assert isinstance(chart, Chart)
    assert list(chart.figures) == ["ppo"]
    first, second, watched = chart.figures["ppo"]["data"]
    assert (first["name"], second["name"]) == ("training clips, fold 1", "training clips, fold 2")
    assert first["x"] == [0, 50, None, 0, 50]
    assert first["y"] == [10, 40, None, 10, 50]
    assert second["x"] == [0, 50]
    assert (watched["name"], watched["x"]) == ("clips set aside, fold 1", [50, None, 50])


def test_labelled_clips_are_drawn_and_nothing_is_where_nothing_was_learned() -> None:
    assert learning_section({"grid_search": [[]]}, {}, "f1") is None
    points = [{"clips": 5, "value": 0.2, "low": 0.1, "high": 0.3}, {"clips": 50, "value": 0.4, "low": 0.3, "high": 0.5}]
    section = learning_section({}, {"learning_curve": {"universal": points}}, "f1")
    assert section is not None
    (trace,) = section.parts[0].figures[""]["data"]  # pyright: ignore[reportAttributeAccessIssue]
    assert (trace["x"], trace["y"]) == ([5, 50], [20, 40])
