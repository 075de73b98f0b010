"""What a run was made from."""

from __future__ import annotations

import platform
from pathlib import Path

import torch
import yaml

from rl_postproc.config import DataConfig, TaskConfig
from rl_postproc.data.report import DataReport
from rl_postproc.utils.code_version import code_version
from rl_postproc.utils.files import write_json, write_text


def write_data(out: Path, report: DataReport, evaluation: DataReport | None = None) -> None:
    """Writes what the data of a run hold, and those of its evaluation set if there is one."""
    more = {} if evaluation is None else {"evaluation": evaluation.to_json()}
    write_json(out / "data.json", {**report.to_json(), **more})


def save_provenance(out: Path, config: TaskConfig, seeds: list[int]) -> None:
    """Writes the resolved config, with full paths of the data, and the versions that a run depends on."""
    import importlib.metadata

    names = ("rl-postproc", "torch", "numpy", "scipy", "gymnasium", "stable-baselines3", "sed_eval")
    versions = {}
    for name in names:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "from a checkout"
    write_json(out / "versions.json", {"python": platform.python_version(), **versions,
                                       "code": code_version(), "seeds": seeds,
                                       "threads": torch.get_num_threads()})  # fmt: skip
    named = {key: data for key in ("data", "evaluation") if isinstance(data := getattr(config, key, None), DataConfig)}
    kept = config.model_copy(update={key: data.from_anywhere(config.base) for key, data in named.items()})
    # Last: a config without versions is the user's own.
    write_text(out / "config.yaml", yaml.safe_dump(kept.model_dump(mode="json"), sort_keys=False))
