"""How scores, references and durations enter, and events leave.

`read_scores` reads scores in any format, `write_scores` writes them. A format is a class under `Format`, one in a file of
this room or in a plug-in.
"""

from rl_postproc.formats.base import Format, Given
from rl_postproc.formats.event_pair import read_event_pair
from rl_postproc.formats.events.table import EventRow, read_durations, read_events, write_events
from rl_postproc.formats.read import read_scores
from rl_postproc.formats.write import write_scores

__all__ = [
    "EventRow",
    "Format",
    "Given",
    "read_durations",
    "read_event_pair",
    "read_events",
    "read_scores",
    "write_events",
    "write_scores",
]
