"""Frame-based and segment-based counts at every threshold, as a stand-in that gradients can follow on events."""

from __future__ import annotations

import torch

from rl_postproc.counts.column_counts import ColumnCounts
from rl_postproc.counts.grid import chunks
from rl_postproc.data.scores import ScoreSet
from rl_postproc.pipeline.stack import Stack


def frame_references(scores: ScoreSet) -> torch.Tensor:
    """Returns the frames whose middle lies inside a reference event, bool ``[clip, class, frame]``."""
    references, device = scores.require_references(), scores.device
    middle = ((scores.edges[:, :-1] + scores.edges[:, 1:]) / 2).expand(scores.n_clips, -1)
    change = torch.zeros(scores.n_clips, scores.n_classes, scores.width + 1, dtype=torch.int32, device=device)
    rows = middle[references.clip].contiguous()
    one = torch.tensor(1, dtype=torch.int32, device=device)
    for times, sign in ((references.onset, one), (references.offset, -one)):
        frame = torch.searchsorted(rows, times[:, None].contiguous())[:, 0]
        change.index_put_((references.clip, references.label, frame), sign, accumulate=True)
    return (change.cumsum(-1)[..., :-1] > 0) & scores.valid[:, None]


def frame_counts(scores: ScoreSet, stack: Stack, segment: float | None = None) -> ColumnCounts:
    """Counts frames, or segments that count as active where any of their frames is.

    Clips are filtered in chunks. What is kept takes 16 bytes for each frame or segment, class and filter setting.

    Args:
        scores: the score set, with references.
        stack: whose filters are applied.
        segment: length of a segment in seconds; None for frames.

    Returns:
        Counts with columns filter-major, then class.
    """
    truth = frame_references(scores).transpose(1, 2)
    length = 1 if segment is None else max(1, round(segment / scores.hop))
    items, wanted = [], []
    for clips in chunks(scores, stack):
        x = stack.filter_all(scores.scores[clips].flatten(0, 1).T.contiguous(), scores.frames_of(clips))
        n_filters = len(x)
        x = x.unflatten(2, (-1, scores.n_classes)).permute(2, 1, 0, 3).flatten(2)
        kept = _segments(scores.valid[clips, :, None], length)[..., 0]
        items.append(_segments(x, length)[kept].cpu())
        wanted.append(_segments(truth[clips], length)[kept].cpu().repeat(1, n_filters))
    return ColumnCounts.of_items(torch.cat(items), torch.cat(wanted))


def _segments(x: torch.Tensor, length: int) -> torch.Tensor:
    """Returns the maximum over every ``length`` frames, ``[clip, frame, column]`` → ``[clip, segment, column]``."""
    if length == 1:
        return x
    values = x.byte() if x.dtype == torch.bool else x
    padded = torch.nn.functional.pad(values, (0, 0, 0, -x.shape[1] % length))
    return padded.unflatten(1, (-1, length)).amax(2).to(x.dtype)
