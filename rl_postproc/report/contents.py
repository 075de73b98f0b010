"""What a report holds: sections of tables and charts, and a clip browser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from rl_postproc.report.browser import Browser

Cell = str | float | None
"""What is in a cell; None where nothing is known."""
Kind = Literal["text", "number", "percent"]


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        name: its heading.
        kind: how cells are shown and sorted: ``percent`` takes shares of one and shows percents, ``number`` four digits.
        note: what it means, shown with the heading.
    """

    name: str
    kind: Kind = "text"
    note: str = ""


@dataclass(frozen=True)
class Table:
    """A table that sorts by any of its columns.

    Attributes:
        caption: what it tells.
        columns: of it; the first one names its row.
        rows: cells, a value or, where it is shown otherwise than it sorts, value and text.
    """

    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell | tuple[Cell, str]]]


@dataclass(frozen=True)
class Chart:
    """A chart, or several of which one is chosen, such as one a class.

    Attributes:
        caption: what it shows.
        description: what it shows in words, for those who do not see it.
        figures: plotly figures as plain values (``data``, ``layout``) by name; of several one is chosen.
            Texts are shown as they are, only templates (``hovertemplate``) may hold tags such as ``<br>``.
            Traces without dashes, symbols, patterns or colours of their own get them by their place, in light and in dark.
        choice: what is chosen, such as ``class``.
    """

    caption: str
    description: str
    figures: dict[str, dict[str, Any]]
    choice: str = ""


@dataclass(frozen=True)
class Text:
    """A paragraph, or text that is shown as it is, such as a config.

    Attributes:
        text: what is shown.
        as_is: whether it is shown in a fixed width, folded under its title.
        title: of what is folded.
    """

    text: str
    as_is: bool = False
    title: str = ""


@dataclass(frozen=True)
class Section:
    """A part of a report under a heading.

    Attributes:
        title: the heading.
        parts: what is under it.
    """

    title: str
    parts: Sequence[Table | Chart | Text]


@dataclass(frozen=True)
class Report:
    """A report.

    Attributes:
        title: of the page.
        summary: sentences below the title: what was run, on what, with what result.
        sections: in order.
        browser: the clips, shown after the first section; None without any.
        notes: sentences on what was guessed, cut, sampled or skipped.
    """

    title: str
    summary: Sequence[str]
    sections: Sequence[Section]
    browser: Browser | None = None
    notes: Sequence[str] = field(default_factory=tuple)
