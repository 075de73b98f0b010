"""How much faster a benchmark is on two Ray nodes of a core each than on one, and than in one process.

    pip install 'rl-postproc[ray]'
    python benchmarks/cluster.py                     # a part of desed_policies, some minutes
    python benchmarks/cluster.py --seeds 0,1,2,3,4 --agents event_value,event_set,ppo

The figures of all runs are compared to the last digit. The start of the nodes is not counted, that of their workers is.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from measure import note, real_or_simulated_scores
from rl_postproc.agents.benchmark.config import BenchmarkConfig, choose_agents
from rl_postproc.agents.benchmark.run import run_benchmark

from rl_postproc.config import load_config
from rl_postproc.data.scores import ScoreSet
from rl_postproc.work import Engine, RayCluster, Serial

CONFIG = Path(__file__).resolve().parents[1] / "configs" / "desed_policies.yaml"
NODE = {"num_cpus": 1, "object_store_memory": 512 << 20}


def timed(config: BenchmarkConfig, scores: ScoreSet, engine: Engine) -> tuple[float, dict[str, Any]]:
    """Returns the seconds that the benchmark takes, and its figures."""
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        run_benchmark(config, scores, Path(folder) / "run", lambda *_: None, engine=engine)
        seconds = time.perf_counter() - begin
        results = json.loads((Path(folder) / "run" / "results.json").read_text())
    for row in results["rows"]:
        del row["seconds"]
    return seconds, results


def on_nodes(config: BenchmarkConfig, scores: ScoreSet, n: int) -> tuple[float, dict[str, Any]]:
    """Does the same on so many nodes of a core each."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={**NODE, "include_dashboard": False})
    try:
        for _ in range(n - 1):
            cluster.add_node(**NODE)
        return timed(config, scores, RayCluster(cluster.address))
    finally:
        cluster.shutdown()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agents", default="grid_search,sgl_thresh,event_value,event_set")
    parser.add_argument("--seeds", default="0,1")
    parser.add_argument("--clips", type=int, help="only so many clips")
    args = parser.parse_args()
    torch.set_num_threads(1)
    scores = real_or_simulated_scores(dithered=False)
    if args.clips:
        scores = scores.select(torch.arange(args.clips))
    config = choose_agents(load_config(BenchmarkConfig, CONFIG), args.agents.split(","))
    config = config.model_copy(update={"seeds": [int(seed) for seed in args.seeds.split(",")]})
    n_folds = len(config.rows()) * config.folds * len(config.seeds)
    note(f"{n_folds} folds of {scores.n_clips} clips; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    runs = {"one process": lambda: timed(config, scores, Serial())}
    runs |= {f"{n} node{'s' * (n > 1)} of a core": lambda n=n: on_nodes(config, scores, n) for n in (1, 2)}
    found: dict[str, tuple[float, dict[str, Any]]] = {}
    print("| run | seconds | times one process | times one node | load at the end |\n|---|---:|---:|---:|---:|")
    for name, run in runs.items():
        found[name] = seconds, results = run()
        ratios = [
            f"{found[one][0] / seconds:.2f}" if one in found else "" for one in ("one process", "1 node of a core")
        ]
        print(f"| {name} | {seconds:.1f} | {' | '.join(ratios)} | {os.getloadavg()[0]:.1f} |", flush=True)
        assert results == found["one process"][1], "the figures differ"
    note("All figures are equal to the last digit.")


if __name__ == "__main__":
    main()
