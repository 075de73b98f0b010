"""What an agent sees of a clip, by name; every file in this room is found by itself.

==============  =====================================  ==================================================
name            joint environment                      per-class environment
==============  =====================================  ==================================================
``scores``      ``[class, frame]``                     ``[frame + class]``: the track, then one-hot class
``flat``        ``[class * frame]``                    as ``scores``
``summary``     ``[class * 7]``                        ``[7 + class]``: the track's summary, one-hot class
``dict``        ``scores [class, frame]``,             ``scores [frame]``, ``mask [frame]``,
                ``mask [frame]``                       ``class`` one-hot ``[class]``
``events``      as per class, ``[class, ...]`` each,   ``features [event, feature]``, ``mask [event]``,
                without ``class``                      ``levels [event, filter, 2]``, ``class`` ``[class]``
``item``        ``[1]``: number of the clip            ``[1]``: clip number * classes + class number
==============  =====================================  ==================================================

All values but those of ``events`` and ``item`` lie in [0, 1] and are float32; frames beyond a clip's end are 0.
"""

from .base import Observation, Observed, Observer, PreparedObservation

__all__ = ["Observation", "Observed", "Observer", "PreparedObservation"]
