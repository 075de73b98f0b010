"""Constants as YAML: to be read, changed, and applied as any other post-processor."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml
from program import Run, assert_one_sentence
from stack_cases import DECIDE, EVENTS, SCORES, scores_of

from rl_postproc.data.scores import ScoreSet
from rl_postproc.export.constants import write_yaml
from rl_postproc.formats import write_scores
from rl_postproc.pipeline.postprocessor import PostProcessor
from rl_postproc.pipeline.stack import Stack
from rl_postproc.utils.errors import UserError

STACKS = {
    "plain": [SCORES[2], DECIDE[2], EVENTS[0]],
    "choice": [{"stage": "one_of", "stacks": {"no": [SCORES[0], DECIDE[0]], "yes": [DECIDE[3], EVENTS[4]]}}],
}


def made(name: str) -> tuple[PostProcessor, ScoreSet]:
    arrays = {"a": scores_of(400, 7).scores[0].T.numpy()}
    scores = ScoreSet.from_arrays(arrays, hop=0.05, classes=["Cat", "no", "1: Süß"])
    stack = Stack.from_config(STACKS[name])
    rows = [
        [float(p.candidates[(i + k) % len(p.candidates)]) for k, p in enumerate(stack.space.parameters)]
        for i in range(3)
    ]
    return PostProcessor.constant(stack, scores, torch.tensor(rows)), scores


@pytest.mark.parametrize("name", STACKS)
def test_they_are_read_as_they_were(tmp_path: Path, name: str) -> None:
    processor, scores = made(name)
    write_yaml(processor, tmp_path / "own.yaml")
    again = PostProcessor.load(tmp_path / "own.yaml")
    assert (again.classes, again.hop, again.stack.units) == (processor.classes, 0.05, processor.stack.units)
    assert torch.equal(again.choose(scores), processor.choose(scores))
    found, expected = again.apply(scores), processor.apply(scores)
    assert len(found) > 3 and found.to_rows() == expected.to_rows()


def test_they_are_plain_and_may_be_changed(tmp_path: Path) -> None:
    processor, scores = made("plain")
    file = tmp_path / "own.yaml"
    write_yaml(processor, file)
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert content["stack"] == [
        {"stage": "median", "edge": "lowest"}, {"stage": "hysteresis", "extent": "forward"}, {"stage": "gap_fill"}
    ]  # fmt: skip
    assert content["units"]["median.kernel"] == "seconds" and list(content["classes"]) == ["Cat", "no", "1: Süß"]
    assert content["classes"]["Cat"]["median.kernel"] == 0.0
    content["classes"]["Cat"]["median.kernel"] = 0.33
    file.write_text(yaml.safe_dump(content))
    again = PostProcessor.load(file)
    assert again.classes is not None
    assert again.choose(scores)[again.classes.index("Cat"), 0] == torch.tensor(0.33)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("format", "x", r"holds no constants of this version"),
        ("stack", [{"stage": "medan"}], r"unknown stage 'medan'"),
        ("stack", [], r"stack"),
        ("hop", -1, r"hop"),
        ("classes", {}, r"classes"),
        ("classes", {"Cat": {"median.kernel": 0.3}}, r"do not cover each class and parameter once"),
        ("more", 1, r"more"),
    ],
)
def test_what_they_cannot_be_is_one_sentence(tmp_path: Path, key: str, value: object, message: str) -> None:
    file = tmp_path / "own.yaml"
    write_yaml(made("plain")[0], file)
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    file.write_text(yaml.safe_dump({**content, key: value}))
    with pytest.raises(UserError, match=rf"own\.yaml.*{message}"):
        PostProcessor.load(file)
    for text in ("{", "- 1", ""):
        file.write_text(text)
        with pytest.raises(UserError, match=r"own\.yaml"):
            PostProcessor.load(file)
    with pytest.raises(UserError, match="Cannot read"):
        PostProcessor.load(tmp_path / "missing.yaml")


def test_the_command_writes_both_and_apply_takes_one_back(run: Run, tmp_path: Path) -> None:
    processor, scores = made("plain")
    processor.save(tmp_path / "run")
    write_scores(scores, tmp_path / "scores")
    told = "Wrote the constants of 3 classes to own.yaml.\n"
    assert run("export", "run", "--to", "yaml", "--out", "own.yaml")[:2] == (0, told)
    for name in ("run", "own.yaml"):
        assert run("apply", name, "scores", "--out", f"{name}.tsv")[0] == 0
    assert Path("own.yaml.tsv").read_bytes() == Path("run.tsv").read_bytes()
    code, out, told = run("export", "own.yaml", "--to", "numpy", "--out", "-")
    assert code == 0 and "def events(scores, hop):" in out and "Wrote" in told
    for to in ("yaml", "numpy"):
        result = run("export", "universal", "--to", to, "--out", "new/out")
        assert_one_sentence(
            result, r"cannot be exported, since its policy 'universal' looks at the scores of each clip"
        )
    assert not Path("new").exists()
