"""PANNs: equal to the equations of the publication, whole or in chunks, alone or in batches."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from panns_cases import layout, of_head, published, random_weights, sounds, write_sound

pytest.importorskip("torchlibrosa")

from rl_postproc.sources import ClipScores, find_recordings, score_set
from rl_postproc.sources.panns import Panns, audioset_classes
from rl_postproc.sources.panns.model import Cnn14DecisionLevelAtt, Cnn14DecisionLevelMax


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    return random_weights()


@pytest.fixture(scope="module")
def checkpoints(
    weights: dict[str, torch.Tensor], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Path]]:
    """Files of both kinds: as torch writes them today, and as it did when the published ones were made."""
    folder = tmp_path_factory.mktemp("checkpoints")
    paths = {head: folder / f"{head}.pth" for head in ("max", "att")}
    torch.save({"iteration": 600000, "model": of_head(weights, "max")}, paths["max"])
    torch.save({"model": of_head(weights, "att")}, paths["att"], _use_new_zipfile_serialization=False)
    yield paths
    for path in paths.values():
        path.unlink()


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    """5.23 seconds: 16 segments, and 11 frames that fill none."""
    samples = sounds(5.23)
    return write_sound(tmp_path_factory.mktemp("audio") / "a.wav", samples), samples


@pytest.fixture(scope="module")
def expected(weights: dict[str, torch.Tensor], recording: tuple[Path, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Cnn14_DecisionLevelMax on the recording: segments and frames."""
    return published(weights, "max", recording[1])


def scored(panns: Panns, *paths: Path) -> dict[str, ClipScores]:
    told: list[float] = []
    found = {one.clip: scores for one, scores in panns.run(find_recordings(paths), told.append)}
    seconds = sum(scores.duration for scores in found.values())
    assert sum(told) == pytest.approx(seconds, abs=0.32 * len(paths))
    return found


@pytest.mark.parametrize(("head", "kind"), [("max", Cnn14DecisionLevelMax), ("att", Cnn14DecisionLevelAtt)])
def test_the_layers_are_called_and_shaped_as_in_the_published_checkpoints(head: str, kind: type) -> None:
    assert {key: tuple(value.shape) for key, value in kind().state_dict().items()} == layout(head)


@pytest.mark.parametrize("head", ["max", "att"])
def test_scores_equal_the_equations_at_segments_and_at_frames(
    head: str,
    checkpoints: dict[str, Path],
    weights: dict[str, torch.Tensor],
    recording: tuple[Path, np.ndarray],
    expected: tuple[np.ndarray, np.ndarray],
) -> None:
    path, samples = recording
    segments, frames = expected if head == "max" else published(weights, head, samples)
    assert segments.shape == (16, 527) and frames.shape == (524, 527)
    assert segments.std(0).mean() > 0.02 and segments.std(1).mean() > 0.02  # they vary over time and classes
    native = scored(Panns(checkpoints[head]), path)["a"]
    # The 17th frame is what is left at the end, with the scores of the 16th as in the published code.
    np.testing.assert_allclose(native.frames, segments[[*range(16), 15]], rtol=0, atol=1e-5)
    np.testing.assert_array_equal(native.edges, [*np.round(np.arange(17) * 0.32, 6), 5.23])
    if head == "max":
        clip = scored(Panns(checkpoints[head], frames="interpolated"), path)["a"]
        # The last of the 524 begins where the recording ends.
        np.testing.assert_allclose(clip.frames, frames[:523], rtol=0, atol=1e-5)
        np.testing.assert_allclose(clip.edges, np.arange(524) / 100, rtol=0, atol=1e-9)


def test_chunks_give_what_the_whole_gives_in_any_batch(
    checkpoints: dict[str, Path],
    weights: dict[str, torch.Tensor],
    recording: tuple[Path, np.ndarray],
    expected: tuple[np.ndarray, np.ndarray],
    tmp_path: Path,
) -> None:
    path, samples = recording
    backwards = samples[::-1].copy()
    other = write_sound(tmp_path / "b.wav", backwards)
    short = write_sound(tmp_path / "c.wav", sounds(0.1, seed=3))
    found = scored(Panns(checkpoints["max"], chunk=1.28, batch_size=3), path, other, short)
    for name, segments in (("a", expected[0]), ("b", published(weights, "max", backwards)[0])):
        np.testing.assert_allclose(found[name].scores[:16], segments, rtol=0, atol=1e-5)
    # A recording shorter than a segment is padded with silence, and cut again.
    padded = np.concatenate([sounds(0.1, seed=3), np.zeros(7040, dtype=np.float32)])
    np.testing.assert_allclose(found["c"].scores, published(weights, "max", padded)[0], rtol=0, atol=1e-5)
    np.testing.assert_array_equal(found["c"].edges, [0, 0.1])


def test_target_classes_are_made_of_audioset_classes(
    checkpoints: dict[str, Path], recording: tuple[Path, np.ndarray], expected: tuple[np.ndarray, np.ndarray]
) -> None:
    targets = {
        "Pets": {"of": ["Dog", "Cat", "Bark"], "by": "noisy_or"},
        "Voice": ["Speech", "Singing"],
        "Music": "Music",
    }
    found = score_set(Panns(checkpoints["max"], targets), [recording[0]])
    p = {name: expected[0][:, i].astype(np.float64) for i, name in enumerate(audioset_classes())}
    mixed = np.stack([
        1 - (1 - p["Dog"]) * (1 - p["Cat"]) * (1 - p["Bark"]), np.maximum(p["Speech"], p["Singing"]), p["Music"]
    ])  # fmt: skip
    assert found.classes == ("Pets", "Voice", "Music") and found.clip_ids == ("a",)
    np.testing.assert_allclose(found.scores[0, :, :16].numpy(), mixed, rtol=0, atol=1e-5)
    assert found.durations.tolist() == [5.23] and found.n_frames.tolist() == [17] and found.hop == 0.32


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_a_gpu_gives_what_the_cpu_gives(checkpoints: dict[str, Path], recording: tuple[Path, np.ndarray]) -> None:
    path, _ = recording
    gpu, cpu = (scored(Panns(checkpoints["att"], device=device), path)["a"].scores for device in ("cuda", "cpu"))
    np.testing.assert_allclose(gpu, cpu, rtol=0, atol=1e-4)
