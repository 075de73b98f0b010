"""The command line: what scripts rely on, resuming and interrupting."""

from __future__ import annotations

import csv
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from program import SIMULATED, Run, assert_one_sentence, command, config_file, environment, process, sources
from rl_postproc.agents.benchmark.folds import sealed


def test_train_apply_and_evaluate_in_separate_processes_agree(simulated: Path, tmp_path: Path) -> None:
    out, events = tmp_path / "run", tmp_path / "events.tsv"
    settings = ["--set", "agent.rollouts=2", "--set", "agent.members=1"]
    done = process(
        "train", "--agent", "ppo", *sources(simulated), "--out", out, *settings, "--threads", 1, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert {"postprocessor.json", "config.yaml", "versions.json", "curve.json", "report.json"} <= {
        path.name for path in out.iterdir()
    }
    assert not [path for path in out.rglob("*") if path.suffix in (".pkl", ".pickle", ".pt", ".zip")]
    done = process(
        "apply", out, simulated / "scores", "--durations", simulated / "durations.tsv", "--out", events, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    references = ["--references", simulated / "references.tsv", "--durations", simulated / "durations.tsv"]
    done = process("evaluate", events, *references, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    figures, report = json.loads(done.stdout), json.loads((out / "report.json").read_text())
    for key in ("macro_f1", "micro_f1", "classes"):
        assert figures[key] == report[key]
    assert figures["macro_f1"] > 0


def test_evaluate_prints_one_stable_json_object(run: Run, simulated: Path) -> None:
    references = simulated / "references.tsv"
    code, out, _ = run(
        "evaluate", references, "--references", references, "--durations", simulated / "durations.tsv", "--json"
    )
    found = json.loads(out)
    assert code == 0
    rates = {"f1", "precision", "recall"}
    assert set(found) == {f"{mean}_{rate}" for rate in rates for mean in ("macro", "micro")} | {
        "classes",
        "certified_by",
    }
    assert list(found["classes"]) == ["Cat", "Dog", "Speech"]
    for row in found["classes"].values():
        assert set(row) == {"true_positives", "estimated", "reference"} | rates
        assert row["true_positives"] == row["estimated"] == row["reference"] > 0
    assert found["macro_f1"] == found["micro_f1"] == 1.0
    assert found["certified_by"].startswith("sed_eval")


def test_train_tells_what_it_has_chosen_and_draws_it(run: Run, simulated: Path, tmp_path: Path) -> None:
    code, out, err = run("train", "--agent", "grid_search", *sources(simulated), "--out", "out")
    assert code == 0, err
    assert "Chosen parameters" in out and "threshold.threshold" in out
    assert (tmp_path / "out" / "clip.png").stat().st_size > 1000
    chosen = json.loads((tmp_path / "out" / "report.json").read_text())["chosen"]
    text = (tmp_path / "out" / "postprocessor.json").read_text()
    for name, values in json.loads(text)["policy"]["values"].items():
        assert {key: value for key, value in chosen[name].items() if key != "events_per_minute"} == values
        for value in values.values():
            assert f": {value}" in text and len(str(value)) <= 6  # 0.81, not 0.8100000023841858
            assert f"{value:.4g}" in out


def test_evaluate_of_a_run_folder_equals_its_applied_events(run: Run, simulated: Path, tmp_path: Path) -> None:
    assert run("train", "--agent", "grid_search", *sources(simulated), "--out", "run")[0] == 0
    _, out, _ = run("evaluate", "run", *sources(simulated), "--json")
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert json.loads(out)["classes"] == report["classes"]
    code, out, _ = run("evaluate", "run", *sources(simulated))
    assert code == 0
    assert "macro" in out
    assert "certified by sed_eval" in out


def test_the_collars_of_evaluate_are_options(run: Run, simulated: Path, tmp_path: Path) -> None:
    (tmp_path / "r.tsv").write_text("a.wav\t0.0\t2.0\tCat\n")
    (tmp_path / "e.tsv").write_text("a.wav\t0.3\t2.9\tCat\n")
    hits = {}
    for collar, share in ((0.2, 0.2), (0.4, 0.2), (0.4, 0.5)):
        options = ["--t-collar", collar, "--percentage-of-length", share]
        _, out, _ = run("evaluate", "e.tsv", "--references", "r.tsv", *options, "--json")
        hits[collar, share] = json.loads(out)["classes"]["Cat"]["true_positives"]
    assert hits == {(0.2, 0.2): 0, (0.4, 0.2): 0, (0.4, 0.5): 1}
    assert_one_sentence(run("evaluate", "e.tsv", "--references", "r.tsv", "--t-collar", 0), "'t_collar' is 0")


def test_benchmark_writes_stable_results(run: Run, simulated: Path, tmp_path: Path) -> None:
    config = config_file(tmp_path)
    options = ["--agents", "default,grid_search,sgl_thresh", "--seeds", "0,1", "--folds", 2]
    code, out, _ = run("benchmark", config, "--out", "out", *sources(simulated), *options)
    assert code == 0
    assert "grid_search" in out
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert results["n_clips"] == 12
    rows = results["rows"]
    assert [(row["agent"], row["seed"]) for row in rows] == [
        (agent, seed) for agent in ("default", "grid_search", "sgl_thresh") for seed in (0, 1)
    ]
    for row in rows:
        assert {"agent", "seed", "macro_f1", "train_macro_f1", "seconds", "evaluations"} <= set(row)
        assert 0 <= row["macro_f1"] <= 1
        assert 0 <= row["train_macro_f1"] <= 1
        assert row["seconds"] >= 0
        assert row["certified_by"].startswith("sed_eval")
    assert rows[2]["evaluations"] == 6 * 6 * 6  # six candidates on six clips, and on five inner folds of them
    with (tmp_path / "out" / "results.csv").open() as handle:
        table = list(csv.DictReader(handle))
    assert [(row["agent"], int(row["seed"])) for row in table] == [(row["agent"], row["seed"]) for row in rows]
    assert [float(row["macro_f1"]) for row in table] == pytest.approx([row["macro_f1"] for row in rows])
    for name in ("config.yaml", "versions.json", "agents.png", "classes.png", "clip.png"):
        assert (tmp_path / "out" / name).stat().st_size > 0
    resolved = yaml.safe_load((tmp_path / "out" / "config.yaml").read_text())
    assert resolved["folds"] == 2
    assert resolved["stack"][1]["threshold"]["candidates"] == [0.3, 0.5, 0.7]
    # the pooled held-out events, scored by `evaluate`, give the same figure
    for agent, row in (("default", rows[0]), ("grid_search", rows[2])):
        folds = sorted((tmp_path / "out" / "folds").glob(f"{agent}_seed0_fold*/events.tsv"))
        lines = [line for path in folds for line in path.read_text().splitlines()[1:]]
        (tmp_path / "pooled.tsv").write_text("\n".join(lines) + "\n")
        _, out, _ = run("evaluate", "pooled.tsv", "--references", simulated / "references.tsv", "--json")
        assert json.loads(out)["macro_f1"] == pytest.approx(row["macro_f1"])


def test_the_resolved_config_of_a_run_repeats_it(run: Run, tmp_path: Path) -> None:
    assert run("benchmark", config_file(tmp_path), "--out", "first", "--set", "stack.0.kernel=[0, 0.5]")[0] == 0
    assert run("benchmark", "first/config.yaml", "--out", "second")[0] == 0
    first, second = (json.loads((tmp_path / name / "results.json").read_text())["rows"] for name in ("first", "second"))
    assert [row["classes"] for row in first] == [row["classes"] for row in second]


def test_demo_runs_with_small_settings(run: Run, tmp_path: Path) -> None:
    settings = ["data.simulated.n_clips=12", "folds=2", "agents=[default, grid_search]"]
    code, out, _ = run("demo", "--out", "demo", *(x for s in settings for x in ("--set", s)))
    assert code == 0
    assert "default" in out
    assert "Certified by sed_eval" in out
    assert (tmp_path / "demo" / "clip.png").exists()


def test_simulate_is_deterministic_and_readable(run: Run, simulated: Path, tmp_path: Path) -> None:
    assert run("simulate", "--out", "again", *SIMULATED)[0] == 0
    for path in simulated.rglob("*.tsv"):
        assert path.read_bytes() == (tmp_path / "again" / path.relative_to(simulated)).read_bytes()
    assert len(list((simulated / "scores").iterdir())) == 12


def test_the_same_seed_trains_the_same_file(run: Run, simulated: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        settings = ["--set", "agent.rollouts=1", "--set", "agent.members=1", "--seed", 5]
        assert run("train", "--agent", "ppo", *sources(simulated), "--out", name, *settings)[0] == 0
    for file in ("postprocessor.json", "postprocessor.safetensors"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_version_and_help(run: Run) -> None:
    from rl_postproc import __version__

    code, out, _ = run("--version")
    assert code == 0
    assert __version__ in out
    for name in ("demo", "benchmark", "train", "apply", "export", "evaluate", "simulate", "list"):
        code, out, _ = run(name, "--help")
        assert code == 0
        assert "--" in out


def stamps(out: Path) -> dict[str, int]:
    """Returns when each fold's result was written."""
    return {path.parent.name: path.stat().st_mtime_ns for path in (out / "folds").glob("*/result.json")}


def test_only_a_missing_fold_is_computed_again(run: Run, tmp_path: Path) -> None:
    config, out = config_file(tmp_path), tmp_path / "out"
    assert run("benchmark", config, "--out", out)[0] == 0
    before, results = stamps(out), json.loads((out / "results.json").read_text())
    assert len(before) == 6
    shutil.rmtree(out / "folds" / "grid_search_seed0_fold1")
    (out / "folds" / "default_seed0_fold2" / "result.json").write_text('{"key": "cut o')
    assert run("benchmark", config, "--out", out)[0] == 0
    again = json.loads((out / "results.json").read_text())
    assert [row["classes"] for row in again["rows"]] == [row["classes"] for row in results["rows"]]
    after = stamps(out)
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"grid_search_seed0_fold1", "default_seed0_fold2"}


def test_other_settings_compute_what_they_change(run: Run, tmp_path: Path) -> None:
    config, out = config_file(tmp_path), tmp_path / "out"
    assert run("benchmark", config, "--out", out)[0] == 0
    before = stamps(out)
    scope = "agents=[default, {agent: grid_search, scope: global}]"
    assert run("benchmark", config, "--out", out, "--set", scope)[0] == 0
    after = stamps(out)
    assert {name for name in after if after[name] != before[name]} == {f"grid_search_seed0_fold{k}" for k in range(3)}
    assert run("benchmark", config, "--out", out, "--set", "metric.t_collar=0.3")[0] == 0
    assert all(stamps(out)[name] != after[name] for name in after)


def test_folds_of_other_code_are_named_beside_the_table_until_they_are_run_anew(run: Run, tmp_path: Path) -> None:
    config, out = config_file(tmp_path), tmp_path / "out"
    code, said, _ = run("benchmark", config, "--out", out)
    assert code == 0 and "other code" not in said
    path = out / "folds" / "grid_search_seed0_fold1" / "result.json"
    path.write_text(json.dumps(sealed({**json.loads(path.read_text()), "code": "0123456789ab"})))
    before = stamps(out)
    _, said, _ = run("benchmark", config, "--out", out)
    assert "1 finished fold of 'grid_search'" in " ".join(said.split())
    assert stamps(out) == before
    _, said, _ = run("benchmark", config, "--out", out, "--fresh")
    assert "other code" not in said
    after = stamps(out)
    assert {name for name in after if after[name] != before[name]} == {"grid_search_seed0_fold1"}


def test_an_interrupt_within_executed_text_gives_the_same_exit_code(tmp_path: Path) -> None:
    # Where the interrupt falls is chance in real runs; CPython treats this place unlike all others.
    (tmp_path / "interrupted.py").write_text(
        "from rl_postproc.agents.cli import benchmark, main\n"
        "def interrupt(*_):\n    raise KeyboardInterrupt\n"
        "benchmark.compare = lambda *_: eval('interrupt()', {'interrupt': interrupt})\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "interrupted", "demo"], cwd=tmp_path, env=environment(), capture_output=True, text=True
    )
    assert done.returncode == 130, done.stderr
    assert "Traceback" not in done.stderr


def test_an_interrupt_keeps_the_finished_folds(run: Run, tmp_path: Path) -> None:
    config, out = config_file(tmp_path, agents=["default", {"agent": "ppo", "rollouts": 10**6}]), tmp_path / "out"
    running = subprocess.Popen(
        command("benchmark", config, "--out", out, "--threads", 1), cwd=tmp_path, env=environment(),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # background jobs of a shell ignore it
    )  # fmt: skip
    last = out / "folds" / "default_seed0_fold2" / "result.json"
    for _ in range(1200):
        if last.exists() or running.poll() is not None:
            break
        time.sleep(0.1)
    time.sleep(1.0)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 130, err
    assert "Traceback" not in err
    assert "kept" in err
    assert set(stamps(out)) == {f"default_seed0_fold{k}" for k in range(3)}
    assert not (out / "results.json").exists()
    assert not [path for path in out.rglob(".*") if path.is_file()]
    before = stamps(out)
    assert run("benchmark", config, "--out", out, "--agents", "default")[0] == 0
    assert stamps(out) == before
