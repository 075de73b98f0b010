"""PANNs from its equations, and checkpoints of its layout with random weights, written without the package's own network."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

CHANNELS = (1, 64, 128, 256, 512, 1024, 2048)
FRONT_END = {
    "spectrogram_extractor.stft.conv_real.weight": (513, 1, 1024),
    "spectrogram_extractor.stft.conv_imag.weight": (513, 1, 1024),
    "logmel_extractor.melW": (513, 64),
}
HEADS = {
    "max": {"fc_audioset.weight": (527, 2048), "fc_audioset.bias": (527,)},
    "att": {
        "att_block.att.weight": (527, 2048, 1), "att_block.att.bias": (527,),
        "att_block.cla.weight": (527, 2048, 1), "att_block.cla.bias": (527,),
    },
}  # fmt: skip


def layout(head: str) -> dict[str, tuple[int, ...]]:
    """The shapes in a published checkpoint, by key."""
    shapes: dict[str, tuple[int, ...]] = {**FRONT_END, **norm("bn0", 64)}
    for i, (n_in, n_out) in enumerate(pairwise(CHANNELS), 1):
        block = f"conv_block{i}"
        shapes |= {f"{block}.conv1.weight": (n_out, n_in, 3, 3), f"{block}.conv2.weight": (n_out, n_out, 3, 3)}
        shapes |= norm(f"{block}.bn1", n_out) | norm(f"{block}.bn2", n_out)
    shapes |= {"fc1.weight": (2048, 2048), "fc1.bias": (2048,), **HEADS[head]}
    return shapes | (norm("att_block.bn_att", 527) if head == "att" else {})


def norm(name: str, n: int) -> dict[str, tuple[int, ...]]:
    keys = ("weight", "bias", "running_mean", "running_var")
    return {f"{name}.{key}": (n,) for key in keys} | {f"{name}.num_batches_tracked": ()}


def empty_weights(head: str) -> dict[str, torch.Tensor]:
    """Zeros in the published layout, which take no room in a file."""
    return {
        key: torch.zeros((), dtype=torch.int64 if "num_batches" in key else torch.float32).expand(shape)
        for key, shape in layout(head).items()
    }


def random_weights() -> dict[str, torch.Tensor]:
    """Weights of both heads with which the outputs of a network vary over time and classes."""
    generator = torch.Generator().manual_seed(7)
    spectrogram, logmel = front_end()
    found = {f"spectrogram_extractor.{key}": value for key, value in spectrogram.state_dict().items()}
    found |= {f"logmel_extractor.{key}": value for key, value in logmel.state_dict().items()}
    for key, shape in (layout("max") | layout("att")).items():
        kind = key.rpartition(".")[2]
        if key in found:
            continue
        if kind == "num_batches_tracked":
            found[key] = torch.tensor(3)
        elif ".bn" in key or key.startswith("bn0"):
            draw = torch.rand(shape, generator=generator)
            found[key] = {"weight": 0.8 + 0.4 * draw, "running_var": 0.8 + 0.4 * draw}.get(kind, 0.2 * draw - 0.1)
        else:
            size = (2 / max(1, int(np.prod(shape[1:])))) ** 0.5 if len(shape) > 1 else 0.1
            found[key] = torch.randn(shape, generator=generator) * size
    found["bn0.running_mean"] -= 25
    found["bn0.running_var"] *= 300
    return found


def of_head(weights: dict[str, torch.Tensor], head: str) -> dict[str, torch.Tensor]:
    return {key: weights[key] for key in layout(head)}


def front_end() -> tuple[torch.nn.Module, torch.nn.Module]:
    """torchlibrosa's spectrogram and filter bank with the published settings."""
    from torchlibrosa.stft import LogmelFilterBank, Spectrogram

    spectrogram = Spectrogram(
        n_fft=1024, hop_length=320, win_length=1024, window="hann", center=True, pad_mode="reflect"
    )
    unlimited: object = None
    return spectrogram, LogmelFilterBank(sr=32000, n_fft=1024, n_mels=64, fmin=50, fmax=14000, ref=1.0, amin=1e-10,
                                         top_db=unlimited)  # fmt: skip


@torch.inference_mode()
def published(weights: dict[str, torch.Tensor], head: str, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Segment-wise and frame-wise probabilities of one recording, by the equations of the publication.

    Args:
        weights: by key.
        head: ``max`` or ``att``.
        samples: float32 ``[sample]`` at 32 kHz.
    """

    def normalised(x: torch.Tensor, name: str) -> torch.Tensor:
        shape = (1, -1, 1, 1)
        mean, variance, scale, shift = (
            weights[f"{name}.{key}"].reshape(shape) for key in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / (variance + 1e-5).sqrt() * scale + shift

    spectrogram, logmel = front_end()
    x = logmel(spectrogram(torch.from_numpy(samples)[None]))  # [1, 1, frame, band]
    n_frames = x.shape[2]
    x = normalised(x.permute(0, 3, 2, 1), "bn0").permute(0, 3, 2, 1)
    for i in range(1, 7):
        for j in (1, 2):
            x = F.conv2d(x, weights[f"conv_block{i}.conv{j}.weight"], padding=1)
            x = normalised(x, f"conv_block{i}.bn{j}").relu()
        if i < 6:
            x = F.avg_pool2d(x, (2, 2))
    x = x.mean(3)[0]  # [channel, segment]
    around = F.pad(x, (1, 1), value=-torch.inf).unfold(1, 3, 1)
    x = around.amax(2) + F.pad(x, (1, 1)).unfold(1, 3, 1).mean(2)
    x = (weights["fc1.weight"] @ x + weights["fc1.bias"][:, None]).relu()
    name = "fc_audioset" if head == "max" else "att_block.cla"
    matrix = weights[f"{name}.weight"].reshape(527, 2048)
    segments = torch.sigmoid(matrix @ x + weights[f"{name}.bias"][:, None]).T.numpy()
    frames = np.repeat(segments, 32, axis=0)
    return segments, np.concatenate([frames, np.repeat(frames[-1:], n_frames - len(frames), axis=0)])


def sounds(seconds: float, rate: int = 32000, seed: int = 0) -> np.ndarray:
    """Tones and noise that come and go, float32 ``[sample]``."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    samples = 0.003 * rng.standard_normal(len(time))
    for _ in range(max(1, round(2 * seconds))):
        begin, length = rng.uniform(0, seconds), rng.uniform(0.1, 0.8)
        inside = (time >= begin) & (time < begin + length)
        tone = (
            np.sin(2 * np.pi * rng.uniform(100, 6000) * time) if rng.random() < 0.6 else rng.standard_normal(len(time))
        )
        samples += rng.uniform(0.05, 0.4) * inside * tone
    return samples.astype(np.float32)


def write_sound(path: Path, samples: np.ndarray, rate: int = 32000, subtype: str = "FLOAT") -> Path:
    import soundfile

    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, subtype=subtype)
    return path
