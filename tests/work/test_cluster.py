"""Tasks on a cluster of two nodes on this machine: the results of one process, whatever dies on the way."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cases import small_simulation
from event_agents import AGENTS
from program import Run, assert_one_sentence, config_file
from rl_postproc.agents.benchmark.config import BenchmarkConfig
from rl_postproc.agents.benchmark.run import run_benchmark
from sparse_cases import sparse_set
from work_cases import PLUGIN, begun, make, notes

from rl_postproc.config import build_config
from rl_postproc.formats import write_scores
from rl_postproc.pipeline.postprocessor import PostProcessor
from rl_postproc.pipeline.stack import Stack
from rl_postproc.utils.errors import UserError
from rl_postproc.work import RayCluster, in_order
from rl_postproc.work import cluster as on_ray
from rl_postproc.work.base import ATTEMPTS

pytest.importorskip("ray", reason="needs ray: pip install 'rl-postproc[ray]'")

NODE = {"num_cpus": 1, "object_store_memory": 100 << 20}
STACK = [{"stage": "median", "kernel": [0, 0.3]}, {"stage": "threshold", "threshold": [0.3, 0.5, 0.7]}]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


CLIENT_PORT = free_port()


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two nodes of a core each, whose workers find the modules of the tests."""
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        paths = [str(Path(__file__).resolve().parents[1]), os.environ.get("PYTHONPATH", "")]
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        head = {**NODE, "include_dashboard": False, "ray_client_server_port": CLIENT_PORT}
        found = Cluster(initialize_head=True, head_node_args=head)
        found.add_node(**NODE)
        yield found
        found.shutdown()


@pytest.fixture
def engine(cluster: Any) -> RayCluster:
    return RayCluster(cluster.address)


def squares(found: Any) -> dict[int, int]:
    return {item: square for item, (square, _) in found}


def results(folder: Path) -> dict[str, Any]:
    found = json.loads((folder / "results.json").read_text())
    for row in found["rows"]:
        del row["seconds"]
    return found


def test_two_nodes_give_what_one_process_gives_and_say_how_far_they_are(engine: RayCluster, tmp_path: Path) -> None:
    told: set[tuple[int, float]] = set()
    found = dict(engine.run(make(tmp_path, seconds=1.0), range(6), lambda item, share, _: told.add((item, share))))
    assert squares(found.items()) == {item: item**2 for item in range(6)}
    assert len({pid for _, pid in found.values()}) == 2 and os.getpid() not in {pid for _, pid in found.values()}
    assert {item for item, _ in told} <= set(range(6)) and len(told) >= 2
    assert [item for item, _ in in_order(engine, make(tmp_path), range(6))] == list(range(6))


@pytest.mark.slow
def test_a_client_from_outside_the_cluster_gets_the_same(cluster: Any, tmp_path: Path) -> None:
    assert squares(RayCluster(f"ray://127.0.0.1:{CLIENT_PORT}").run(make(tmp_path), range(3))) == {0: 0, 1: 1, 2: 4}


def test_a_worker_that_is_killed_is_replaced_and_its_task_begun_again(engine: RayCluster, tmp_path: Path) -> None:
    found = squares(engine.run(make(tmp_path, {2: 1}), range(4)))
    assert found == {0: 0, 1: 1, 2: 4, 3: 9}
    assert begun(tmp_path) == {0: 1, 1: 1, 2: 2, 3: 1}


def test_what_cannot_be_done_is_one_sentence(
    engine: RayCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match=rf"lost {ATTEMPTS} times over the same task .*; give the workers more memory"):
        list(engine.run(make(tmp_path, {0: ATTEMPTS}), range(1)))
    assert begun(tmp_path) == {0: ATTEMPTS}
    with pytest.raises(UserError, match=r"^-1 is negative\.$"):
        list(engine.run(make(tmp_path), [1, -1]))
    with pytest.raises(UserError, match=r"^Nothing answers at '127\.0\.0\.1:1' \(Connection refused\); check"):
        list(RayCluster("127.0.0.1:1").run(make(tmp_path), [1]))
    monkeypatch.setattr(on_ray, "code_version", lambda: "0123456789ab")
    with pytest.raises(UserError, match=r"other code .* than this machine \(0123456789ab\); install the same there\.$"):
        list(engine.run(make(tmp_path), [1]))


