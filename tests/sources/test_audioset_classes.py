"""AudioSet's classes and the target classes made of them."""

from __future__ import annotations

import csv
import hashlib
from importlib.resources import files
from pathlib import Path

import pytest
import torch

from rl_postproc import UserError
from rl_postproc.sources.panns.classes import SHIPPED, Mixer, audioset_classes, target_classes


def test_the_names_are_those_that_audioset_publishes() -> None:
    data = (files("rl_postproc.sources.panns") / "class_labels_indices.csv").read_bytes()
    # Of storage.googleapis.com/us_audioset/youtube_corpus/v1/csv/class_labels_indices.csv.
    assert hashlib.sha256(data).hexdigest() == "cdd1049833c4b86127c2773ac0d14a2754b6a6d0d1798002ed5c66e699708429"
    names = audioset_classes()
    assert len(names) == len(set(names)) == 527
    known = {0: "Speech", 74: "Dog", 81: "Cat", 137: "Music", 364: "Dishes, pots, and pans", 377: "Vacuum cleaner",
             526: "Field recording"}  # fmt: skip
    assert {i: names[i] for i in known} == known


def test_the_shipped_mapping_has_the_classes_of_desed(data_root: Path) -> None:
    with (data_root / "desed_validation" / "ground_truth.tsv").open(encoding="utf-8") as file:
        labels = {row["event_label"] for row in csv.DictReader(file, delimiter="\t")} - {""}
    assert sorted(target_classes("desed")) == sorted(labels)


def test_shipped_mappings_make_each_audioset_class_part_of_one_target() -> None:
    for name in SHIPPED:
        parts = [part for target in target_classes(name).values() for part in target.of]
        assert len(set(parts)) == len(parts) > 10


def test_a_mapping_may_be_given_in_every_form(tmp_path: Path) -> None:
    path = tmp_path / "map.yaml"
    path.write_text("Pet: {of: [Dog, Cat], by: noisy_or}\nVoice: [Speech]\nMusic: Music\n")
    found = {name: (target.of, target.by) for name, target in target_classes(path).items()}
    assert found == {
        "Pet": (["Dog", "Cat"], "noisy_or"), "Voice": (["Speech"], "maximum"), "Music": (["Music"], "maximum")
    }  # fmt: skip
    assert list(target_classes(["Dog", "Cat"])) == ["Dog", "Cat"]
    assert tuple(target_classes(None)) == audioset_classes()


def test_mixing_is_exact_for_sure_and_impossible_parts() -> None:
    targets = target_classes({"any": {"of": ["Speech", "Dog"], "by": "noisy_or"}, "most": ["Dog", "Cat", "Bark"]})
    p = torch.zeros(3, 527)
    p[1, [0, 74]] = torch.tensor([1.0, 0.5])
    p[2, [0, 74, 75]] = torch.tensor([0.5, 0.5, 0.9])
    assert Mixer(targets)(p).tolist() == [[0, 0], [1, 0.5], [0.75, pytest.approx(0.9)]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Dog: [Dogg]", r"'Dog' is made of 'Dogg', which is no AudioSet class; did you mean 'Dog'\."),
        ("Dog: {of: [Dog], by: mean}", "'Dog': 'by' is 'mean'"),
        ("Dog: {of: [Dog], bye: maximum}", "'Dog': unknown key 'bye'; did you mean 'by'"),
        ("Dog: []", "'Dog': 'of'"),
        ("Dog: 3", "'Dog' must be AudioSet names"),
        ("3: [Dog]", "must hold AudioSet names by target class"),
        ("just text", "must hold AudioSet names by target class"),
        ("{}", "names no class"),
        ('"a\\tb": [Dog]', "cannot head a column"),
        ("Dog: [Dog", "is not YAML"),
    ],
)
def test_a_wrong_mapping_is_told(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "map.yaml").write_text(text)
    with pytest.raises(UserError, match=message):
        target_classes(tmp_path / "map.yaml")


def test_a_misspelt_mapping_is_told() -> None:
    with pytest.raises(UserError, match=r"Cannot read the mapping of classes 'dessed' .*did you mean 'desed'"):
        target_classes("dessed")
