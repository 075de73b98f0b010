"""Saving and loading what tuning yields, and the files that must be refused."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cases import make_set

from rl_postproc.data.events import Events
from rl_postproc.data.scores import ScoreSet
from rl_postproc.pipeline.policy import Policy
from rl_postproc.pipeline.postprocessor import ARTEFACT, PostProcessor, with_classes
from rl_postproc.pipeline.stack import Stack
from rl_postproc.utils.errors import UserError


class Loudness(Policy):
    """For tests: a policy with a tensor, whose threshold is a multiple of the track's mean."""

    kind = "test_loudness"

    def __init__(self, factor: torch.Tensor):
        self.factor = factor

    def choose(self, scores: ScoreSet, stack: Stack) -> torch.Tensor:
        threshold = (scores.scores.mean(-1) * self.factor).clamp(0, 1)
        return torch.stack([torch.zeros_like(threshold), threshold], -1)

    def state(self) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
        return {"note": "for tests"}, {"factor": self.factor}

    @classmethod
    def from_state(cls, values: dict[str, Any], tensors: dict[str, torch.Tensor]) -> Loudness:
        return cls(tensors["factor"])


@pytest.fixture
def scores() -> ScoreSet:
    rng = np.random.default_rng(0)
    return make_set(rng.random((4, 3, 40)), [("c0", 0.5, 1.0, "k1")], n_frames=[40, 40, 22, 1])


@pytest.fixture
def constant(scores: ScoreSet) -> PostProcessor:
    values = torch.tensor([[0.0, 0.5], [0.3, 0.7], [0.9, 0.123456789]])
    return PostProcessor.constant(Stack.default(), scores, values, {"agent": "none"})


@pytest.fixture
def learned(scores: ScoreSet) -> PostProcessor:
    return PostProcessor(Stack.default(), scores.classes, Loudness(torch.tensor([1.0, 1.2, 0.8])), scores.hop)


def test_a_saved_post_processor_decides_as_before(
    scores: ScoreSet, constant: PostProcessor, learned: PostProcessor, tmp_path: Path
) -> None:
    for name, processor in (("constant", constant), ("learned", learned)):
        path = processor.save(tmp_path / name)
        for where in (path, path.parent):
            again = PostProcessor.load(where)
            assert again.apply(scores).to_rows() == processor.apply(scores).to_rows()
            assert torch.equal(again.choose(scores), processor.choose(scores))
            assert (again.classes, again.hop, again.about) == (processor.classes, processor.hop, processor.about)
            assert again.stack.to_config() == processor.stack.to_config()
        assert len(processor.apply(scores)) > 10


def test_a_post_processor_with_a_stage_used_twice_loads_and_applies_equally(scores: ScoreSet, tmp_path: Path) -> None:
    stages = [{"stage": "median"}, {"stage": "median", "edge": "zeros"}, {"stage": "threshold"}]
    values = torch.tensor([[0.3, 0.0, 0.5], [0.0, 0.5, 0.4], [0.2, 0.3, 0.6]])
    processor = PostProcessor.constant(Stack.from_config(stages), scores, values)
    path = processor.save(tmp_path)
    table = json.loads(path.read_text())["policy"]["values"]
    assert list(table["k1"]) == ["median.kernel", "median_2.kernel", "threshold.threshold"]
    assert [list(row.values()) for row in table.values()] == [pytest.approx(row) for row in values.tolist()]
    again = PostProcessor.load(path)
    assert torch.equal(again.choose(scores), values)
    assert again.apply(scores).to_rows() == processor.apply(scores).to_rows()
    assert len(processor.apply(scores)) > 5


def test_saving_twice_gives_the_same_bytes(constant: PostProcessor, learned: PostProcessor, tmp_path: Path) -> None:
    for name, processor in (("constant", constant), ("learned", learned)):
        first, second = processor.save(tmp_path / name / "1"), processor.save(tmp_path / name / "2")
        for file in first.parent.iterdir():
            assert file.read_bytes() == (second.parent / file.name).read_bytes()


