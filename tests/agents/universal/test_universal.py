"""The post-processor that comes trained: any detector, class and frame length, no references, and what it says of itself."""

from __future__ import annotations

import hashlib
import re
from importlib.resources import files
from pathlib import Path

import pytest
import torch
from program import Run, assert_one_sentence
from rl_postproc.agents.base import make_agent
from rl_postproc.agents.events import policy as event_policy
from rl_postproc.agents.universal.augment import resampled
from rl_postproc.agents.universal.make import Recipe, SimulatedSources, fit_universal, post_processor, training_sets

from rl_postproc import PostProcessor, ScoreSet, evaluate
from rl_postproc.candidates import features
from rl_postproc.formats import read_events, write_scores
from rl_postproc.simulation.config import SimulationConfig
from rl_postproc.simulation.data_set import simulate
from rl_postproc.task import TuningTask
from rl_postproc.utils.errors import UserError

SMALL = Recipe(simulated=SimulatedSources(detectors=6, clips=25), rounds=30, leaves=15)


def strangers() -> ScoreSet:
    """Clips of a simulated detector that is in no recipe, of classes that no one knows."""
    return simulate(SimulationConfig(n_clips=60, n_classes=5, seed=123_456))


def macro(scores: ScoreSet, processor: PostProcessor) -> float:
    return evaluate(scores.require_references(), processor.apply(scores)).score.macro


@pytest.mark.parametrize("hop", [0.02, 0.064, 0.15])
def test_the_shipped_one_beats_threshold_one_half_on_strangers(hop: float) -> None:
    scores = resampled(strangers(), hop)
    default = make_agent("default").fit(TuningTask.build(scores), 0).post_processor
    assert macro(scores, PostProcessor.load("universal")) > macro(scores, default) + 0.05


def test_equal_recipes_give_equal_bytes(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        sets = list(training_sets(SMALL, []))
        post_processor(fit_universal(SMALL, sets), SMALL, 1).save(tmp_path / folder)
    first, again = (sorted((tmp_path / folder).iterdir()) for folder in ("a", "b"))
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in again] and len(first) == 2
    loaded, scores = PostProcessor.load(tmp_path / "a"), strangers()
    assert (loaded.classes, loaded.hop) == (None, None)
    assert len(loaded.apply(scores))


def test_tags_are_refused() -> None:
    scores = ScoreSet.build(torch.rand(4, 2, 1), torch.tensor([0.0, 10.0]), ("a", "b", "c", "d"), ("x", "y"))
    with pytest.raises(UserError, match="one frame each"):
        PostProcessor.load("universal").apply(scores)


def test_the_program_applies_it_and_hears_a_wish(run: Run, tmp_path: Path) -> None:
    write_scores(strangers(), tmp_path / "scores")
    n = {}
    for wish in ([], ["--precision", "0.75"], ["--events-per-hour", "20"]):
        code, out, _ = run("apply", "universal", "scores", "--out", "events.tsv", *wish)
        assert code == 0 and "60 clips" in out
        n[wish[0] if wish else ""] = sum(event.label is not None for event in read_events(tmp_path / "events.tsv"))
    assert n[""] > n["--precision"] > 0 and n[""] > n["--events-per-hour"] > 0
    for wish, told in (("--precision", "precision of 0.99"), ("--recall", "recall of 0.99")):
        code, _, said = run("apply", "universal", "scores", "--out", "x.tsv", wish, "0.99")
        assert code == 0 and told in said
    assert_one_sentence(run("apply", "universal", "scores", "--out", "x.tsv", "--recall", ".5", "--precision", ".5"),
                        r"--precision and --recall cannot both decide")  # fmt: skip
    make_agent("default").fit(TuningTask.build(strangers()), 0).post_processor.save(tmp_path / "own")
    assert_one_sentence(run("apply", "own", "scores", "--out", "x.tsv", "--recall", ".5"), r"--recall is a wish to")


def test_the_card_tells_size_and_checksum() -> None:
    folder = Path(str(files("rl_postproc"))) / "trained" / "universal"
    content = (folder / "postprocessor.safetensors").read_bytes()
    assert sum(path.stat().st_size for path in folder.iterdir()) < 5e6
    card = (folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert re.findall(r"[0-9a-f]{64}", card) == [hashlib.sha256(content).hexdigest()]


def test_the_classes_of_a_long_clip_are_judged_by_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = simulate(SimulationConfig(n_clips=1, n_classes=4, clip_seconds=120, seed=11))
    processor = PostProcessor.load("universal")
    judged = [processor.policy.judge(scores, processor.stack)]  # type: ignore[attr-defined]
    parts = []
    real = event_policy.decode_candidates
    monkeypatch.setattr(
        event_policy, "decode_candidates", lambda part, *x: parts.append(part.classes) or real(part, *x)
    )
    monkeypatch.setattr(event_policy, "_LONG", 2 * scores.width)
    monkeypatch.setattr(features, "_EVENTS", 100)
    judged.append(processor.policy.judge(scores, processor.stack))  # type: ignore[attr-defined]
    assert parts == [scores.classes[:2], scores.classes[2:]]
    assert len(judged[0].events) > 100
    for name in ("track", "first", "last"):
        assert torch.equal(getattr(judged[0].events, name), getattr(judged[1].events, name))
    assert torch.equal(judged[0].probability, judged[1].probability)
    assert torch.allclose(judged[0].description.values, judged[1].description.values, rtol=1e-12)
