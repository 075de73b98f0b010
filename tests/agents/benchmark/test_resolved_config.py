"""The config that a run keeps: reading it gives the same rows, whatever was chosen of it on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from program import ROOT
from rl_postproc.agents.benchmark.config import BenchmarkConfig, agent_names, choose_agents
from rl_postproc.agents.benchmark.provenance import save_provenance
from rl_postproc.agents.benchmark.suite import find_suite

from rl_postproc.config import load_config
from rl_postproc.utils.errors import DataWarning

CONFIGS = sorted(path for path in (ROOT / "configs").glob("*.yaml") if find_suite(path) is None)


def resolved(config: BenchmarkConfig, folder: Path) -> BenchmarkConfig:
    save_provenance(folder, config, config.seeds)
    return load_config(BenchmarkConfig, folder / "config.yaml")


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_the_rows_of_a_kept_config_are_those_of_the_run(path: Path, tmp_path: Path) -> None:
    config = load_config(BenchmarkConfig, path)
    again = resolved(config, tmp_path)
    for of in (BenchmarkConfig.rows, BenchmarkConfig.row_stacks, BenchmarkConfig.row_metrics, BenchmarkConfig.row_objectives,
               BenchmarkConfig.stack_names):  # fmt: skip
        assert of(again) == of(config)
    assert (again.baseline, again.judged_by) == (config.baseline, config.judged_by)


@pytest.mark.filterwarnings("ignore:The baseline")
@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_so_are_those_of_one_agent_alone(path: Path, tmp_path: Path) -> None:
    config = load_config(BenchmarkConfig, path)
    for name in (agent_names(config.rows())[-1], "random_search"):
        chosen = choose_agents(config, [name])
        again = resolved(chosen, tmp_path)
        assert agent_names(again.rows()) == agent_names(chosen.rows())
        assert again.row_stacks() == chosen.row_stacks()


def test_a_baseline_that_is_left_out_is_told(tmp_path: Path) -> None:
    config = load_config(BenchmarkConfig, ROOT / "configs" / "sgl_thresh_dcase2017.yaml")
    with pytest.warns(DataWarning, match="baseline 'SGL-Thresh' is not among the agents"):
        chosen = choose_agents(config, ["grid_search"])
    assert resolved(chosen, tmp_path).baseline == "grid_search"
