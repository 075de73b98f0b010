"""The plain policy: one-dimensional convolutions over the score track, one logit for each value of each parameter."""

from __future__ import annotations

from typing import Any

import torch
from stable_baselines3 import PPO
from stable_baselines3.common.policies import MultiInputActorCriticPolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import nn

from rl_postproc.data.scores import ScoreSet
from rl_postproc.pipeline.policy import Policy
from rl_postproc.pipeline.stack import Stack
from rl_postproc.task import TuningTask
from rl_postproc.utils.errors import UserError


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


class TrackExtractor(BaseFeaturesExtractor):
    """Logits and value of a clip's tracks, from the observation ``dict`` of either environment.

    The per-class environment shows one track and its class, the joint one the tracks of all classes. The value of a
    clip is the sum of the values of its tracks.
    """

    def __init__(self, observation_space: Any, n_classes: int, channels: int, hidden: int, sizes: list[int]):
        joint = "class" not in observation_space.spaces
        super().__init__(observation_space, (n_classes if joint else 1) * sum(sizes) + 1)
        self.actor = TrackNetwork(n_classes, channels, hidden, sizes)
        self.critic = nn.Sequential(nn.Linear(self.actor.encoder.size, hidden), nn.ReLU(), nn.Linear(hidden, 1))
        self.register_buffer("labels", torch.eye(n_classes), persistent=False)

    def forward(self, observations: dict[str, torch.Tensor]) -> torch.Tensor:
        """Returns the logits of all tracks one after another, then the value, ``[observation, logit + 1]``."""
        scores, mask, label = observations["scores"], observations["mask"], observations.get("class")
        n = len(scores)
        if label is None:
            n_classes = scores.shape[1]
            scores, mask = scores.flatten(0, 1), mask.repeat_interleave(n_classes, 0)
            label = self.labels.repeat(n, 1)  # pyright: ignore[reportCallIssue]
        code = self.actor.encoder(scores, mask, label)
        return torch.cat([self.actor.head(code).reshape(n, -1), self.critic(code).reshape(n, -1).sum(1, True)], 1)


class _Columns(nn.Module):
    """Takes some columns, in place of a layer with parameters."""

    def __init__(self, columns: slice):
        super().__init__()
        self.columns = columns

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, self.columns]


class TrackActorCritic(MultiInputActorCriticPolicy):
    """The plain policy for Stable-Baselines3's PPO: all of its weights lie in the extractor, shared by the classes."""

    def _build(self, lr_schedule: Any) -> None:
        super()._build(lr_schedule)
        self.action_net, self.value_net = _Columns(slice(None, -1)), _Columns(slice(-1, None))
        # Gains of Stable-Baselines3: small logits at the start.
        nn.init.orthogonal_(self.features_extractor.actor.head[-1].weight, 0.01)  # pyright: ignore
        nn.init.orthogonal_(self.features_extractor.critic[-1].weight, 1.0)  # pyright: ignore
        self.optimizer = self.optimizer_class(self.parameters(), lr=lr_schedule(1), **self.optimizer_kwargs)  # pyright: ignore[reportCallIssue]


def track_policy_arguments(task: TuningTask, channels: int, hidden: int) -> dict[str, Any]:
    """Returns the ``policy_kwargs`` of `TrackActorCritic`."""
    sizes = task.action_sizes(per_class=True)
    own = {"n_classes": task.scores.n_classes, "channels": channels, "hidden": hidden, "sizes": sizes}
    return {"features_extractor_class": TrackExtractor, "features_extractor_kwargs": own, "net_arch": []}


