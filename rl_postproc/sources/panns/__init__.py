"""PANNs (Kong et al., 2020): probabilities of AudioSet's 527 classes, or of target classes made of them, over time."""

from rl_postproc.sources.panns.classes import audioset_classes, target_classes
from rl_postproc.sources.panns.detector import Panns

__all__ = ["Panns", "audioset_classes", "target_classes"]
