"""A stack with constant parameters on a clip whose scores arrive in pieces: the events of the whole clip, to the last bit.

Filters are called on each piece and what they reach around it; what decides carries what is open over the borders. A stage
that takes the highest score of the clip has it found in a pass of its own. What grows with a clip are its edges and events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from rl_postproc.data.clip_source import Piece
from rl_postproc.data.frames import Frames
from rl_postproc.data.track_events import TrackEvents
from rl_postproc.pipeline.stack import Stack
from rl_postproc.stages.base import Stage
from rl_postproc.stages.chain import run_stages
from rl_postproc.stages.compared import Ranks
from rl_postproc.stages.event_tools import sorted_events
from rl_postproc.stages.one_of import OneOf
from rl_postproc.stages.pieces import FoundRuns, OpenRuns, Runs


def not_in_pieces(stack: Stack) -> str:
    """Returns the name of a stage that must see a clip as a whole, empty where there is none."""
    branches = [branch.stages for branch in stack.branches]
    for stage in (stage for stages in branches for stage in stages if stage.takes == "scores"):
        ones = {name: torch.tensor([p.default]) for name, p in stage.parameters.items()}
        found = stage.in_pieces(1.0, **ones) is not None
        if not (found or stage.reach(1.0, **ones) is not None or (stage.by_highest and stage.gives == "scores")):
            return stage.stage
    return ""


def stream_events(
    pieces: Callable[[], Iterable[Piece]],
    stack: Stack,
    values: torch.Tensor,
    hop: float,
    duration: float | None = None,
) -> TrackEvents:
    """Applies a stack to one clip in pieces.

    Args:
        pieces: begins to read the clip anew; called once, and once more for each stage that takes the clip's highest scores.
        stack: the stages, none of which is `not_in_pieces`.
        values: of the parameters, ``[class, parameter]``.
        hop: frame length in seconds, by which parameters in seconds become frames.
        duration: length of the clip in seconds, beyond which no piece reaches; it ends with its last frame when None.

    Returns:
        The events of the clip's classes, as `Stack.track_events` gives them.
    """
    branches = _branches(stack, values)
    for branch in branches:
        branch.find_highest(pieces, hop)
    runs, times = _found(branches, pieces, hop)
    n_frames = torch.full((len(values),), len(times) - 1)
    ends = torch.full((len(values),), float(times[-1]) if duration is None else duration, dtype=torch.float64)
    frames = Frames(n_frames, hop, torch.from_numpy(times)[None], ends)
    parts = [(branch.tracks, branch.events(own, frames.select(branch.tracks)))
             for branch, own in zip(branches, runs, strict=True)]  # fmt: skip
    return sorted_events(parts, len(values))


class Windowed:
    """A stage with a reach, on scores that arrive in pieces."""

    def __init__(self, stage: Stage, hop: float, values: dict[str, torch.Tensor]):
        """Takes the stage and its values, ``[track]`` each."""
        reach = stage.reach(hop, **values)
        assert reach is not None
        self._stage, self._hop, self._values, self._reach = stage, hop, values, reach
        self._held: torch.Tensor | None = None
        self._known = 0  # frames held whose results are out, and that others look at

    def push(self, x: torch.Tensor, ends: bool) -> torch.Tensor:
        """Takes the next frames ``[frame, track]``, none perhaps, and returns the results that are sure now."""
        held = x if self._held is None else torch.cat([self._held, x])
        n, stop = len(held), len(held) if ends else len(held) - self._reach
        if stop - self._known < self._reach and not ends:
            stop = self._known  # short pieces are collected, so that none is filtered again and again
        if stop <= self._known:
            self._held = held
            return held[:0] if self._stage.gives == "scores" else held[:0] > 0
        found = self._stage(held, self._frames(n, held.shape[1]), **self._values)[self._known : stop]
        kept = max(0, stop - self._reach)
        self._held, self._known = held[kept:], stop - kept
        return found

    def _frames(self, n: int, n_tracks: int) -> Frames:
        edges = torch.arange(n + 1, dtype=torch.float64)[None] * self._hop
        return Frames(torch.full((n_tracks,), n), self._hop, edges, edges[0, -1].expand(n_tracks))


@dataclass
class _Branch:
    """The classes that go through the same stages.

    Attributes:
        tracks: their numbers, int64 ``[track]``.
        stages: what they go through.
        values: of the parameters, ``[track, parameter]``.
        highest: highest score that reaches each of the first stages, ``[track]``, where that must be known.
    """

    tracks: torch.Tensor
    stages: tuple[Stage, ...]
    values: torch.Tensor
    highest: list[torch.Tensor | None]

    @cached_property
    def ranks(self) -> Ranks | None:
        """What stands for scores and values, where that is enough."""
        return Ranks.of(self.stages, self.values)

    @property
    def filters(self) -> tuple[Stage, ...]:
        """The stages that make scores of scores, which come first."""
        return tuple(stage for stage in self.stages if stage.gives == "scores")

    def find_highest(self, pieces: Callable[[], Iterable[Piece]], hop: float) -> None:
        """Reads the clip once for each stage that must know the highest score that reaches it."""
        for stage in self.filters:
            highest = None
            if stage.by_highest:
                chain, highest = self.filter_chain(hop), torch.zeros(len(self.tracks))
                for x, ends in _with_end(pieces()):
                    x = chain(x[:, self.tracks], ends)
                    highest = torch.maximum(highest, x.amax(0)) if len(x) else highest
            self.highest.append(highest)

    def filter_chain(self, hop: float) -> Callable[[torch.Tensor, bool], torch.Tensor]:
        """Returns what filters piece by piece, through as many filters as their highest scores are known of."""
        steps: list[Callable[[torch.Tensor, bool], torch.Tensor]] = []
        if self.ranks:
            steps.append(lambda x, ends, ranks=self.ranks: ranks(x))
        for i, highest in enumerate(self.highest):
            stage, own = self.filters[i], self.own_values(i)
            if highest is None:
                steps.append(Windowed(stage, hop, own).push)
            else:
                steps.append(lambda x, ends, stage=stage, own=own, highest=highest: stage.of_highest(x, highest, **own))

        def filtered(x: torch.Tensor, ends: bool) -> torch.Tensor:
            for step in steps:
                x = step(x, ends)
            return x

        return filtered

    def finder(self, hop: float) -> FoundRuns:
        """Returns what finds runs in filtered scores."""
        i = len(self.filters)
        stage, own = self.stages[i], self.own_values(i)
        return stage.in_pieces(hop, **own) or _Decided(Windowed(stage, hop, own), len(self.tracks))

    def events(self, runs: Runs, frames: Frames) -> TrackEvents:
        """Returns the events of the whole clip, from runs that were found in it."""
        onset, offset = frames.onset_times(runs.track, runs.first), frames.offset_times(runs.track, runs.last)
        found = TrackEvents(runs.track, onset, offset, runs.highest, len(frames))
        rest = self.stages[len(self.filters) + 1 :]
        n_used = sum(len(stage.parameters) for stage in self.stages[: len(self.filters) + 1])
        found = run_stages(rest, found, frames, self.values[:, n_used:])
        assert isinstance(found, TrackEvents)
        return found

    def own_values(self, i: int) -> dict[str, torch.Tensor]:
        """Returns the values of a stage's parameters, ``[track]`` each."""
        before = sum(len(stage.parameters) for stage in self.stages[:i])
        names = list(self.stages[i].parameters)
        values = self.ranks.values if self.ranks else self.values
        return dict(zip(names, values[:, before : before + len(names)].unbind(1), strict=True))


