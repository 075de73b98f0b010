"""PANNs over recordings: windows of many of them in batches, put together again recording by recording."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from rl_postproc.catalogue import stand_in
from rl_postproc.sources.audio import Samples
from rl_postproc.sources.detector import Advance, ClipScores, digest, frames_in
from rl_postproc.sources.panns.checkpoint import load_checkpoint
from rl_postproc.sources.panns.classes import Mixer, Targets, target_classes
from rl_postproc.sources.panns.model import HOP, RATE, SEGMENT
from rl_postproc.sources.panns.windows import Window, windows
from rl_postproc.sources.recordings import Recording
from rl_postproc.utils.errors import UserError

Frames = Literal["native", "interpolated"]
SECONDS = {"native": SEGMENT * HOP / RATE, "interpolated": HOP / RATE}
"""Frame lengths: segments of 0.32 s, or the frames of 0.01 s that the published code repeats them into."""
WAITING = 8
"""Batches of windows that may wait for others of their length."""


@dataclass(eq=False)
class _Open:
    """A recording of which windows are still to come or at work."""

    recording: Recording
    samples: Samples
    parts: list[torch.Tensor] = field(default_factory=list)
    n_windows: int = 0
    n_done: int = 0
    is_read: bool = False


class Panns:
    """Cnn14_DecisionLevelMax or Cnn14_DecisionLevelAtt, with a checkpoint, as a detector.

    Attributes:
        classes: names of the target classes.
        settings: what the scores depend on.
    """

    def __init__(
        self,
        checkpoint: str | Path,
        targets: Targets = None,
        frames: Frames = "native",
        batch_size: int = 4,
        chunk: float = 32.0,
        device: str = "cpu",
    ):
        """Reads the checkpoint.

        Args:
            checkpoint: file that the authors publish, or one of the same layers; or a name of the catalogue.
            targets: target classes, see `target_classes`; all 527 when None.
            frames: ``native`` segments of 0.32 s, or ``interpolated`` to 0.01 s as the published code does.
            batch_size: windows that are computed at once.
            chunk: seconds of a window; of longer recordings there are several, with the result of the whole.
            device: torch device.

        Raises:
            UserError: the checkpoint, the classes or the device cannot be used, or a library is missing.
        """
        targets = target_classes(targets)
        self.classes, self._frames = tuple(targets), frames
        self._batch_size, self._n_segments = max(1, batch_size), max(1, round(chunk / SECONDS["native"]))
        self._device = _device(device)
        path = stand_in(checkpoint, "checkpoint")
        model = load_checkpoint(path)
        self._model, self._mixer = model.to(self._device), Mixer(targets, self._device)
        self.settings: dict[str, Any] = {
            "source": "panns", "model": model.published_name, "checkpoint": digest(path), "frames": frames,
            "classes": {name: target.model_dump() for name, target in targets.items()},
        }  # fmt: skip

    def run(self, recordings: Sequence[Recording], advance: Advance) -> Iterator[tuple[Recording, ClipScores]]:
        """See `rl_postproc.sources.Detector`."""
        for batch in self._batches(recordings):
            samples = torch.from_numpy(np.stack([window.samples for _, _, window in batch])).to(self._device)
            for (clip, place, window), probabilities in zip(batch, self._probabilities(samples), strict=True):
                clip.parts[place] = probabilities[window.skip : window.skip + window.keep]
                clip.n_done += 1
                advance(window.keep * SECONDS["native"])
                if clip.is_read and clip.n_done == clip.n_windows:
                    yield clip.recording, self._scores(clip)

    def _probabilities(self, samples: torch.Tensor) -> torch.Tensor:
        """Returns the probabilities of target classes, float32 ``[window, segment, class]`` on the CPU."""
        with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            return self._mixer(self._model(samples)).cpu()

    def _scores(self, clip: _Open) -> ClipScores:
        """Puts a recording's segments together; what is left at the end has the scores of the last of them."""
        rows, duration = torch.cat(clip.parts).numpy(), clip.samples.duration
        n_rows = frames_in(duration, SECONDS["native"])
        rows = rows[np.minimum(np.arange(n_rows), len(rows) - 1)]
        return ClipScores(rows, 1 if self._frames == "native" else SEGMENT, SECONDS[self._frames], duration)

    def _batches(self, recordings: Iterable[Recording]) -> Iterator[list[tuple[_Open, int, Window]]]:
        """Gathers windows of one length; those that have waited longest go first when too many wait."""
        waiting: dict[int, list[tuple[_Open, int, Window]]] = {}
        for recording in recordings:
            samples = Samples(recording, RATE)
            clip = _Open(recording, samples)
            ahead: Window | None = None
            for window in windows(samples, self._n_segments):
                if ahead is not None:
                    yield from self._queued(waiting, clip, ahead)
                ahead = window
            clip.is_read = True
            if ahead is not None:
                yield from self._queued(waiting, clip, ahead)
        yield from waiting.values()

    def _queued(
        self, waiting: dict[int, list[tuple[_Open, int, Window]]], clip: _Open, window: Window
    ) -> Iterator[list[tuple[_Open, int, Window]]]:
        """Adds a window to those of its length, and yields what is to be computed now."""
        length = len(window.samples)
        waiting.setdefault(length, []).append((clip, clip.n_windows, window))
        clip.parts.append(torch.empty(0))
        clip.n_windows += 1
        if len(waiting[length]) == self._batch_size:
            yield waiting.pop(length)
        elif sum(map(len, waiting.values())) >= WAITING * self._batch_size:
            yield waiting.pop(next(iter(waiting)))


def _device(name: str) -> torch.device:
    """Returns a torch device that works here."""
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        said = " ".join(str(error).split()).rstrip(".")
        raise UserError(
            f"The device '{name}' cannot be used here ({said}); give cpu, or cuda where there is one."
        ) from error
    return device
