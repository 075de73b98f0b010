"""What all figures share: colours, plain text, and files that appear whole."""

from __future__ import annotations

import warnings
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure
from matplotlib.text import Text

from rl_postproc.utils.files import whole_file

matplotlib.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "font.size": 9})

BLUE, ORANGE = "#0072B2", "#E69F00"
LINES = (BLUE, ORANGE, "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000")
"""Colours that people of any colour vision tell apart (Okabe and Ito, "Color Universal Design", 2008)."""
COLOURS = {"before": ORANGE, "after": BLUE, "reference": "#444444"}


def save(figure: Figure, path: str | Path) -> Path:
    """Writes a figure whole or not at all."""
    with whole_file(path) as temporary, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # names in scripts that the font lacks are shown as boxes
        with_plain_text(figure).savefig(temporary, dpi=130, bbox_inches="tight")
    return Path(path)


def with_plain_text(figure: Figure) -> Figure:
    """Has a figure show its names as they are: a dollar sign in them begins no formula."""
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        text.set_parse_math(False)
    return figure
