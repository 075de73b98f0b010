"""Features of decoded events against plain definitions."""

import torch
from event_agents import small_task

from rl_postproc.candidates.features import FeatureGrid, event_features, feature_names


def test_votes_near_are_those_of_all_events_that_begin_and_end_within_the_collars() -> None:
    task = small_task(6)
    events, hop = task.decoded, task.scores.hop
    grid = FeatureGrid(hop)
    names = feature_names(grid)
    features = event_features(task.scores, events, grid)
    votes, near = features[:, names.index("votes")], features[:, names.index("votes_near")]
    assert len(names) == features.shape[1]
    several = 0
    for i in range(0, len(events), 2):
        collar = 0.2 * float(events.last[i] - events.first[i] + 1) * hop
        onset = (events.first - events.first[i]).abs() * hop <= 0.2 + 1e-6
        offset = (events.last - events.last[i]).abs() * hop <= max(int(0.2 / hop) * hop, collar) + 1e-6
        same = (events.track == events.track[i]) & onset & offset
        several += int(same.sum()) > 1
        assert torch.isclose(near[i], votes[same].sum(), atol=1e-6)
    assert several > 10