class _Decided(FoundRuns):
    """The runs of what a stage with a reach decides."""

    def __init__(self, decide: Windowed, n_tracks: int):
        self._decide, self._open = decide, OpenRuns(n_tracks)

    def push(self, x: torch.Tensor, ends: bool) -> Runs:
        """See `FoundRuns.push`."""
        return self._open.push(self._decide.push(x, ends), ends)


def _branches(stack: Stack, values: torch.Tensor) -> list[_Branch]:
    """Returns the classes by the stages that they go through."""
    choice = stack.stages[0]
    if not isinstance(choice, OneOf):
        return [_Branch(torch.arange(len(values)), stack.stages, values, [])]
    found, first = [], 1
    for number, branch in enumerate(stack.branches):
        n = len(branch.space.names)
        tracks = (values[:, 0] == number).nonzero()[:, 0]
        if len(tracks):
            found.append(_Branch(tracks, branch.stages, values[tracks, first : first + n], []))
        first += n
    return found


def _found(branches: list[_Branch], pieces: Callable[[], Iterable[Piece]], hop: float) -> tuple[list[Runs], np.ndarray]:
    """Reads the clip once, and returns the runs of each branch and the clip's frame edges."""
    times: list[np.ndarray] = []

    def timed() -> Iterator[Piece]:
        for edges, scores in pieces():
            times[-1:] = [times[-1][:-1], edges] if times else [edges]
            yield edges, scores

    filters, finders = [branch.filter_chain(hop) for branch in branches], [branch.finder(hop) for branch in branches]
    runs: list[list[Runs]] = [[] for _ in branches]
    for x, ends in _with_end(timed()):
        for branch, filtered, finder, own in zip(branches, filters, finders, runs, strict=True):
            own.append(finder.push(filtered(x[:, branch.tracks], ends), ends))
    return [Runs.joined(own) for own in runs], np.concatenate(times)


def _with_end(pieces: Iterable[Piece]) -> Iterator[tuple[torch.Tensor, bool]]:
    """Yields the scores of each piece, ``[frame, track]``, and whether it is the last."""
    before: torch.Tensor | None = None
    for _, scores in pieces:
        if before is not None:
            yield before, False
        before = torch.tensor(scores)  # a copy, since a file that is mapped into memory cannot be written to
    assert before is not None, "a clip has a frame at least"
    yield before, True
