"""The plain policy: one-dimensional convolutions over the score track, one logit for each value of each parameter."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from rl_postproc.data.scores import ScoreSet
from rl_postproc.pipeline.policy import Policy
from rl_postproc.pipeline.saved import Count, MadeFor, Saved, Shapes, weights_of
from rl_postproc.pipeline.stack import Stack
from rl_postproc.task import TuningTask

from ..actor import Actor
from .frame_tracks import FrameTracks


class TrackEncoder(nn.Module):
    """Convolutions over one track, pooled over its existing frames, beside the class: the same weights for all classes."""

    def __init__(self, n_classes: int, channels: int):
        super().__init__()
        shapes = ((1, 7), (channels, 7), (channels, 5))
        self.convolutions = nn.ModuleList(
            nn.Conv1d(n, channels, kernel, stride=2, padding=kernel // 2) for n, kernel in shapes
        )
        self.size = 2 * channels + n_classes

    def forward(self, scores: torch.Tensor, mask: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """Encodes tracks ``[track, frame]`` of any length with masks and one-hot classes ``[track, class]``."""
        x, kept = scores[:, None], mask[:, None]
        for convolution in self.convolutions:
            kept = nn.functional.max_pool1d(kept, 2, ceil_mode=True)
            # What lies beyond a clip's end stays 0, or its code would depend on how far it happens to be padded.
            x = convolution(x).relu() * kept
        return torch.cat([x.sum(-1) / kept.sum(-1).clamp(min=1), x.amax(-1), label], 1)


class TrackNetwork(nn.Module):
    """Encoder and a head with one hidden layer: logits of the values of all parameters of a track."""

    def __init__(self, n_classes: int, channels: int, hidden: int, sizes: list[int]):
        super().__init__()
        self.settings = {"n_classes": n_classes, "channels": channels, "hidden": hidden, "sizes": list(sizes)}
        self.encoder = TrackEncoder(n_classes, channels)
        self.head = nn.Sequential(nn.Linear(self.encoder.size, hidden), nn.ReLU(), nn.Linear(hidden, sum(sizes)))
        self._sizes, self._n_classes = list(sizes), n_classes

    def forward(self, scores: torch.Tensor, mask: torch.Tensor, label: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Returns the logits of each parameter ``[track, value]`` of tracks ``[track, frame]``, classes ``[track]``."""
        one_hot = nn.functional.one_hot(label, self._n_classes).float()
        return self.head(self.encoder(scores, mask, one_hot)).split(self._sizes, 1)


class TrackActor(Actor):
    """Logits of all candidates for batches of tracks of a task: sums over the parameters of the logits of their values."""

    def __init__(self, task: TuningTask, channels: int, hidden: int):
        """Takes a task and the settings of the network."""
        super().__init__(task.table.decides().flatten(), task.scores.n_classes)
        self.network = TrackNetwork(self.n_classes, channels, hidden, task.stack.space.action_sizes(None))
        # Small logits at the start.
        nn.init.orthogonal_(self.network.head[-1].weight, 0.01)  # pyright: ignore[reportArgumentType]
        self._tracks = FrameTracks(task.scores, task.scores.hop)

    def logits(self, tracks: torch.Tensor) -> torch.Tensor:
        """See `Actor.logits`."""
        found = torch.zeros(len(tracks), 1)
        for own in self.network(*self._tracks(tracks)):
            found = (found[:, :, None] + own[:, None]).flatten(1)
        return found


class TrackSize(Saved):
    """Sizes of the network."""

    n_classes: Count
    channels: Count
    hidden: Count
    sizes: list[Count]


class SavedTracks(Saved):
    """The sizes of the network, and the seconds per frame that it knows."""

    settings: TrackSize
    step: float

    def tensors(self, made: MadeFor) -> Shapes:
        """See `Saved.tensors`."""
        size = self.settings
        made.same_hop(self.step)
        made.equal(n_classes=(size.n_classes, len(made.classes)), sizes=(size.sizes, list(made.stack.space.sizes)))
        return weights_of(lambda: TrackNetwork(**size.model_dump()))


class TrackPolicy(Policy):
    """A trained policy: the most probable value of each parameter for each track."""

    kind = "ppo_tracks"
    saved = SavedTracks

    def __init__(self, network: TrackNetwork, step: float):
        """Takes the network, and the seconds per frame that it was trained on."""
        self.network, self.step = network.requires_grad_(False), step

    @classmethod
    def of_actor(cls, actor: TrackActor, step: float) -> TrackPolicy:
        """Takes a copy of what an actor has learned."""
        network = TrackNetwork(**actor.network.settings)
        network.load_state_dict(actor.network.state_dict())
        return cls(network, step)

    def choose(self, scores: ScoreSet, stack: Stack) -> torch.Tensor:
        """Returns parameter values ``[clip, class, parameter]``."""
        grids = [torch.tensor(p.candidates) for p in stack.space.parameters]
        return torch.stack([grid[i] for grid, i in zip(grids, self.indices(scores).unbind(-1), strict=True)], -1)

    def indices(self, scores: ScoreSet) -> torch.Tensor:
        """Returns value indices int64 ``[clip, class, parameter]``, a bounded number of tracks at a time."""
        tracks = FrameTracks(scores.to("cpu"), self.step)
        parts = torch.arange(tracks.n_tracks).split(max(1, (1 << 21) // scores.width))
        chosen = [torch.stack([p.argmax(1) for p in self.network(*tracks(some))], 1) for some in parts]
        return torch.cat(chosen).reshape(scores.n_clips, scores.n_classes, -1)

    def state(self) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
        """Returns the settings and the weights."""
        return {"settings": self.network.settings, "step": self.step}, dict(self.network.state_dict())

    @classmethod
    def from_state(cls, values: dict[str, Any], tensors: dict[str, torch.Tensor]) -> TrackPolicy:
        """Restores the network."""
        network = TrackNetwork(**values["settings"])
        network.load_state_dict(tensors)
        return cls(network, values["step"])
