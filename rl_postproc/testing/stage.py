"""Conformance of a stage."""

from __future__ import annotations

import math

import torch

from rl_postproc.data.frames import Frames
from rl_postproc.data.scores import ScoreSet
from rl_postproc.data.track_events import TrackEvents
from rl_postproc.pipeline.stack import Stack
from rl_postproc.pipeline.streaming import not_in_pieces, stream_events
from rl_postproc.stages.base import Data, Stage
from rl_postproc.stages.compared import Ranks
from rl_postproc.stages.event_tools import kept
from rl_postproc.stages.threshold import Threshold
from rl_postproc.testing.base import require, sample_scores

_MOST_COMBINATIONS = 5000
"""Combinations of candidates that are tried one by one."""


def check_stage(stage: Stage, seed: int = 0) -> None:
    """Checks a stage.

    Its name is registered and its config builds an equal one. It changes no input, gives the kind and shape it
    declares, nothing beyond each clip's end and nothing for silence, and the same for a track by itself, with a
    longer tail, among others, and in pieces where it says so. For stages that take scores ``sweep`` equals calling
    it with each combination of candidates, where these are not too many. A ``monotone`` stage commutes with
    increasing maps, one that ``decides_at`` a parameter compares with it, one that ``compares`` does nothing else
    with scores, and one that is ``kept_above`` a parameter gives the events that it is ``sure`` of above that.
    Events come sorted, inside the clip, without overlap. Its parameters have a default and a unit, and a stack
    takes it.

    Args:
        stage: the stage, with a few candidates for each parameter (their combinations are tried one by one).
        seed: of the scores it is tried on.

    Raises:
        NonConformant: one of these does not hold.

    Example:
        >>> from rl_postproc.stages import Stage
        >>> from rl_postproc.testing import check_stage
        >>> check_stage(Stage.types()["gap_fill"]())  # nothing said: all holds
    """
    name = stage.stage
    require(Stage.types().get(name) is type(stage), f"stage '{name}' is not found by its name; import its module first")
    scores = sample_scores(seed)
    frames, x = scores.frames, scores.scores.flatten(0, 1).T.contiguous()
    given = _given(stage, x, frames)
    values = _random_values(stage, x.shape[1], seed)
    before = _copy(given)
    y = stage(given, frames, **values)
    require(_same(given, before), f"stage '{name}' writes into its input")
    _check_kind(stage, x, frames, y)
    require(_same(stage(given, frames, **values), y), f"stage '{name}' gives something else the second time")
    silence = _given(stage, torch.zeros_like(x), frames)
    require(_is_silent(stage(silence, frames, **values)), f"stage '{name}' makes something out of silence")
    _check_independence(stage, x, frames, values, y)
    n_combinations = math.prod(len(p.candidates) for p in stage.parameters.values())
    if stage.takes == "scores" and n_combinations <= _MOST_COMBINATIONS:
        _check_sweep(stage, x, frames)
    if stage.kept_above is not None:
        _check_sure(stage, x, frames, values, y)
    if isinstance(given, TrackEvents) and stage.swept_at_once is not None:
        _check_swept(stage, given, frames)
    if stage.sure_as_scores:
        _check_sure_as_scores(stage, x, frames, values)
    if stage.monotone:
        _check_monotone(stage, x, frames, values, y)
    if stage.decides_at is not None:
        good = list(stage.parameters) == [stage.decides_at] and _only_compares(given, y, *values.values())
        require(good, f"stage '{name}' says decides_at and does more than compare with '{stage.decides_at}'")
    if stage.compares:
        _check_compares(stage, x, frames, values, y)
    if stage.takes == "scores":
        _check_pieces(stage, scores, values)
    _check_stack(stage)


def _given(stage: Stage, x: torch.Tensor, frames: Frames) -> Data:
    """Returns what the stage takes, made from scores."""
    if stage.takes == "scores":
        return x
    return x > 0.5 if stage.takes == "decisions" else TrackEvents.from_decisions(x > 0.5, frames)


def _copy(x: Data) -> Data:
    if isinstance(x, torch.Tensor):
        return x.clone()
    return TrackEvents(x.track.clone(), x.onset.clone(), x.offset.clone(), x.confidence.clone(), x.n_tracks)


def _same(a: Data, b: Data) -> bool:
    if isinstance(a, torch.Tensor) or isinstance(b, torch.Tensor):
        return isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor) and torch.equal(a, b)
    names = ("track", "onset", "offset", "confidence")
    return a.n_tracks == b.n_tracks and all(torch.equal(getattr(a, n), getattr(b, n)) for n in names)


def _is_silent(x: Data) -> bool:
    return not bool(x.any()) if isinstance(x, torch.Tensor) else not len(x)


