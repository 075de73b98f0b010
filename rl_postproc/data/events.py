"""Events in seconds: the table that references, detections and exported files share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from rl_postproc.utils.errors import UserError, suggest

if TYPE_CHECKING:
    import pandas
    from dcase_util.containers import MetaDataContainer


@dataclass(frozen=True)
class Events:
    """Sound events of a set of clips, sorted by clip, class and onset.

    Attributes:
        clip_ids: names of all clips, those without events included.
        classes: names of all classes.
        clip: index into ``clip_ids``, int64 ``[event]``.
        label: index into ``classes``, int64 ``[event]``.
        onset: seconds, float64 ``[event]``.
        offset: seconds, float64 ``[event]``, never before the onset.
        confidence: in [0, 1], float32 ``[event]``, where a decoder gave one; 1 elsewhere.

    Example:
        >>> from rl_postproc import Events
        >>> rows = [("a", 1.0, 2.5, "Dog"), ("a", 0.5, 0.9, "Cat")]
        >>> events = Events.from_rows(rows, clip_ids=["a", "b"], classes=["Cat", "Dog"])
        >>> events.to_rows()
        [('a', 0.5, 0.9, 'Cat'), ('a', 1.0, 2.5, 'Dog')]
        >>> events.counts().tolist()  # [clip, class]
        [[1, 1], [0, 0]]
    """

    clip_ids: tuple[str, ...]
    classes: tuple[str, ...]
    clip: torch.Tensor
    label: torch.Tensor
    onset: torch.Tensor
    offset: torch.Tensor
    confidence: torch.Tensor

    def __len__(self) -> int:
        return len(self.clip)

    @classmethod
    def from_tensors(
        cls,
        clip_ids: Sequence[str],
        classes: Sequence[str],
        clip: torch.Tensor,
        label: torch.Tensor,
        onset: torch.Tensor,
        offset: torch.Tensor,
        confidence: torch.Tensor | None = None,
    ) -> Events:
        """Builds the sorted table from unsorted columns of equal length; without confidences each is 1."""
        confidence = torch.ones_like(onset) if confidence is None else confidence
        order = torch.arange(len(clip), device=clip.device)
        for column in (offset, onset, label, clip):
            order = order[torch.argsort(column[order], stable=True)]
        return cls(
            tuple(clip_ids),
            tuple(classes),
            clip[order].long(),
            label[order].long(),
            onset[order].double(),
            offset[order].double(),
            confidence[order].float(),
        )

    @classmethod
    def from_rows(
        cls, rows: Iterable[tuple[str, float, float, str]], clip_ids: Sequence[str], classes: Sequence[str]
    ) -> Events:
        """Builds the table from rows ``(clip_id, onset, offset, label)``.

        Raises:
            UserError: a row names a clip or a class that is not listed, or ends before it begins.
        """
        clip_index = {name: i for i, name in enumerate(clip_ids)}
        class_index = {name: i for i, name in enumerate(classes)}
        clip, label, onset, offset = [], [], [], []
        for name, start, end, event_label in rows:
            if name not in clip_index:
                raise UserError(f"Clip '{name}' has an event but is not among the {len(clip_index)} clips of the set.")
            if event_label not in class_index:
                raise UserError(f"Clip '{name}' has an event of unknown class '{event_label}'"
                                f"{suggest(event_label, list(class_index))}.")  # fmt: skip
            if end < start:
                raise UserError(
                    f"Clip '{name}': the event '{event_label}' ends at {end} s, before its onset {start} s."
                )
            clip.append(clip_index[name])
            label.append(class_index[event_label])
            onset.append(start)
            offset.append(end)
        return cls.from_tensors(
            clip_ids,
            classes,
            torch.tensor(clip, dtype=torch.int64),
            torch.tensor(label, dtype=torch.int64),
            torch.tensor(onset, dtype=torch.float64),
            torch.tensor(offset, dtype=torch.float64),
        )

    @classmethod
    def from_pandas(
        cls, frame: pandas.DataFrame, clip_ids: Sequence[str] | None = None, classes: Sequence[str] | None = None
    ) -> Events:
        """Builds the table from one of pandas.

        Args:
            frame: the columns filename, onset, offset and event_label, and perhaps confidence, in any order; those of
                AudioSet-Strong and of dcase_util by their names, too. A row without times and label is a clip without events.
            clip_ids: names of all clips; those of the table, in its order, when None.
            classes: names of all classes; those of the table, sorted, when None.

        Raises:
            UserError: a column is missing, a row is no event, or names a clip or a class that is not listed.
        """
        from rl_postproc.data import event_exchange

        return event_exchange.from_pandas(frame, clip_ids, classes)

    def to_pandas(self) -> pandas.DataFrame:
        """Returns a table of pandas with the columns filename, onset, offset and event_label.

        A clip without events has a row without times and label. There is a column confidence where one is not 1.

        Raises:
            UserError: pandas is not installed.
        """
        from rl_postproc.data import event_exchange

        return event_exchange.to_pandas(self)

    @classmethod
    def from_dcase_util(
        cls,
        container: Iterable[Mapping[str, Any]],
        clip_ids: Sequence[str] | None = None,
        classes: Sequence[str] | None = None,
        clip: str | None = None,
    ) -> Events:
        """Builds the table from dcase_util's MetaDataContainer, or a list of mappings like its items.

        Args:
            container: items with filename, onset, offset and event_label; one with a filename alone is a clip without events.
            clip_ids: names of all clips; those of the items, in their order, when None.
            classes: names of all classes; those of the items, sorted, when None.
            clip: name of the clip of items that name none.

        Raises:
            UserError: an item is no event, or names a clip or a class that is not listed.
        """
        from rl_postproc.data import event_exchange

        return event_exchange.from_dcase_util(container, clip_ids, classes, clip)

    def to_dcase_util(self) -> MetaDataContainer:
        """Returns dcase_util's MetaDataContainer; a clip without events is an item with a filename alone."""
        from rl_postproc.data import event_exchange

        return event_exchange.to_dcase_util(self)

    def over(self, clip_ids: Sequence[str], classes: Sequence[str]) -> Events:
        """Returns the same events over other clips and classes, which hold at least those that have events.

        Raises:
            UserError: an event is of a clip or of a class that is not among them.
        """
        clip = _moved("clip", self.clip, self.clip_ids, clip_ids)
        label = _moved("class", self.label, self.classes, classes)
        return Events.from_tensors(clip_ids, classes, clip, label, self.onset, self.offset, self.confidence)

    def to_rows(self) -> list[tuple[str, float, float, str]]:
        """Returns rows ``(clip_id, onset, offset, label)``."""
        return [
            (self.clip_ids[c], on, off, self.classes[k])
            for c, on, off, k in zip(
                self.clip.tolist(), self.onset.tolist(), self.offset.tolist(), self.label.tolist(), strict=True
            )
        ]

    def counts(self) -> torch.Tensor:
        """Returns the number of events, int64 ``[clip, class]``."""
        shape = len(self.clip_ids), len(self.classes)
        cell = self.clip * shape[1] + self.label
        return torch.bincount(cell, minlength=shape[0] * shape[1]).reshape(shape)

    def select(self, clips: torch.Tensor) -> Events:
        """Returns the events of the given clips (int64 indices), renumbered in that order."""
        position = torch.full((len(self.clip_ids),), -1, dtype=torch.int64, device="cpu")
        clips = clips.cpu()
        position[clips] = torch.arange(len(clips), device="cpu")
        new_clip = position.to(self.clip.device)[self.clip]
        keep = new_clip >= 0
        return Events.from_tensors(
            tuple(self.clip_ids[i] for i in clips.tolist()),
            self.classes,
            new_clip[keep],
            self.label[keep],
            self.onset[keep],
            self.offset[keep],
            self.confidence[keep],
        )

    def of_clips(self, clips: slice) -> Events:
        """Returns the events of consecutive clips, without copying them."""
        a, b = torch.searchsorted(self.clip, torch.tensor([clips.start, clips.stop])).tolist()
        columns = {name: getattr(self, name)[a:b] for name in ("label", "onset", "offset", "confidence")}
        return replace(self, clip_ids=self.clip_ids[clips], clip=self.clip[a:b] - clips.start, **columns)

    def of_classes(self, classes: Sequence[str]) -> Events:
        """Returns the events of some classes, renumbered in the order given."""
        label = torch.tensor([classes.index(name) if name in classes else -1 for name in self.classes])
        own = label.to(self.label.device)[self.label]
        keep = own >= 0
        columns = (self.clip, own, self.onset, self.offset, self.confidence)
        return Events.from_tensors(self.clip_ids, tuple(classes), *(column[keep] for column in columns))

    def to(self, device: torch.device | str) -> Events:
        """Returns the same table on another device."""
        return Events(
            self.clip_ids,
            self.classes,
            self.clip.to(device),
            self.label.to(device),
            self.onset.to(device),
            self.offset.to(device),
            self.confidence.to(device),
        )


def _moved(side: str, indices: torch.Tensor, own: tuple[str, ...], names: Sequence[str]) -> torch.Tensor:
    """Returns indices into a list of clips or classes as those into another."""
    index = {name: i for i, name in enumerate(names)}
    strangers = [own[i] for i in indices.unique().tolist() if own[i] not in index]
    if strangers:
        raise UserError(f"There are events of the {side} '{strangers[0]}', which is not among the {len(index)} of the other "
                        f"side{suggest(strangers[0], list(index))}.")  # fmt: skip
    return torch.tensor([index.get(name, -1) for name in own], dtype=torch.int64, device=indices.device)[indices]
