"""Public data and checkpoints by name: what they are, where they come from, and whether they are on this machine.

`fetch` downloads an entry into a cache of the user's. Wherever a path to scores, references, durations or a checkpoint can
stand, the name of an entry can, too.
"""

from rl_postproc.catalogue.cache import cache_folder, find_entry_folder
from rl_postproc.catalogue.entry import CATALOGUE_VARIABLE, CatalogueFile, Entry, entries, find_entry
from rl_postproc.catalogue.fetch import fetch
from rl_postproc.catalogue.names import complete, did_you_mean, is_named, stand_in

__all__ = [
    "CATALOGUE_VARIABLE",
    "CatalogueFile",
    "Entry",
    "cache_folder",
    "complete",
    "did_you_mean",
    "entries",
    "fetch",
    "find_entry",
    "find_entry_folder",
    "is_named",
    "stand_in",
]
