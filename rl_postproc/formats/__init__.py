"""How scores, references and durations enter, and events leave.

`read_scores` and `read_events` read any format, `write_scores` and `write_events` write one. A format is a class under
`Format` or `EventFormat`, one in a file of a room here or in a plug-in.
"""

from rl_postproc.formats.base import Format, Given
from rl_postproc.formats.durations import read_durations
from rl_postproc.formats.event_pair import read_event_pair, read_pair_list
from rl_postproc.formats.events.base import EventFormat, EventRow
from rl_postproc.formats.events.read import read_events
from rl_postproc.formats.events.write import write_events
from rl_postproc.formats.read import read_scores
from rl_postproc.formats.write import write_scores

__all__ = [
    "EventFormat",
    "EventRow",
    "Format",
    "Given",
    "read_durations",
    "read_event_pair",
    "read_events",
    "read_pair_list",
    "read_scores",
    "write_events",
    "write_scores",
]
