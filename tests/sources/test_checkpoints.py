"""Checkpoints that are none: one sentence each, and nothing in them is run."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from panns_cases import empty_weights

pytest.importorskip("torchlibrosa")

from rl_postproc import UserError
from rl_postproc.sources.panns.checkpoint import load_checkpoint


class Hostile:
    """Writes a file when it is unpickled."""

    def __init__(self, place: Path):
        self.place = place

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.touch, (self.place,)


@pytest.mark.parametrize(("head", "name"), [("max", "Cnn14DecisionLevelMax"), ("att", "Cnn14DecisionLevelAtt")])
@pytest.mark.parametrize("is_bare", [False, True])
def test_the_layers_tell_the_network(tmp_path: Path, head: str, name: str, is_bare: bool) -> None:
    weights = {key: value for key, value in empty_weights(head).items() if "num_batches" not in key}
    torch.save(weights if is_bare else {"model": weights}, tmp_path / "c.pth")
    model = load_checkpoint(tmp_path / "c.pth")
    assert type(model).__name__ == name and not model.training
    assert not any(parameter.requires_grad or parameter.is_meta for parameter in model.parameters())


@pytest.mark.parametrize("is_zip", [True, False])
def test_nothing_in_a_checkpoint_is_run(tmp_path: Path, is_zip: bool) -> None:
    content = {"model": {**empty_weights("max"), "extra": Hostile(tmp_path / "touched")}}
    torch.save(content, tmp_path / "c.pth", _use_new_zipfile_serialization=is_zip)
    with pytest.raises(UserError, match=r"'.*c\.pth' holds more than weights: .* not loaded; where you trust it"):
        load_checkpoint(tmp_path / "c.pth")
    assert not (tmp_path / "touched").exists()
    pickle.loads(pickle.dumps(Hostile(tmp_path / "touched")))
    assert (tmp_path / "touched").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fc1.bias": None}, r"no checkpoint of Cnn14_DecisionLevelMax: it lacks 1 of its \d+ layers' values \('fc1.bias'\); "
                             "give the checkpoint of"),
        ({"module.fc1.bias": torch.zeros(1)}, r"it has 1 others \('module.fc1.bias'\)"),
        ({"spectrogram_extractor.stft.conv_real.weight": torch.zeros(257, 1, 512)},
         r"conv_real.weight' is float32 \[257, 1, 512\] where float32 \[513, 1, 1024\] belongs"),
        ({"fc1.bias": torch.zeros(2048, dtype=torch.float16)}, r"'fc1.bias' is float16 \[2048\] where float32"),
        ({"fc1.bias": 3}, "'fc1.bias' is int where float32"),
        ({"fc1.bias": torch.full((2048,), torch.nan)}, "is damaged: 'fc1.bias' holds values that are no numbers"),
    ],
)  # fmt: skip
def test_weights_of_another_network_are_refused(tmp_path: Path, change: dict[str, object], message: str) -> None:
    weights = {key: value for key, value in {**empty_weights("max"), **change}.items() if value is not None}
    torch.save({"model": weights}, tmp_path / "c.pth")
    with pytest.raises(UserError, match=message):
        load_checkpoint(tmp_path / "c.pth")


@pytest.mark.parametrize("is_zip", [True, False])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.999])
def test_a_truncated_checkpoint_is_told(tmp_path: Path, is_zip: bool, share: float) -> None:
    path = tmp_path / "c.pth"
    torch.save({"model": {"fc1.weight": torch.zeros(10_000)}}, path, _use_new_zipfile_serialization=is_zip)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(UserError, match="cannot be read as a checkpoint; it may be truncated"):
        load_checkpoint(path)


@pytest.mark.parametrize("content", [b"<html>Not Found</html>" * 9, pickle.dumps({"model": 3}), b"\x80\x02\x00"])
def test_other_files_are_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "c.pth").write_bytes(content)
    with pytest.raises(UserError, match="cannot be read as a checkpoint"):
        load_checkpoint(tmp_path / "c.pth")


@pytest.mark.parametrize("content", [[1, 2], {"model": {}}, {"model": torch.zeros(3)}, {3: torch.zeros(3)}])
def test_files_without_layers_are_told(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "c.pth")
    with pytest.raises(UserError, match=r"holds no weights by layer, \{'model': …\}; give the checkpoint of"):
        load_checkpoint(tmp_path / "c.pth")


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"Cannot read '.*c\.pth': No such file"):
        load_checkpoint(tmp_path / "c.pth")


def test_a_missing_library_is_told_with_its_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    torch.save({"model": empty_weights("max")}, tmp_path / "c.pth")
    monkeypatch.setitem(__import__("sys").modules, "torchlibrosa.stft", None)
    with pytest.raises(UserError, match=r'torchlibrosa .*pip install "rl-postproc\[panns\]"'):
        load_checkpoint(tmp_path / "c.pth")
