"""The simulated data set: reproducible, valid, DESED-like, and neither trivial nor hopeless."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.special import logit
from scipy.stats import mannwhitneyu, spearmanr

from rl_postproc.data.scores import ScoreSet
from rl_postproc.simulation.config import SimulationConfig
from rl_postproc.simulation.data_set import simulate, simulate_with_truth
from rl_postproc.simulation.profiles import PROFILES

KNOBS = ("drift", "false_alarms", "dropouts", "smear", "noise", "misses")

configs = st.builds(
    SimulationConfig,
    n_clips=st.integers(1, 90),
    n_classes=st.none() | st.integers(1, 4),
    clip_seconds=st.sampled_from([1.0, 3.3, 10.0, 23.0]),
    hop=st.sampled_from([0.02, 0.064, 0.1, 0.7]),
    difficulty=st.sampled_from([0.0, 0.3, 1.0]),
    false_alarms=st.sampled_from([0.0, 1.0, 4.0]),
    short=st.sampled_from([0.0, 0.08, 1.0]),
    empty=st.sampled_from([0.0, 0.03, 1.0]),
    seed=st.integers(0, 2**64),
)


def content(data: ScoreSet) -> bytes:
    """Every number of a set, as bytes."""
    events = data.require_references()
    parts = (data.scores, data.n_frames, data.edges, data.durations, events.clip, events.label, events.onset)
    return b"".join(part.numpy().tobytes() for part in (*parts, events.offset)) + repr(data.clip_ids).encode()


def reference_frames(data: ScoreSet) -> np.ndarray:
    """Frames whose centre lies inside a reference event, bool ``[clip, class, frame]``."""
    active = np.zeros(data.scores.shape, bool)
    centre = data.edges[0].unfold(0, 2, 1).mean(1).numpy()
    events = data.require_references()
    for clip, label, onset, offset in zip(
        events.clip.tolist(), events.label.tolist(), events.onset.tolist(), events.offset.tolist(), strict=True
    ):
        active[clip, label] |= (centre >= onset) & (centre < offset)
    return active


def separability(data: ScoreSet) -> float:
    """Mean over classes of the probability that an active frame scores higher than another (scipy's rank test)."""
    active, valid = reference_frames(data), data.valid.numpy()
    areas = []
    for label in range(data.n_classes):
        scores, truth = data.scores[:, label].numpy()[valid], active[:, label][valid]
        areas.append(mannwhitneyu(scores[truth], scores[~truth]).statistic / (truth.sum() * (~truth).sum()))
    return float(np.mean(areas))


def tracks(drifted: ScoreSet, steady: ScoreSet) -> tuple[np.ndarray, np.ndarray]:
    """Logits of both sets where the drifted clips have all frames, float64 ``[clip, class, frame]``."""
    whole = (drifted.n_frames == drifted.width).numpy()
    first, second = (
        logit(data.scores.numpy()[whole].astype(float).clip(1e-30, 1 - 1e-7)) for data in (drifted, steady)
    )
    return first, second


def test_same_seed_gives_the_same_bytes_whatever_global_state_and_threads_are() -> None:
    config = SimulationConfig(n_clips=100, seed=3)
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002 - the point is that the global state has no effect
    expected = content(simulate(config))
    threads = torch.get_num_threads()
    torch.manual_seed(2)
    np.random.seed(2)  # noqa: NPY002
    before = torch.get_rng_state().clone(), np.random.get_state()[1].copy()  # noqa: NPY002
    try:
        torch.set_num_threads(2 if threads == 1 else 1)
        assert content(simulate(config)) == expected
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002


def test_another_process_gives_the_same_bytes() -> None:
    program = (
        "import hashlib; from rl_postproc.simulation.config import SimulationConfig;"
        "from rl_postproc.simulation.data_set import simulate;"
        "data = simulate(SimulationConfig(n_clips=70, classes=['Dog', 'owl', 'Cat', 'saw'], seed=5));"
        "print(hashlib.sha256(data.scores.numpy().tobytes()).hexdigest())"
    )
    root = Path(__file__).resolve().parents[2]
    hashes = {
        subprocess.run(
            [sys.executable, "-c", program], cwd=root, check=True, capture_output=True, text=True,
            env=os.environ | {"PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(hashes) == 1 and hashes != {""}


def test_other_seed_gives_other_scores_and_events() -> None:
    first, second = (simulate(SimulationConfig(n_clips=20, seed=seed)) for seed in (0, 1))
    assert not torch.equal(first.scores, second.scores)
    assert first.require_references().to_rows() != second.require_references().to_rows()


def test_more_clips_leave_the_first_ones_as_they_are() -> None:
    few, many = (simulate(SimulationConfig(n_clips=n, seed=4)) for n in (70, 150))
    assert content(few) == content(many.select(range(70)))


@settings(max_examples=25)
@given(configs)
def test_references_lie_inside_their_clips_and_never_overlap_within_a_class(config: SimulationConfig) -> None:
    data = simulate(config)
    events = data.require_references()
    assert bool((events.onset >= 0).all()) and bool((events.onset < events.offset).all())
    assert bool((events.offset <= data.durations[events.clip]).all())
    same = (events.clip[1:] == events.clip[:-1]) & (events.label[1:] == events.label[:-1])
    assert bool((events.onset[1:] > events.offset[:-1])[same].all())
    if config.empty == 1.0:
        assert len(events) == 0


@settings(max_examples=25)
@given(configs)
def test_scores_are_probabilities_and_silent_beyond_the_clip(config: SimulationConfig) -> None:
    for data in simulate_with_truth(config):
        assert data.scores.dtype == torch.float32 and data.scores.shape[0] == config.n_clips
        assert bool(data.scores.isfinite().all())
        assert float(data.scores.min()) >= 0.0 and float(data.scores.max()) <= 1.0
        beyond = ~data.valid[:, None].expand_as(data.scores)
        assert bool((data.scores[beyond] == 0).all())
        begins, ends = data.edges[0, data.n_frames - 1], data.edges[0, data.n_frames]
        assert bool((begins < data.durations).all()) and bool((ends >= data.durations - 1e-9).all())


def test_share_of_shorter_clips_is_the_one_asked_for() -> None:
    data = simulate(SimulationConfig(n_clips=2000, classes=["Dog"], hop=0.5))
    assert 0.06 < float((data.durations < 10).double().mean()) < 0.10
    assert float(data.durations.max()) == 10.0
    assert int(data.n_frames.min()) < data.width


def test_overlap_makes_events_of_one_class_overlap() -> None:
    data = simulate(SimulationConfig(n_clips=200, overlap=0.5))
    events = data.require_references()
    same = (events.clip[1:] == events.clip[:-1]) & (events.label[1:] == events.label[:-1])
    share = (events.onset[1:] < events.offset[:-1])[same].double().mean()
    assert 0.35 < float(share) < 0.6


def test_separability_falls_with_difficulty() -> None:
    values = [separability(simulate(SimulationConfig(difficulty=d))) for d in (0.0, 0.25, 0.5, 0.75, 1.0)]
    assert values == sorted(values, reverse=True) and len(set(values)) == 5
    assert values[0] > 0.999 and 0.75 < values[2] < 0.99


@pytest.mark.parametrize("knob", KNOBS)
def test_each_flaw_costs_separability_and_leaves_events_alone(knob: str) -> None:
    without, with_flaw = (simulate(SimulationConfig(**{knob: value})) for value in (0.0, 4.0))
    assert without.require_references().to_rows() == with_flaw.require_references().to_rows()
    assert separability(without) > separability(with_flaw)


def test_scores_without_drift_equal_the_undrifted_ones() -> None:
    drifted, steady = simulate_with_truth(SimulationConfig(n_clips=50, drift=0.0))
    assert content(drifted) == content(steady)
    other = simulate_with_truth(SimulationConfig(n_clips=50, drift=2.0))
    assert content(other[1]) == content(steady)
    assert content(other[0]) != content(steady)


def test_drift_is_a_shift_and_gain_of_the_logits_of_each_track() -> None:
    drifted, steady = tracks(*simulate_with_truth(SimulationConfig(n_clips=60)))
    for x, y in zip(steady.reshape(-1, steady.shape[2]), drifted.reshape(-1, drifted.shape[2]), strict=True):
        gain, shift = np.polyfit(x, y, 1)
        # float32 leaves about six digits of a score near 1, hence the tolerance where the logit is large.
        assert np.abs(gain * x + shift - y)[x < 4].max() < 0.01 and gain > 0


def test_drift_shows_in_the_background_but_not_all_of_it() -> None:
    drifted, steady = tracks(*simulate_with_truth(SimulationConfig(n_clips=1000)))
    shift = np.median(drifted - steady, axis=2)
    background = np.quantile(drifted, 0.2, axis=2)
    for label in range(shift.shape[1]):
        assert 0.4 < spearmanr(background[:, label], shift[:, label]).statistic < 0.97


def test_undoing_the_drift_separates_better() -> None:
    drifted, steady = simulate_with_truth(SimulationConfig(n_clips=1000))
    assert separability(steady) > separability(drifted) + 0.005


def test_default_events_are_as_long_and_as_frequent_as_in_desed(data_root: Path) -> None:
    table = data_root / "desed_validation" / "ground_truth.tsv"
    lengths, clips = defaultdict(list), set()
    with table.open(newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            clips.add(row["filename"])
            if row["event_label"]:
                lengths[row["event_label"]].append(float(row["offset"]) - float(row["onset"]))
    data = simulate(SimulationConfig(n_clips=3000, hop=0.5))
    events = data.require_references()
    assert set(data.classes) == set(lengths)
    for label, name in enumerate(data.classes):
        chosen = events.label == label
        simulated = (events.offset - events.onset)[chosen].numpy()
        assert 0.75 < np.median(simulated) / np.median(lengths[name]) < 1.33, name
        assert 0.67 < (len(simulated) / data.n_clips) / (len(lengths[name]) / len(clips)) < 1.5, name


def test_sed_eval_finds_the_default_detector_as_good_as_a_desed_baseline() -> None:
    sed_eval = pytest.importorskip("sed_eval")
    data = simulate(SimulationConfig())
    metric = sed_eval.sound_event.EventBasedMetrics(
        list(data.classes), t_collar=0.2, percentage_of_length=0.2, empty_system_output_handling="zero_score"
    )
    references, estimates = defaultdict(list), defaultdict(list)
    for clip, onset, offset, label in data.require_references().to_rows():
        references[clip].append({"filename": clip, "event_label": label, "onset": onset, "offset": offset})
    active = np.pad((data.scores > 0.5).numpy().astype(int), ((0, 0), (0, 0), (1, 1)))
    steps = np.diff(active, axis=2)
    for (i, k, begin), (_, _, end) in zip(np.argwhere(steps == 1), np.argwhere(steps == -1), strict=True):
        onset, offset = float(data.edges[0, begin]), min(float(data.edges[0, end]), float(data.durations[i]))
        clip = data.clip_ids[i]
        estimates[clip].append({"filename": clip, "event_label": data.classes[k], "onset": onset, "offset": offset})
    for clip in data.clip_ids:
        metric.evaluate(references[clip], estimates[clip])
    assert 0.28 < metric.results_class_wise_average_metrics()["f_measure"]["f_measure"] < 0.44


def test_smallest_configurations_work() -> None:
    single = simulate(SimulationConfig(n_clips=1))
    assert single.clip_ids == ("sim_00000.wav",) and single.classes == tuple(PROFILES)
    one_class = simulate(SimulationConfig(n_clips=3, classes=["theremin"], clip_seconds=1.0, hop=1.0, short=0.0))
    assert one_class.classes == ("theremin",) and one_class.scores.shape == (3, 1, 1)


def test_drawn_classes_differ_from_each_other_and_from_seed_to_seed() -> None:
    def medians(seed: int) -> list[float]:
        events = simulate(SimulationConfig(n_clips=600, n_classes=8, hop=0.5, seed=seed)).require_references()
        length = events.offset - events.onset
        return [float(length[events.label == label].median()) for label in range(8)]

    assert max(medians(0)) > 3 * min(medians(0))
    assert medians(0) != medians(1)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"n_clips": 0}, "greater than or equal to 1"),
        ({"difficulty": 1.5}, "less than or equal to 1"),
        ({"difficulty": float("nan")}, "finite|less than or equal|greater than or equal"),
        ({"clip_seconds": float("inf")}, "less than or equal to 600"),
        ({"hop": 0.0}, "greater than or equal to 0.001"),
        ({"drift": -1.0}, "greater than or equal to 0"),
        ({"overlap": 2.0}, "less than or equal to 1"),
        ({"seed": -1}, "greater than or equal to 0"),
        ({"classes": []}, "classes must be a list of different names"),
        ({"classes": ["Dog", "Dog"]}, r"classes must be a list of different names .*\['Dog', 'Dog'\]"),
        ({"classes": ["Dog"], "n_classes": 2}, "n_classes is 2 but classes lists 1"),
        ({"n_clips": 1_000_000, "n_classes": 1000}, "take fewer clips or classes"),
        ({"dificulty": 0.5}, "Extra inputs are not permitted"),
    ],
)
def test_nonsense_is_rejected_with_a_message_that_says_why(values: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SimulationConfig(**values)
