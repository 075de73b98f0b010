"""Mean partial area under the ROC curve of segments, the metric of DCASE 2024's Task 4 on MAESTRO, as sed_scores_eval's."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field

from rl_postproc.data.events import Events
from rl_postproc.data.scores import ScoreSet
from rl_postproc.metrics.ranking.base import RankedScore, RankingMetric, mean_of_known
from rl_postproc.metrics.ranking.ranks import partial_auroc
from rl_postproc.metrics.ranking.sed_scores_eval import certify
from rl_postproc.metrics.ranking.segment_scores import Segments
from rl_postproc.utils.errors import UserError


class MeanPartialAuroc(RankingMetric):
    """Mean over classes of the area under the ROC curve of segments up to a false-positive rate, over that rate (mpAUC).

    A segment scores what its highest frame has, or its surest event; 0 where there is none. It is a positive where a
    reference touches it. Classes without references are left out of the mean. The defaults are those of DCASE 2024.

    Source: Ebbers et al., sed_scores_eval, ``segment_based.auroc``.
    """

    ranking: Literal["mpauc"] = "mpauc"
    segment_length: float = Field(default=1.0, ge=0.001, le=3600, description="length of a segment in seconds")
    max_fpr: float = Field(default=0.1, gt=0, le=1, description="false-positive rate up to which the area is taken")
    value_name: ClassVar[str] = "mpauc"
    class_value_name: ClassVar[str] = "partial_auroc"
    needs_durations: ClassVar[bool] = True
    most_certified: ClassVar[int | None] = 5000

    def value(
        self, references: Events, estimates: Events | ScoreSet, durations: torch.Tensor | None = None
    ) -> RankedScore:
        """See `RankingMetric.value`."""
        if durations is None:
            raise UserError("'mpauc' counts the segments in which nothing is, so it needs the clips' lengths; give "
                            "--durations.")  # fmt: skip
        segments = Segments.of_clips(self.segment_length, durations)
        scores = segments.of_scores(estimates) if isinstance(estimates, ScoreSet) else segments.of_events(estimates)
        truth = segments.touched(references)
        by_class = partial_auroc(scores, truth, self.max_fpr)
        return RankedScore(mean_of_known(by_class), by_class, rates={"segments": truth.sum(0)})

    def certify(self, references: Events, estimates: Events | ScoreSet, durations: torch.Tensor | None = None) -> str:
        """Has sed_scores_eval find the same."""
        assert durations is not None
        own = self.value(references, estimates, durations)
        return certify(own, references, estimates, durations, self.segment_length, self.max_fpr)
