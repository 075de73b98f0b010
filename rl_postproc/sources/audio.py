"""Samples of a recording: mono, at the rate that is asked for, block by block."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from rl_postproc.sources.recordings import EXTRA, Recording, open_sound, reason
from rl_postproc.utils.errors import UserError, warn
from rl_postproc.utils.memory import require_memory

BLOCK = 1 << 18
"""Samples of a channel that are read at a time."""


class Samples:
    """The samples of a recording in blocks, of which it never holds more than one.

    Attributes:
        rate: samples a second that are given.
        duration: length in seconds of what was read so far, by the file's own samples.
    """

    def __init__(self, recording: Recording, rate: int | None = None):
        """Prepares reading.

        Args:
            recording: what to read.
            rate: samples a second to resample to; the file's own when None.
        """
        self._recording, self.rate = recording, rate or recording.rate
        self._n_read = 0

    @property
    def duration(self) -> float:
        """Seconds that were read, to the microsecond."""
        return max(round(self._n_read / self._recording.rate, 6), 1e-6) if self._n_read else 0.0

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yields blocks of the mean over the channels, float32 ``[sample]``.

        Warns:
            DataWarning: the file ends before its header says.

        Raises:
            UserError: the file is damaged, empty, or holds samples that are no numbers.
        """
        self._n_read = 0
        blocks = self._mono()
        yield from blocks if self.rate == self._recording.rate else self._resampled(blocks)

    def _mono(self) -> Iterator[np.ndarray]:
        path, rate = self._recording.path, self._recording.rate
        with open_sound(path) as sound:
            while True:
                try:
                    block = sound.read(BLOCK, dtype="float32", always_2d=True)
                except RuntimeError as error:
                    raise UserError(f"'{path}' cannot be read beyond {self._n_read / rate:.3f} s ({reason(error)}); it is "
                                    "damaged or truncated, mend it or leave it out.") from error  # fmt: skip
                if not len(block):
                    break
                mono = block[:, 0] if block.shape[1] == 1 else block.mean(1, dtype=np.float32)
                if not np.isfinite(mono).all():
                    first = (self._n_read + int(np.argmin(np.isfinite(mono)))) / rate
                    raise UserError(f"'{path}' holds samples that are no numbers, the first at {first:.3f} s; write it "
                                    "again, or leave it out.")  # fmt: skip
                self._n_read += len(mono)
                yield np.ascontiguousarray(mono)
        if not self._n_read:
            raise UserError(f"'{path}' holds no samples; it may be damaged, leave it out.")
        if self.duration < self._recording.duration - 0.001:
            warn(f"'{path}' ends at {self.duration:.3f} s, where its header says {self._recording.duration:.3f} s; it may be "
                 "truncated, what is there is used.")  # fmt: skip

    def _resampled(self, blocks: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        stream = _soxr().ResampleStream(self._recording.rate, self.rate, 1, dtype="float32")
        for block in blocks:
            if len(out := stream.resample_chunk(block)):
                yield out
        if len(out := stream.resample_chunk(np.zeros(0, dtype=np.float32), last=True)):
            yield out


def read_audio(recording: Recording, rate: int | None = None) -> tuple[np.ndarray, int, float]:
    """Reads a whole recording.

    Args:
        recording: what to read.
        rate: samples a second to resample to; the file's own when None.

    Returns:
        The mean over the channels, float32 ``[sample]``; its rate; and its length in seconds.

    Raises:
        UserError: it cannot be read, see `Samples`, or would take more than half the memory.
    """
    samples = Samples(recording, rate)
    what = f"'{recording.path}' with its {recording.duration:.0f} s"
    require_memory(8.0 * recording.duration * samples.rate, what, "split it")
    return np.concatenate(list(samples)), samples.rate, samples.duration


def _soxr() -> Any:
    try:
        import soxr
    except ImportError as error:
        raise UserError(f"Resampling needs soxr ({error}); install it: {EXTRA}.") from error
    return soxr