def _random_values(stage: Stage, n_tracks: int, seed: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    grids = {name: torch.tensor(p.candidates) for name, p in stage.parameters.items()}
    return {n: g[torch.randint(len(g), (n_tracks,), generator=generator)] for n, g in grids.items()}


def _check_kind(stage: Stage, x: torch.Tensor, frames: Frames, y: Data) -> None:
    name = stage.stage
    if stage.gives == "events":
        require(isinstance(y, TrackEvents), f"stage '{name}' gives {type(y).__name__}, not TrackEvents")
        assert isinstance(y, TrackEvents)
        require(y.n_tracks == x.shape[1], f"stage '{name}' gives {y.n_tracks} tracks, not {x.shape[1]}")
        inside = (y.onset >= 0) & (y.onset < y.offset) & (y.offset <= frames.durations[y.track] + 1e-6)
        require(bool(inside.all()), f"stage '{name}' gives events outside their clip, or of no length")
        same = y.track[1:] == y.track[:-1]
        apart = ~same | (y.onset[1:] >= y.offset[:-1])
        ordered = bool((y.track[1:] >= y.track[:-1]).all()) and bool(apart.all())
        require(ordered, f"stage '{name}' gives events that overlap or are not sorted by track and onset")
        sure = (y.confidence >= 0) & (y.confidence <= 1)
        require(bool(sure.all()), f"stage '{name}' gives confidences outside [0, 1]")
        return
    kind = torch.bool if stage.gives == "decisions" else torch.float32
    good = isinstance(y, torch.Tensor) and y.shape == x.shape and y.dtype == kind
    found = f"{y.dtype} {list(y.shape)}" if isinstance(y, torch.Tensor) else type(y).__name__
    require(good, f"stage '{name}' gives {found}, not {kind} {list(x.shape)}")
    assert isinstance(y, torch.Tensor)
    beyond = torch.arange(len(x))[:, None] >= frames.n_frames
    require(not bool(y[beyond].any()), f"stage '{name}' is not silent beyond a clip's last frame")
    if stage.gives == "scores":
        require(bool(((y >= 0) & (y <= 1)).all()), f"stage '{name}' gives scores outside [0, 1]")


def _check_independence(stage: Stage, x: torch.Tensor, frames: Frames, values: dict, y: Data) -> None:
    tail = torch.zeros(5, x.shape[1])
    step = frames.edges[:, -1:] - frames.edges[:, -2:-1]
    further = frames.edges[:, -1:] + step * torch.arange(1, 6)
    long = Frames(frames.n_frames, frames.hop, torch.cat([frames.edges, further], 1), frames.durations)
    longer = stage(_given(stage, torch.cat([x, tail]), long), long, **values)
    cut = longer[: len(x)] if isinstance(longer, torch.Tensor) else longer
    require(_same(cut, y), f"stage '{stage.stage}' depends on how far its input is padded")
    for track in range(x.shape[1]):
        n, own = int(frames.n_frames[track]), {name: value[track : track + 1] for name, value in values.items()}
        part = frames.select(torch.tensor([track]))
        part = Frames(part.n_frames, part.hop, part.edges[:, : n + 1], part.durations)
        alone = stage(_given(stage, x[:n, track : track + 1], part), part, **own)
        if isinstance(alone, torch.Tensor):
            assert isinstance(y, torch.Tensor)
            good = torch.equal(alone[:, 0], y[:n, track])
        else:
            assert isinstance(y, TrackEvents)
            mine = y.track == track
            columns = ("onset", "offset", "confidence")
            good = all(torch.equal(getattr(alone, name), getattr(y, name)[mine]) for name in columns)
        require(good, f"stage '{stage.stage}' gives track {track} something else by itself than among others")


def _check_sweep(stage: Stage, x: torch.Tensor, frames: Frames) -> None:
    found, expected = stage.sweep(x, frames), Stage.sweep(stage, x, frames)
    if isinstance(found, TrackEvents):
        require(_same(found, expected), f"stage '{stage.stage}': sweep gives other events than the call")
        return
    shapes = f"{list(found.shape)}, not {list(expected.shape)}"
    require(found.shape == expected.shape, f"stage '{stage.stage}': sweep gives {shapes}")
    for i, (a, b) in enumerate(zip(found, expected, strict=True)):
        require(torch.equal(a, b.to(a.dtype)), f"stage '{stage.stage}': sweep differs from the call at candidate {i}")


def _only_compares(given: Data, y: Data, level: torch.Tensor) -> bool:
    if isinstance(given, TrackEvents):
        return _same(y, kept(given, given.confidence > level[given.track]))
    return isinstance(y, torch.Tensor) and torch.equal(y, given > level)


def _check_swept(stage: Stage, given: TrackEvents, frames: Frames) -> None:
    name = str(stage.swept_at_once)
    alone = all(len(p.candidates) == 1 for other, p in stage.parameters.items() if other != name)
    require(alone, f"stage '{stage.stage}' says swept_at_once '{name}' and has other parameters to tune")
    n_kept, ones = stage.n_kept(given), torch.ones(given.n_tracks)
    for number, value in enumerate(stage.parameters[name].candidates):
        own = {other: ones * (value if other == name else p.candidates[0]) for other, p in stage.parameters.items()}
        good = _same(stage(given, frames, **own), kept(given, n_kept > number))
        require(good, f"stage '{stage.stage}': n_kept is not what it keeps with {name} = {value:g}")


def _check_sure(stage: Stage, x: torch.Tensor, frames: Frames, values: dict, y: Data) -> None:
    name = str(stage.kept_above)
    require(
        list(stage.parameters)[-1:] == [name],
        f"stage '{stage.stage}': its last parameter is not '{name}', kept_above",
    )
    level = values[name]
    sure = stage.sure(x, frames, **{key: value for key, value in values.items() if key != name})
    left = kept(sure, sure.confidence > level[sure.track])
    events = TrackEvents.from_decisions(y, frames) if isinstance(y, torch.Tensor) else y
    good = all(torch.equal(getattr(left, key), getattr(events, key)) for key in ("track", "onset", "offset"))
    require(good, f"stage '{stage.stage}' gives other events than those that sure gives above '{name}'")


def _check_sure_as_scores(stage: Stage, x: torch.Tensor, frames: Frames, values: dict) -> None:
    own = {key: value for key, value in values.items() if key != stage.kept_above}
    events = stage(x, frames, **values) if stage.kept_above is None else stage.sure(x, frames, **own)
    good = isinstance(events, TrackEvents) and bool((events.confidence <= x.amax(0)[events.track]).all())
    require(
        good, f"stage '{stage.stage}' says sure_as_scores and is surer of an event than the highest score of its track"
    )


def _check_pieces(stage: Stage, scores: ScoreSet, values: dict[str, torch.Tensor]) -> None:
    """Checks what a stage says of clips that arrive in pieces, on one clip."""
    decides: list[Stage] = [Threshold()] if stage.gives == "scores" else []
    clip, stack = scores.select([0]), Stack([stage, *decides])
    if not_in_pieces(stack):
        return
    n, tracks = int(clip.n_frames[0]), slice(0, clip.n_classes)
    rows = torch.stack(
        [*(value[tracks] for value in values.values()), *(torch.full((clip.n_classes,), 0.5) for _ in decides)], 1
    )
    edges, x, expected = clip.edges[0].numpy(), clip.scores[0].T.numpy(), stack.track_events(clip, rows)
    for size in (1, 13, n):
        pieces = [(edges[i : min(i + size, n) + 1], x[i : min(i + size, n)]) for i in range(0, n, size)]
        found = stream_events(lambda own=pieces: own, stack, rows, clip.hop, float(clip.durations[0]))
        good = _same(found, expected)
        require(
            good, f"stage '{stage.stage}' gives something else where a clip arrives in pieces, against what it says"
        )


def _check_monotone(stage: Stage, x: torch.Tensor, frames: Frames, values: dict, y: Data) -> None:
    good = (stage.takes, stage.gives) == ("scores", "scores")
    require(good, f"stage '{stage.stage}' says monotone and does not make scores of scores")
    assert isinstance(y, torch.Tensor)
    for increasing in (torch.square, lambda v: (v > 0.5).float(), lambda v: (v * 4).floor() / 4):
        mapped = stage(increasing(x), frames, **values)
        require(
            torch.equal(mapped, increasing(y)),
            f"stage '{stage.stage}' says monotone and does not commute with increasing maps",
        )


def _check_compares(stage: Stage, x: torch.Tensor, frames: Frames, values: dict, y: Data) -> None:
    known = set(stage.compares) <= set(stage.parameters) and (stage.takes, stage.gives) == ("scores", "decisions")
    require(
        known, f"stage '{stage.stage}' says compares of what is no parameter of it, or makes no decisions of scores"
    )
    ranks = Ranks.of_decision(stage, torch.stack(list(values.values()), 1))
    ranked = stage(ranks(x), frames, **dict(zip(values, ranks.values.unbind(1), strict=True)))
    require(_same(ranked, y), f"stage '{stage.stage}' says compares and looks at more than whether scores are above")


def _check_stack(stage: Stage) -> None:
    config = stage.model_dump(mode="json")
    require(
        type(stage).model_validate(config) == stage, f"stage '{stage.stage}': its config does not build an equal one"
    )
    for name, parameter in stage.parameters.items():
        require(len(parameter.candidates) > 0, f"stage '{stage.stage}': parameter '{name}' has no candidates")
        require(
            stage.units[name] != "number",
            f"stage '{stage.stage}': parameter '{name}' declares no unit (Seconds, Probability)",
        )
    threshold: list[dict] = [{"stage": "threshold"}]
    around = (threshold if stage.takes != "scores" else []) + [config] + (threshold if stage.gives == "scores" else [])
    stack = Stack.from_config(around)
    scores = sample_scores(1)
    events = stack.events(scores, stack.space.defaults)
    require(events.clip_ids == scores.clip_ids, f"a stack with stage '{stage.stage}' makes no events of these clips")
