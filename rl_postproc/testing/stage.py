"""Conformance of a stage."""

from __future__ import annotations

import torch

from rl_postproc.stack import Stack
from rl_postproc.stages import Stage, stage_types
from rl_postproc.testing.base import require, sample_scores


def check_stage(stage: Stage, seed: int = 0) -> None:
    """Checks a stage.

    Its name is registered and its config builds an equal one. It changes no input, gives the kind and shape it
    declares, zeros beyond each clip's end, and the same for a track by itself, with a longer tail, and among others.
    ``sweep`` equals calling it with each combination of candidates. A ``monotone`` stage commutes with increasing maps.
    Its parameters have a default, and a stack takes it.

    Args:
        stage: the stage, with a few candidates for each parameter (their combinations are tried one by one).
        seed: of the scores it is tried on.

    Raises:
        NonConformant: one of these does not hold.
    """
    name = stage.stage
    require(stage_types().get(name) is type(stage), f"stage '{name}' is not found by its name; import its module first")
    scores = sample_scores(seed)
    n_frames = scores.n_frames.repeat_interleave(scores.n_classes)
    x = scores.scores.flatten(0, 1).T.contiguous()
    if stage.takes == "decisions":
        x = x > 0.5
    values = _random_values(stage, x.shape[1], seed)
    before = x.clone()
    y = stage(x, n_frames, scores.hop, **values)
    require(torch.equal(x, before), f"stage '{name}' writes into its input")
    kind = torch.bool if stage.gives == "decisions" else torch.float32
    require(
        y.shape == x.shape and y.dtype == kind,
        f"stage '{name}' gives {y.dtype} {list(y.shape)}, not {kind} {list(x.shape)}",
    )
    beyond = torch.arange(len(x))[:, None] >= n_frames
    require(not bool(y[beyond].any()), f"stage '{name}' is not silent beyond a clip's last frame")
    if stage.gives == "scores":
        require(bool(((y >= 0) & (y <= 1)).all()), f"stage '{name}' gives scores outside [0, 1]")
    require(
        torch.equal(stage(x, n_frames, scores.hop, **values), y), f"stage '{name}' gives something else the second time"
    )
    _check_independence(stage, x, n_frames, scores.hop, values, y)
    _check_sweep(stage, x, n_frames, scores.hop)
    if stage.monotone:
        _check_monotone(stage, x, n_frames, scores.hop, values, y)
    _check_stack(stage)


def _random_values(stage: Stage, n_tracks: int, seed: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    grids = {name: torch.tensor(p.candidates) for name, p in stage.parameters.items()}
    return {n: g[torch.randint(len(g), (n_tracks,), generator=generator)] for n, g in grids.items()}


def _check_independence(
    stage: Stage, x: torch.Tensor, n_frames: torch.Tensor, hop: float, values: dict, y: torch.Tensor
) -> None:
    tail = torch.zeros(5, x.shape[1], dtype=x.dtype)
    longer = stage(torch.cat([x, tail]), n_frames, hop, **values)
    require(torch.equal(longer[: len(x)], y), f"stage '{stage.stage}' depends on how far its input is padded")
    for track in range(x.shape[1]):
        n = int(n_frames[track])
        own = {name: value[track : track + 1] for name, value in values.items()}
        alone = stage(x[:n, track : track + 1], n_frames[track : track + 1], hop, **own)
        good = torch.equal(alone[:, 0], y[:n, track])
        require(good, f"stage '{stage.stage}' gives track {track} something else by itself than among others")


def _check_sweep(stage: Stage, x: torch.Tensor, n_frames: torch.Tensor, hop: float) -> None:
    found = stage.sweep(x, n_frames, hop)
    expected = Stage.sweep(stage, x, n_frames, hop)
    require(
        found.shape == expected.shape,
        f"stage '{stage.stage}': sweep gives {list(found.shape)}, not {list(expected.shape)}",
    )
    for i, (a, b) in enumerate(zip(found, expected, strict=True)):
        require(torch.equal(a, b.to(a.dtype)), f"stage '{stage.stage}': sweep differs from the call at candidate {i}")


def _check_monotone(
    stage: Stage, x: torch.Tensor, n_frames: torch.Tensor, hop: float, values: dict, y: torch.Tensor
) -> None:
    for increasing in (torch.square, lambda v: (v > 0.5).float(), lambda v: (v * 4).floor() / 4):
        mapped = stage(increasing(x), n_frames, hop, **values)
        require(
            torch.equal(mapped, increasing(y)),
            f"stage '{stage.stage}' says monotone and does not commute with increasing maps",
        )


def _check_stack(stage: Stage) -> None:
    config = stage.model_dump(mode="json")
    require(
        type(stage).model_validate(config) == stage, f"stage '{stage.stage}': its config does not build an equal one"
    )
    for name, parameter in stage.parameters.items():
        require(len(parameter.candidates) > 0, f"stage '{stage.stage}': parameter '{name}' has no candidates")
        require(
            stage.unit(name) != "number",
            f"stage '{stage.stage}': parameter '{name}' declares no unit (Seconds, Probability)",
        )
    threshold: list[dict] = [{"stage": "threshold"}]
    around = (
        (threshold if stage.takes == "decisions" else []) + [config] + (threshold if stage.gives == "scores" else [])
    )
    stack = Stack.from_config(around)
    scores = sample_scores(1)
    decisions = stack.decide(scores, stack.space.defaults)
    good = decisions.shape == scores.scores.shape and decisions.dtype == torch.bool
    require(good, f"a stack with stage '{stage.stage}' makes no decisions [clip, class, frame]")
