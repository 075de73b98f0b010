"""The learned event policy: its network against a plain reading of it, and what its values may depend on."""

from __future__ import annotations

import pytest
import torch
from event_agents import files_of, repeated, small_task
from rl_postproc.agents.rl.frame_network import FrameEncoder, PlacedEvents, PooledEventNetwork
from rl_postproc.agents.rl.learned_events import EventValues, LearnedEventActor, LearnedEvents

from rl_postproc.data.scores import ScoreSet
from rl_postproc.pipeline.postprocessor import PostProcessor
from rl_postproc.task import TuningTask


def random_network(n_classes: int = 3, seed: int = 0) -> PooledEventNetwork:
    """A network whose last layer is no longer zero."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = PooledEventNetwork(n_classes, 4, 8)
        torch.nn.init.normal_(network.layers[-1].weight)  # pyright: ignore
    return network.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def task() -> TuningTask:
    return small_task()


def test_an_event_is_seen_at_its_first_and_last_frame_and_on_average_between() -> None:
    network = random_network()
    scores, mask = torch.rand(3, 20), torch.ones(3, 20)
    label = torch.tensor([2, 0, 1])
    track, first, last = torch.tensor([0, 1, 1, 2]), torch.tensor([0, 3, 7, 19]), torch.tensor([19, 3, 12, 19])
    geometry = torch.randn(4, 3)
    code = network.encoder(scores, mask)
    rows = [
        torch.cat([code[t, f], code[t, z], code[t, f : z + 1].mean(0), g, network.embedding.weight[label[t]]])
        for t, f, z, g in zip(track, first, last, geometry, strict=True)
    ]
    found = network(scores, mask, label, PlacedEvents(track, first, last, geometry))
    assert torch.allclose(found, network.layers(torch.stack(rows))[:, 0], atol=1e-4)


def test_the_code_of_a_frame_depends_on_the_frames_near_it_and_not_on_padding() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = FrameEncoder(4)
    scores = torch.rand(2, 60, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        code = encoder(scores, torch.ones(2, 60))
        padded = torch.nn.functional.pad(scores, (0, 25))
        mask = torch.nn.functional.pad(torch.ones(2, 60), (0, 25))
        assert torch.allclose(encoder(padded, mask)[:, :60], code, atol=1e-6)
        scores[:, 30] = 1 - scores[:, 30]
        changed = (encoder(scores, torch.ones(2, 60)) != code).any(2).any(0).nonzero()[:, 0]
    assert changed.min() >= 30 - 17 and changed.max() <= 30 + 17 and len(changed) > 17


def test_a_policy_begins_with_all_candidates_alike_and_its_logits_are_sums_over_events(task: TuningTask) -> None:
    actor = LearnedEventActor(task, 4, 8, 0.5)
    tracks = torch.randint(actor.n_tracks, (50,), generator=torch.Generator().manual_seed(0))
    assert not actor.logits(tracks).any()
    actor.network.load_state_dict(random_network().state_dict())
    events = task.decoded
    values = EventValues(task.scores, events, task.scores.hop).of_all([actor.network])
    with torch.no_grad():
        found = actor.logits(tracks)
    assert values.std() > 0.1
    assert torch.allclose(found, events.sum_over_candidates(values)[tracks] / 0.5, atol=1e-4)


def test_values_are_the_mean_over_networks(task: TuningTask) -> None:
    values = EventValues(task.scores, task.decoded, task.scores.hop)
    first, second = (random_network(seed=seed) for seed in (0, 1))
    mean = (values.of_all([first]) + values.of_all([second])) / 2
    assert torch.allclose(values.of_all([first, second]), mean, atol=1e-5)


def test_a_policy_survives_saving_and_needs_neither_padding_nor_other_clips(task: TuningTask, tmp_path) -> None:
    policy = LearnedEvents([random_network(seed=seed) for seed in (0, 1)], task.scores.hop)
    processor = PostProcessor(task.stack, task.scores.classes, policy, task.scores.hop)
    expected = processor.choose(task.scores)
    assert len(expected.flatten(0, 1).unique(dim=0)) > 3
    files_of(processor, tmp_path)
    assert torch.equal(PostProcessor.load(tmp_path).choose(task.scores), expected)
    scores = task.scores
    edges = torch.arange(scores.width + 31, dtype=torch.float64) * scores.hop
    padded = ScoreSet.build(
        torch.nn.functional.pad(scores.scores, (0, 30)), edges, scores.clip_ids, scores.classes, scores.n_frames,
        scores.durations,
    )  # fmt: skip
    assert torch.equal(processor.choose(padded), expected)
    for clip in range(scores.n_clips):
        assert torch.equal(processor.choose(scores.select([clip]))[0], expected[clip])


@pytest.mark.parametrize("times", [2, 3])
def test_it_chooses_the_same_from_finer_frames(times: int) -> None:
    stack = [{"stage": "threshold", "threshold": [0.1, 0.3, 0.5, 0.7, 0.9]}]
    scores = repeated(small_task().scores, 1)
    task = TuningTask.build(scores, small_task(2, stack=stack).stack)
    policy = LearnedEvents([random_network()], scores.hop)
    expected = policy.choose(scores, task.stack)
    assert torch.equal(policy.choose(repeated(scores, times), task.stack), expected)
    assert len(expected.flatten(0, 1).unique(dim=0)) > 1
