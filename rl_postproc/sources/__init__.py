"""Where scores come from when there is only audio: PANNs, and detectors of the user's own.

`score_folder` runs a detector over recordings and writes a folder that all readers of scores take, `score_set` gives the same
in memory.
"""

from rl_postproc.sources.detector import ClipScores, Detector
from rl_postproc.sources.in_memory import score_set
from rl_postproc.sources.recordings import Recording, find_recordings
from rl_postproc.sources.score_folder import score_folder

__all__ = ["ClipScores", "Detector", "Recording", "find_recordings", "score_folder", "score_set"]