class TrackPolicy(Policy):
    """A trained policy: the most probable value of each parameter for each track."""

    kind = "ppo_tracks"

    def __init__(self, network: TrackNetwork, step: float):
        """Takes the network, and the seconds per frame that it was trained on."""
        self.network, self.step = network.requires_grad_(False), step

    @classmethod
    def of_model(cls, model: PPO, step: float) -> TrackPolicy:
        """Takes the actor out of a Stable-Baselines3 model with a `TrackActorCritic`."""
        trained = _actor(model)
        network = TrackNetwork(**trained.settings)
        network.load_state_dict(trained.state_dict())
        return cls(network, step)

    def choose(self, scores: ScoreSet, stack: Stack) -> torch.Tensor:
        """Returns parameter values ``[clip, class, parameter]``."""
        grids = [torch.tensor(p.candidates) for p in stack.space.parameters]
        return torch.stack([grid[i] for grid, i in zip(grids, self.indices(scores).unbind(-1), strict=True)], -1)

    def indices(self, scores: ScoreSet) -> torch.Tensor:
        """Returns value indices int64 ``[clip, class, parameter]``, a bounded number of tracks at a time."""
        n_classes, sizes, chosen = scores.n_classes, self.network.settings["sizes"], []
        for clips in torch.arange(scores.n_clips).split(max(1, (1 << 21) // (n_classes * scores.width))):
            tracks, mask = _resampled(scores.select(clips).to("cpu"), self.step)
            labels = torch.eye(n_classes).repeat(len(clips), 1)
            code = self.network.encoder(tracks.flatten(0, 1), mask.repeat_interleave(n_classes, 0), labels)
            chosen.append(torch.stack([p.argmax(1) for p in self.network.head(code).split(sizes, 1)], 1))
        return torch.cat(chosen).reshape(scores.n_clips, n_classes, -1)

    def state(self) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
        """Returns the settings and the weights."""
        return {"settings": self.network.settings, "step": self.step}, dict(self.network.state_dict())

    @classmethod
    def from_state(cls, values: dict[str, Any], tensors: dict[str, torch.Tensor]) -> TrackPolicy:
        """Restores the network."""
        network = TrackNetwork(**values["settings"])
        network.load_state_dict(tensors)
        return cls(network, values["step"])


def _resampled(scores: ScoreSet, step: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns scores ``[clip, class, frame]`` at ``step`` seconds per frame and the mask ``[clip, frame]``, float32.

    The convolutions know frames of one length only. Each new frame takes the score at its centre.
    """
    if abs(scores.hop - step) <= 1e-6 * step:
        return scores.scores, scores.valid.float()
    n_frames = (scores.n_frames * (scores.hop / step)).round().long().clamp(min=1)
    frame = torch.arange(int(n_frames.max()))
    mask = frame < n_frames[:, None]
    source = ((frame + 0.5) * (step / scores.hop)).long()
    source = torch.minimum(source.expand(len(mask), -1), scores.n_frames[:, None] - 1)
    found = scores.scores.gather(2, source[:, None].expand(-1, scores.n_classes, -1))
    return found * mask[:, None], mask.float()


def check_hidden(task: TuningTask, hidden: int) -> None:
    """Insists that a hidden layer has room for a copy of the class.

    Raises:
        UserError: it has not.
    """
    if task.scores.n_classes > hidden:
        raise UserError(f"'start: best_constants' needs at least {task.scores.n_classes} hidden units, one a class; raise "
                        "'hidden'.")  # fmt: skip


def start_at_constants(model: PPO, task: TuningTask) -> None:
    """Lets the last layer favour each class's best constants, through hidden units that copy the class."""
    space, n_classes = task.stack.space, task.scores.n_classes
    best = space.values[task.best_constants]
    first, _, last = _actor(model).head
    assert isinstance(first, nn.Linear) and isinstance(last, nn.Linear)
    check_hidden(task, first.out_features)
    with torch.no_grad():
        last.weight.mul_(0.1)
        first.weight[:n_classes] = 0
        first.bias[:n_classes] = 0
        first.weight[:n_classes, -n_classes:] = torch.eye(n_classes)
        column = 0
        for i, parameter in enumerate(space.parameters):
            grid = torch.tensor(parameter.candidates)
            place = torch.arange(len(grid)) / max(1, len(grid) - 1)
            at = place[torch.searchsorted(grid, best[:, i].contiguous())]
            preference = 3 * torch.exp(-(((place - at[:, None]) / 0.08) ** 2))
            last.weight[column : column + len(grid), :n_classes] = preference.T
            column += len(grid)


def _actor(model: PPO) -> TrackNetwork:
    extractor = model.policy.features_extractor
    assert isinstance(extractor, TrackExtractor)
    return extractor.actor