def test_a_benchmark_gives_the_same_figures(cluster: Any, run: Run, tmp_path: Path) -> None:
    agents = ["grid_search", AGENTS["boosted"]]
    config = config_file(tmp_path, agents=agents, folds=2, seeds=[0, 1])
    assert run("benchmark", config, "--out", "serial")[0] == 0
    code, _, err = run("benchmark", config, "--out", "cluster", "--cluster", cluster.address)
    assert code == 0 and "Traceback" not in err, err
    assert results(tmp_path / "cluster") == results(tmp_path / "serial")
    for path in (tmp_path / "serial" / "folds").rglob("*"):
        if path.is_file() and path.name != "result.json":
            assert (tmp_path / "cluster" / path.relative_to(tmp_path / "serial")).read_bytes() == path.read_bytes()
    refused = run("benchmark", config, "--out", "none", "--cluster", "127.0.0.1:1")
    assert_one_sentence((refused[0], refused[1], refused[2][refused[2].index("Error: ") :]), "Nothing answers at")


def test_files_are_applied_to_with_the_same_events(cluster: Any, run: Run, tmp_path: Path) -> None:
    scores = small_simulation(5, 3)
    write_scores(scores, tmp_path / "scores")
    PostProcessor.constant(Stack.default(), scores, Stack.default().space.defaults).save(tmp_path / "run")
    for name, more in (("serial", []), ("cluster", ["--cluster", cluster.address])):
        assert run("apply", "run", "scores", "--out", f"{name}.tsv", *more)[0] == 0
    assert Path("cluster.tsv").read_bytes() == Path("serial.tsv").read_bytes()


def test_clips_of_sparse_shards_are_counted_with_the_same_result(
    cluster: Any, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sparse_set(tmp_path / "shards")  # three of them, each a task
    monkeypatch.setattr("rl_postproc.counts.divided.TASK_BYTES", 1)
    for agent in ("grid_search", "sgl_thresh"):
        train = ["train", "--scores", "shards", "--agent", agent]
        for out, more in ((f"{agent}_one", []), (f"{agent}_two", ["--cluster", cluster.address])):
            code, _, err = run(*train, "--out", out, *more)
            assert code == 0 and "Traceback" not in err, err
        for name in ("postprocessor.json", "report.json"):
            assert Path(f"{agent}_two", name).read_bytes() == Path(f"{agent}_one", name).read_bytes()


@pytest.mark.filterwarnings("ignore::rl_postproc.utils.errors.DataWarning")
def test_a_node_that_is_lost_in_the_middle_loses_no_finished_fold(cluster: Any, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    agent = {"agent": "test_waits", "folder": str(tmp_path / "notes"), "trials": 5, "seconds": 3.0}
    values = {"stack": STACK, "folds": 4, "seeds": [0, 1], "plugins": [PLUGIN], "agents": [agent],
              "baseline": "test_waits"}  # fmt: skip
    config, scores = build_config(BenchmarkConfig, values, "test"), small_simulation(12, 3)
    out, finished, third = tmp_path / "cluster", {}, cluster.add_node(**NODE)

    def lose() -> None:
        """Waits until a fold is finished and the third node has just begun another, of three seconds, and kills the node."""
        deadline = time.monotonic() + 200
        while time.monotonic() < deadline:
            done = {path: path.stat().st_mtime_ns for path in out.glob("folds/*/result.json")}
            begun = [note for note in (tmp_path / "notes").iterdir() if time.time() - note.stat().st_mtime < 1]
            if done and any(note.read_text() == third.node_id for note in begun):
                finished.update(done)
                cluster.remove_node(third, allow_graceful=False)
                return
            time.sleep(0.02)

    killer = threading.Thread(target=lose, daemon=True)
    killer.start()
    run_benchmark(config, scores, out, lambda *_: None, engine=RayCluster(cluster.address))
    killer.join()
    assert 0 < len(finished) < 8
    assert {path: path.stat().st_mtime_ns for path in finished} == finished
    assert sorted(notes(tmp_path / "notes").values()) == [1] * 7 + [2]  # what the lost node was at, and nothing else
    values["agents"] = [{**agent, "seconds": 0.0}]
    run_benchmark(build_config(BenchmarkConfig, values, "test"), scores, tmp_path / "serial", lambda *_: None)
    assert results(out) == results(tmp_path / "serial")
