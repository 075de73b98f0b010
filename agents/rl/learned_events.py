"""The learned event policy: logits of candidates are sums of learned values of the events that they decode."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import torch
from pydantic import Field

from rl_postproc.candidates.events import DecodedEvents
from rl_postproc.candidates.pool import PoolBounds
from rl_postproc.data.scores import ScoreSet
from rl_postproc.pipeline.saved import Count, MadeFor, Saved, Shapes, prefixed, weights_of
from rl_postproc.task import TuningTask

from ..actor import Actor
from ..events.batches import EventBatch, EventLayout
from ..events.policy import EventPolicy, SavedBounds
from .frame_network import PlacedEvents, PooledEventNetwork
from .frame_tracks import FrameTracks

_TRACKS = 512
"""Tracks judged at a time where no gradient is asked for."""


class EventValues:
    """Values of the decoded events of a score set, batch by batch of tracks."""

    def __init__(self, scores: ScoreSet, events: DecodedEvents, step: float):
        """Takes scores, what the candidates decode on them, and the seconds per frame that the network knows."""
        self.layout, self._tracks = EventLayout(events), FrameTracks(scores, step)
        n_frames = scores.n_frames.repeat_interleave(scores.n_classes)[events.track]
        length = (events.last - events.first + 1).double() * scores.hop
        touches = events.first == 0, events.last == n_frames - 1
        self._geometry = torch.stack([length.log().float(), *(t.float() for t in touches)], 1)
        self._first, self._last = self._tracks.frame(events.first), self._tracks.frame(events.last)

    def of(self, network: PooledEventNetwork, tracks: torch.Tensor) -> tuple[torch.Tensor, EventBatch]:
        """Returns values ``[event]`` of the events of tracks, int64 ``[track]``, and how they make up the candidates."""
        batch = self.layout.gather(tracks)
        scores, mask, label = self._tracks(tracks)
        rows = batch.rows
        last = torch.minimum(self._last[rows], (mask.sum(1).long() - 1)[batch.track])
        first = torch.minimum(self._first[rows], last)
        return network(scores, mask, label, PlacedEvents(batch.track, first, last, self._geometry[rows])), batch

    @torch.no_grad()
    def of_all(self, networks: list[PooledEventNetwork]) -> torch.Tensor:
        """Returns the mean over networks of the values of all events, float32 ``[event]``."""
        alive = self.layout.alive.nonzero()[:, 0]
        parts = [sum(self.of(network, some)[0] for network in networks) for some in alive.split(_TRACKS)]
        return torch.cat([torch.zeros(0), *parts]) / len(networks)  # pyright: ignore[reportArgumentType, reportCallIssue]


class LearnedEventActor(Actor):
    """Logits of all candidates for batches of tracks of a task."""

    def __init__(self, task: TuningTask, channels: int, hidden: int, temperature: float):
        """Takes a task and the settings of the network; logits are sums of values over the temperature."""
        values = EventValues(task.scores, task.decoded, task.scores.hop)
        super().__init__(values.layout.alive, task.scores.n_classes)
        self.network = PooledEventNetwork(self.n_classes, channels, hidden)
        self._values, self._temperature = values, temperature

    def logits(self, tracks: torch.Tensor) -> torch.Tensor:
        """See `Actor.logits`."""
        values, batch = self._values.of(self.network, tracks)
        return batch.sums(values) / self._temperature


class PooledSize(Saved):
    """Sizes of a network."""

    n_classes: Count
    channels: Count
    hidden: Count


class SavedLearnedEvents(Saved):
    """The sizes of the networks, the seconds per frame that they know, and the bounds of the decoded events."""

    settings: Annotated[list[PooledSize], Field(min_length=1)]
    step: float
    bounds: SavedBounds

    def tensors(self, made: MadeFor) -> Shapes:
        """See `Saved.tensors`."""
        made.same_hop(self.step)
        found: Shapes = {}
        for i, size in enumerate(self.settings):
            made.equal(n_classes=(size.n_classes, len(made.classes)))
            found |= prefixed(f"{i}.", weights_of(lambda size=size: PooledEventNetwork(**size.model_dump())))
        return found


class LearnedEvents(EventPolicy):
    """Judges events by what networks see of the scores; their values are averaged."""

    kind = "learned_events"
    saved = SavedLearnedEvents

    def __init__(self, networks: list[PooledEventNetwork], step: float, bounds: PoolBounds | None = None):
        """Takes the networks, the seconds per frame that they were trained on, and the bounds of the decoded events."""
        self.networks, self.step = [network.eval().requires_grad_(False) for network in networks], step
        self.bounds = bounds or PoolBounds()

    @classmethod
    def of_actors(cls, actors: list[LearnedEventActor], task: TuningTask) -> LearnedEvents:
        """Takes copies of what actors have learned on a task."""
        copies = []
        for actor in actors:
            copies.append(PooledEventNetwork(**actor.network.settings))
            copies[-1].load_state_dict(actor.network.state_dict())
        return cls(copies, task.scores.hop, task.bounds)

    def event_values(self, scores: ScoreSet, events: DecodedEvents) -> torch.Tensor:
        """See `EventPolicy.event_values`."""
        return EventValues(scores, events, self.step).of_all(self.networks)

    def state(self) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
        """Returns the settings and the weights."""
        tensors = {f"{i}.{k}": v for i, network in enumerate(self.networks) for k, v in network.state_dict().items()}
        settings = [n.settings for n in self.networks]
        return {"settings": settings, "step": self.step, "bounds": asdict(self.bounds)}, tensors

    @classmethod
    def from_state(cls, values: dict[str, Any], tensors: dict[str, torch.Tensor]) -> LearnedEvents:
        """Restores the networks."""
        networks = []
        for i, settings in enumerate(values["settings"]):
            networks.append(PooledEventNetwork(**settings))
            own = {k.split(".", 1)[1]: v for k, v in tensors.items() if k.startswith(f"{i}.")}
            networks[-1].load_state_dict(own)
        return cls(networks, values["step"], PoolBounds(**values["bounds"]))
