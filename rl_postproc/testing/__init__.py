"""Conformance checks for what others add: environments, stages, metrics, objectives, formats and agents.

Each check takes one object, plays with it, and raises `NonConformant` (an ``AssertionError``) with a sentence that says
what does not hold. They need no test framework::

    from rl_postproc.testing import check_stage

    def test_my_stage():
        check_stage(MyStage())
"""

from rl_postproc.testing.base import NonConformant
from rl_postproc.testing.event_format import check_event_format
from rl_postproc.testing.format import check_format
from rl_postproc.testing.metric import check_metric
from rl_postproc.testing.objective import check_objective
from rl_postproc.testing.ranking import check_ranking
from rl_postproc.testing.stage import check_stage

__all__ = [
    "NonConformant",
    "check_event_format",
    "check_format",
    "check_metric",
    "check_objective",
    "check_ranking",
    "check_stage",
]