def test_constants_are_readable_and_nothing_is_pickled(
    constant: PostProcessor, learned: PostProcessor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("pickle was used")

    for name in ("load", "loads", "dump", "dumps", "Unpickler", "Pickler"):
        monkeypatch.setattr(pickle, name, forbidden)
    table = json.loads(constant.save(tmp_path / "a").read_text())["policy"]["values"]
    assert table["k1"]["threshold.threshold"] == pytest.approx(0.7)
    assert table["k2"]["median.kernel"] == pytest.approx(0.9)
    learned.save(tmp_path / "b")
    assert {f.name for f in (tmp_path / "a").iterdir()} == {ARTEFACT}
    assert {f.name for f in (tmp_path / "b").iterdir()} == {ARTEFACT, "postprocessor.safetensors"}
    PostProcessor.load(tmp_path / "a")
    PostProcessor.load(tmp_path / "b")


def test_a_truncated_json_file_is_refused_at_every_length(
    scores: ScoreSet, constant: PostProcessor, tmp_path: Path
) -> None:
    path = constant.save(tmp_path)
    whole = path.read_text()
    for length in range(0, len(whole.rstrip()), 17):
        path.write_text(whole[:length])
        with pytest.raises(UserError, match=r"truncated|damaged|not a post-processor"):
            PostProcessor.load(path)


def test_a_truncated_tensor_file_is_refused_at_every_length(learned: PostProcessor, tmp_path: Path) -> None:
    tensors = learned.save(tmp_path).with_suffix(".safetensors")
    whole = tensors.read_bytes()
    for length in range(len(whole)):
        tensors.write_bytes(whole[:length])
        with pytest.raises(UserError, match="damaged"):
            PostProcessor.load(tmp_path)


def test_a_missing_file_is_named(learned: PostProcessor, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere"):
        PostProcessor.load(tmp_path / "nowhere")
    learned.save(tmp_path).with_suffix(".safetensors").unlink()
    with pytest.raises(UserError, match=r"postprocessor\.safetensors.*beside the JSON"):
        PostProcessor.load(tmp_path)


def change(path: Path, *keys: str, value: Any = None, drop: bool = False) -> None:
    """Changes or drops one value of the JSON file."""
    content = json.loads(path.read_text())
    place = content
    for key in keys[:-1]:
        place = place[key]
    if drop:
        del place[keys[-1]]
    else:
        place[keys[-1]] = value
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        (("format",), "rl_postproc post-processor 0", "not a post-processor of this version"),
        (("format",), "rl_postproc post-processor 1", "made by an older version; train it anew"),
        (("policy", "kind"), "wizardry", "unknown policy 'wizardry'.*--plugin"),
        (("policy",), [], "damaged"),
        (("policy", "values"), 5, "damaged"),
        (("policy", "values"), {}, "damaged"),
        (("policy", "values", "k1"), {"threshold.threshold": 0.5}, "damaged"),
        (("policy", "values", "k1"), None, "damaged"),
        (("classes",), None, "damaged"),
        (("classes",), ["k0", "k1"], "damaged"),
        (("classes",), ["k0", "k1", "k3"], "damaged"),
        (("hop",), "soon", "damaged"),
        (("stack",), None, "damaged"),
        (("stack",), [{"stage": "threshold"}], "damaged"),
        (("stack",), [{"stage": "medain"}], "unknown stage 'medain'"),
    ],
)
def test_a_file_with_a_wrong_value_is_refused(
    constant: PostProcessor, tmp_path: Path, keys: tuple[str, ...], value: Any, message: str
) -> None:
    path = constant.save(tmp_path)
    change(path, *keys, value=value)
    with pytest.raises(UserError, match=message):
        PostProcessor.load(path)


@pytest.mark.parametrize(
    "keys",
    [("format",), ("policy",), ("stack",), ("classes",), ("hop",), ("about",), ("policy", "kind"), ("policy", "values"),
     ("policy", "values", "k1"), ("policy", "values", "k1", "median.kernel")],
)  # fmt: skip
def test_a_file_that_lacks_a_key_is_refused(constant: PostProcessor, tmp_path: Path, keys: tuple[str, ...]) -> None:
    path = constant.save(tmp_path)
    change(path, *keys, drop=True)
    with pytest.raises(UserError):
        PostProcessor.load(path)


@pytest.mark.parametrize("content", ["[]", "5", '"text"', "null", "", "\0\1", "{}"])
def test_another_file_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / ARTEFACT).write_text(content)
    with pytest.raises(UserError, match=ARTEFACT):
        PostProcessor.load(tmp_path)


def test_values_that_a_person_has_reordered_keep_their_classes(
    scores: ScoreSet, constant: PostProcessor, tmp_path: Path
) -> None:
    path = constant.save(tmp_path)
    table = json.loads(path.read_text())["policy"]["values"]
    moved = {name: dict(reversed(table[name].items())) for name in ("k2", "k0", "k1")}
    change(path, "policy", "values", value=moved)
    assert PostProcessor.load(path).apply(scores).to_rows() == constant.apply(scores).to_rows()


