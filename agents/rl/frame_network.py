"""The learned event policy's network: convolutions over frame-level scores, pooled inside and at the edges of events.

No feature is made by hand: an event is described by what the convolutions make of the scores at its first frame, at its
last frame and, on average, between them, beside its length and its class. Convolutions are dilated and neither strided
nor pooled, so that boundaries keep their place. One network serves all classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

_DILATIONS = (1, 2, 4, 8)
"""With first kernels of 5 frames, a frame sees 17 frames to either side."""

_LEAST = 1e-3
"""Scores nearer than this to 0 or 1 look alike to the network."""


@dataclass(frozen=True)
class PlacedEvents:
    """Events on the tracks of a batch.

    Attributes:
        track: position in the batch of each event's track, int64 ``[event]``.
        first: first active frame, int64 ``[event]``.
        last: last active frame, int64 ``[event]``.
        geometry: logarithm of the length in seconds, 1 where the event touches the clip's start, and its end, float32
            ``[event, 3]``.
    """

    track: torch.Tensor
    first: torch.Tensor
    last: torch.Tensor
    geometry: torch.Tensor


class FrameEncoder(nn.Module):
    """Dilated residual convolutions over tracks: a code for every frame."""

    def __init__(self, channels: int):
        super().__init__()
        # Two-dimensional with height 1: channels-last convolutions are twice as fast on a CPU.
        self.first = nn.Conv2d(3, channels, (1, 5), padding=(0, 2))
        self.blocks = nn.ModuleList(
            nn.Conv2d(channels, channels, (1, 3), padding=(0, d), dilation=(1, d)) for d in _DILATIONS
        )
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    def forward(self, scores: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Encodes tracks ``[track, frame]`` in [0, 1] with masks (1 where a frame exists), ``[track, frame, channel]``."""
        kept = mask[:, None, None]
        spread = torch.logit(scores.clamp(_LEAST, 1 - _LEAST)) * mask / 7
        x = torch.stack([scores, spread, mask], 1)[:, :, None].contiguous(memory_format=torch.channels_last)
        # What lies beyond a clip's end stays 0, or its code would depend on how far it happens to be padded.
        x = self.first(x).relu_() * kept
        for block in self.blocks:
            x = (x + block(x).relu_()) * kept
        return x[:, :, 0].transpose(1, 2)


class PooledEventNetwork(nn.Module):
    """From frame-level scores to a value of each event."""

    def __init__(self, n_classes: int, channels: int, hidden: int):
        super().__init__()
        self.settings = {"n_classes": n_classes, "channels": channels, "hidden": hidden}
        self.encoder = FrameEncoder(channels)
        self.embedding = nn.Embedding(n_classes, 8)
        self.layers = nn.Sequential(
            nn.Linear(3 * channels + 3 + 8, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, 1),
        )
        # All candidates are equally likely at the start.
        last = self.layers[-1]
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def forward(
        self, scores: torch.Tensor, mask: torch.Tensor, label: torch.Tensor, events: PlacedEvents
    ) -> torch.Tensor:
        """Returns values of events ``[event]``.

        Args:
            scores: tracks, float32 ``[track, frame]``.
            mask: 1 where a frame exists, float32 ``[track, frame]``.
            label: class of each track, int64 ``[track]``.
            events: events on these tracks.
        """
        code = self.encoder(scores, mask)
        width = code.shape[1]
        running = nn.functional.pad(code.cumsum(1), (0, 0, 1, 0)).flatten(0, 1)
        frames, begin, track = code.flatten(0, 1), events.track * width, events.track
        after = running[begin + track + events.last + 1]
        inside = (after - running[begin + track + events.first]) / (events.last - events.first + 1)[:, None]
        edges = frames[begin + events.first], frames[begin + events.last]
        return self.layers(torch.cat([*edges, inside, events.geometry, self.embedding(label)[track]], 1))[:, 0]
