"""The job file for Kubernetes: its fields are KubeRay's, its command is ours, and its pods see one volume."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from program import ROOT, Run
from typer.main import get_command

JOB = ROOT / "docs" / "rayjob.yaml"
SCHEMA = Path(__file__).with_name("rayjob_schema.json")


@pytest.fixture
def job() -> dict[str, Any]:
    return yaml.safe_load(JOB.read_text(encoding="utf-8"))


def problems(job: dict[str, Any]) -> list[str]:
    jsonschema = pytest.importorskip("jsonschema", reason="needs jsonschema: pip install 'rl-postproc[jams]'")
    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text()))
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(job)]


def test_the_job_is_a_rayjob_and_the_schema_sees_what_is_wrong(job: dict[str, Any]) -> None:
    assert problems(job) == []
    for path, value in (
        (("spec", "entryPoint"), "x"),
        (("spec", "ttlSecondsAfterFinished"), "300"),
        (("spec", "rayClusterSpec", "headGroupSpec", "rayStartParams", "num-cpus"), 0),
        (("spec", "rayClusterSpec", "workerGroupSpecs", 0, "maxReplicas"), None),
        (("spec", "rayClusterSpec", "workerGroupSpecs", 0, "template", "spec", "volumes", 0, "claimName"), "x"),
    ):
        wrong = yaml.safe_load(JOB.read_text(encoding="utf-8"))
        place = wrong
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value
        assert len(problems(wrong)) == 1, path


def test_its_command_is_one_of_ours_and_its_paths_are_on_the_volume(job: dict[str, Any], run: Run) -> None:
    from rl_postproc.agents.cli.app import app

    program, command, *arguments = shlex.split(job["spec"]["entrypoint"])
    assert program == "rl-postproc"
    context = get_command(app).get_command(None, command).make_context(command, arguments)  # pyright: ignore
    assert context.params["cluster"] == "auto"
    cluster = job["spec"]["rayClusterSpec"]
    templates = [cluster["headGroupSpec"]["template"], *(group["template"] for group in cluster["workerGroupSpecs"])]
    for template in templates:
        (container,) = template["spec"]["containers"]
        assert {mount["name"] for mount in container["volumeMounts"]} == {
            v["name"] for v in template["spec"]["volumes"]
        }
        (mount,) = container["volumeMounts"]
        for path in (context.params["config"], str(context.params["out"])):
            assert path.startswith(mount["mountPath"])
        assert container["resources"]["requests"] == container["resources"]["limits"]
    images = {template["spec"]["containers"][0]["image"] for template in templates}
    assert len(images) == 1


def test_its_ray_is_the_one_that_the_tests_run_with(job: dict[str, Any]) -> None:
    pinned = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line)
    assert job["spec"]["rayClusterSpec"]["rayVersion"] == pinned["ray"]
