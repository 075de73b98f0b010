"""SGL-Thresh's paper on its own tensors: the published figures, and the run in its authors' notebook."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rl_postproc.agents.benchmark.config import BenchmarkConfig, named_agents
from rl_postproc.agents.thresholds.heu_thresh import HeuThresh
from sklearn.metrics import f1_score

from rl_postproc.config import load_config
from rl_postproc.counts.column_counts import ColumnCounts
from rl_postproc.task import TuningTask

CONFIG = Path(__file__).resolve().parents[3] / "configs" / "sgl_thresh_dcase2017.yaml"


@pytest.fixture(scope="module")
def dcase2017(data_root: Path) -> tuple[TuningTask, TuningTask, BenchmarkConfig]:
    """Tasks of the published validation and evaluation tensors, and the config of the paper's table."""
    if not (data_root / "sgl_thresh" / "dcase2017").is_dir():
        pytest.skip(f"needs sgl_thresh/dcase2017 in '{data_root}'")
    config = load_config(BenchmarkConfig, CONFIG)
    evaluation = config.load_evaluation()
    assert evaluation is not None
    stack = config.build_stack()
    tasks = [TuningTask.build(scores, stack, config.metric) for scores in (config.load_data(), evaluation)]
    return tasks[0], tasks[1], config


def published_f1(dcase2017, name: str, seed: int = 0) -> tuple[float, float]:
    """Micro F1 of an agent of the config by scikit-learn, in percent, evaluation and validation."""
    train, held, config = dcase2017
    thresholds = named_agents(config.agents)[name].fit(train, seed).post_processor.choose(train.scores)[:, -1]
    found = []
    for task in (held, train):
        truth = task.scores.references.counts().numpy()
        tags = (task.scores.scores[..., 0] > thresholds).numpy()
        found.append(100 * f1_score(truth, tags, average="micro"))
    return found[0], found[1]


@pytest.mark.parametrize(("name", "held", "train", "off"), [
    ("defThresh", 59.0, 53.8, 0.05),
    ("numThresh", 60.3, 58.7, 0.7),
    ("SGL-Thresh", 61.96, 61.83, 0.05),
])  # fmt: skip
def test_the_published_figures_on_dcase_2017(dcase2017, name, held, train, off):
    found = published_f1(dcase2017, name)
    assert found[0] == pytest.approx(held, abs=off)
    assert found[1] == pytest.approx(train, abs=off)


def test_heu_thresh_reaches_the_published_figure_and_more_on_its_own_data(dcase2017):
    found = np.array([published_f1(dcase2017, "heuThresh", seed) for seed in range(5)])
    assert found[:, 0].mean() == pytest.approx(61.4, abs=0.7)
    assert found[:, 1].min() >= 58.1


def test_heu_thresh_repeats_the_run_in_the_authors_notebook_digit_by_digit(dcase2017):
    # sgl_dcase2017.ipynb of github.com/topel/sglthresh, commit 2780c86, shows these thresholds, micro F1 0.588 on
    # validation and 0.613 on evaluation. It is the second run from numpy's seed 0; the paper's table shows another.
    shown = "0.076 0.270 0.172 0.196 0.209 0.300 0.202 0.345 0.267 0.178 0.082 0.470 0.150 0.145 0.235 0.256 0.214"
    train, held, _ = dcase2017
    steps = ColumnCounts.of_items(train.scores.scores[..., 0], train.scores.references.counts().bool())
    agent, draws = HeuThresh(), np.random.RandomState(0)
    for _ in range(2):
        found = agent.search(steps, draws)
    assert [f"{threshold:.3f}" for threshold in found.tolist()] == shown.split()
    for task, published in ((train, 0.588), (held, 0.613)):
        truth = task.scores.references.counts().numpy()
        tags = (task.scores.scores[..., 0] > found).numpy()
        assert f1_score(truth, tags, average="micro") == pytest.approx(published, abs=5e-4)


def test_exact_search_beats_sgl_thresh_on_dcase_2017(dcase2017):
    exact, sgl = published_f1(dcase2017, "exact micro"), published_f1(dcase2017, "SGL-Thresh")
    assert exact[1] - sgl[1] > 3
    assert exact[0] - sgl[0] > 1


def test_the_config_of_dcase_2019_differs_by_its_first_threshold_alone():
    ours, other = (
        load_config(BenchmarkConfig, CONFIG.with_name(f"sgl_thresh_dcase{year}.yaml")) for year in (2017, 2019)
    )
    names = ("defThresh", "heuThresh", "numThresh", "SGL-Thresh")
    for name in names[1:]:
        a, b = (named_agents(config.agents)[name].model_dump(exclude={"preset"}) for config in (ours, other))
        assert (a.pop("start"), b.pop("start")) == (0.3, 0.5)
        assert a == b
    assert [config.stack[0]["threshold"]["default"] for config in (ours, other)] == [0.3, 0.5]
    assert set(names) == set(ours.published.figures) == set(other.published.figures)