def test_tensors_of_another_run_are_refused(learned: PostProcessor, scores: ScoreSet, tmp_path: Path) -> None:
    other = PostProcessor(learned.stack, learned.classes, Loudness(torch.tensor([1.0, 1.2, 0.9])), scores.hop)
    path = learned.save(tmp_path / "a")
    shutil.copy(other.save(tmp_path / "b").with_suffix(".safetensors"), path.with_suffix(".safetensors"))
    with pytest.raises(UserError, match=r"safetensors' is damaged or of another run.*saved with"):
        PostProcessor.load(path)


def test_a_learned_policy_that_was_changed_is_refused(learned: PostProcessor, tmp_path: Path) -> None:
    path = learned.save(tmp_path)
    for keys, value in (
        (("policy", "note"), "changed"),
        (("policy", "more"), 1),
        (("classes",), ["a", "b", "c"]),
        (("stack",), [{"stage": "median"}, {"stage": "threshold", "threshold": [0.5]}]),
        (("hop",), 0.2),
        (("about",), {"metric": {"metric": "event_based"}}),
        (("sha256", "values"), "0" * 64),
    ):
        whole = path.read_text()
        change(path, *keys, value=value)
        with pytest.raises(UserError, match=r"was changed after it was saved.*undo the change"):
            PostProcessor.load(path)
        path.write_text(whole)
    change(path, "version", value="0.0.0")
    PostProcessor.load(path)


def test_constants_are_for_people_to_change_within_the_range_of_their_unit(
    scores: ScoreSet, constant: PostProcessor, tmp_path: Path
) -> None:
    path = constant.save(tmp_path)
    change(path, "policy", "values", "k1", "threshold.threshold", value=0.25)
    assert PostProcessor.load(path).choose(scores)[1].tolist() == pytest.approx([0.3, 0.25])
    for parameter, value, message in (
        ("threshold.threshold", 5, r"threshold\.threshold of 'k1' is 5, but a probability must lie in \[0, 1\]"),
        ("threshold.threshold", -0.1, r"is -0\.1, but a probability"),
        ("median.kernel", -1, r"median\.kernel of 'k1' is -1, but a length in seconds must lie in \[0, 600\]"),
        ("median.kernel", 1e9, "must lie in"),
        ("median.kernel", float("nan"), "finite"),
        ("median.kernel", "0.3", "number"),
    ):
        whole = path.read_text()
        change(path, "policy", "values", "k1", parameter, value=value)
        with pytest.raises(UserError, match=message):
            PostProcessor.load(path)
        path.write_text(whole)


def renamed(scores: ScoreSet, classes: list[str], order: list[int]) -> ScoreSet:
    return ScoreSet.build(scores.scores[:, order], scores.edges, scores.clip_ids, classes, scores.n_frames)


def test_classes_in_another_order_are_brought_in_order(scores: ScoreSet, constant: PostProcessor) -> None:
    moved = renamed(scores, ["k2", "k0", "k1"], [2, 0, 1])
    assert sorted(constant.apply(moved).to_rows()) == sorted(constant.apply(scores).to_rows())


@pytest.mark.parametrize(
    ("classes", "order", "message"),
    [
        (["k0", "k1"], [0, 1], "lack the class 'k2'"),
        (["k0", "k1", "other"], [0, 1, 2], "lack the class 'k2'"),
        (["k0", "k1", "k2", "new"], [0, 1, 2, 2], "have the class 'new'"),
    ],
)
def test_scores_of_other_classes_are_refused(
    scores: ScoreSet, constant: PostProcessor, classes: list[str], order: list[int], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        constant.apply(renamed(scores, classes, order))


def test_references_follow_their_classes(scores: ScoreSet) -> None:
    moved = with_classes(scores, ("k1", "k2", "k0"))
    assert moved.require_references().to_rows() == [("c0", 0.5, 1.0, "k1")]
    assert moved.require_references().classes == ("k1", "k2", "k0")
    assert torch.equal(moved.scores[:, 0], scores.scores[:, 1])
    assert isinstance(moved.references, Events)


def test_a_folder_that_cannot_be_written_is_named_and_left_as_it_was(constant: PostProcessor, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("here first")
    with pytest.raises(UserError, match="Cannot write"):
        constant.save(tmp_path / "file" / "run")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "here first"
