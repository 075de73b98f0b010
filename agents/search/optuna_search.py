"""Optuna's samplers over the grid: the tree-structured Parzen estimator (TPE) and CMA-ES."""

from __future__ import annotations

import importlib.util
import warnings
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field, model_validator

from rl_postproc.task import TuningTask
from rl_postproc.task_memory import Holds

from ..base import Agent, FitResult, ProgressCallback, silent
from .trials import Trials


class OptunaSearch(Agent):
    """Optuna over the indices of the candidates, asked and told trial by trial.

    Where classes are separate problems (macro F1) each has a study of its own, and one trial serves them all; else one
    study sets everything. CMA-ES needs two dimensions: a class with a single parameter is then joined with the others
    in one study. Needs the extra ``search``.
    """

    holds: ClassVar[Holds] = "sums"

    agent: Literal["optuna_search"] = "optuna_search"
    sampler: Literal["tpe", "cmaes"] = Field(default="tpe", description="tree-structured Parzen estimator, or CMA-ES")
    average: Literal["macro", "micro"] = Field(default="macro", description="mean over classes, or of all counts")
    trials: int = Field(default=200, ge=1, description="settings tried on all clips")

    def fit(self, task: TuningTask, seed: int, report: ProgressCallback = silent) -> FitResult:
        """Asks every study for a setting, scores them together, and tells each its F1."""
        optuna = self._import()
        trials = Trials(task, self.average)
        studies = self._studies(task, trials, optuna, seed)
        for _ in range(self.trials):
            action = torch.zeros_like(trials.sizes)
            asked = []
            for study, places in studies:
                trial = study.ask()
                asked.append(trial)
                for place in places:
                    action[place] = self._suggest(trial, int(place), int(trials.sizes[place]))
            score = trials.score(action[None])[0]
            # One study over separate classes follows their mean; without references there is no F1 to average.
            joint = trials.separate and len(studies) < len(score)
            per_study = score[trials.known].mean()[None] if joint else score
            for (study, _), trial, value in zip(studies, asked, per_study.tolist(), strict=True):
                study.tell(trial, value)
            report(trials.done / self.trials, {trials.figure: trials.best_score})
        return trials.fit()

    def _suggest(self, trial: Any, place: int, size: int) -> int:
        """Returns an index of a value. CMA-ES moves on the continuous scale of the indices."""
        if self.sampler == "tpe":
            return trial.suggest_int(str(place), 0, size - 1)
        return min(size - 1, int(trial.suggest_float(str(place), 0, size)))

    def _studies(self, task: TuningTask, trials: Trials, optuna: Any, seed: int) -> list[tuple[Any, torch.Tensor]]:
        """Returns the studies, each with the action components that it sets."""
        components = torch.arange(len(trials.sizes))
        groups = [components]
        if trials.separate:
            groups = list(components.reshape(task.scores.n_classes, -1))
        groups = [group[trials.sizes[group] > 1] for group in groups]
        if self.sampler == "cmaes" and any(len(group) < 2 for group in groups):
            groups = [torch.cat(groups)]
        studies = []
        for i, group in enumerate(groups):
            if self.sampler == "tpe":
                sampler = optuna.samplers.TPESampler(seed=seed + i, multivariate=True)
            else:
                sampler = optuna.samplers.CmaEsSampler(seed=seed + i)
            studies.append((optuna.create_study(direction="maximize", sampler=sampler), group))
        return studies

    @model_validator(mode="after")
    def _installed(self) -> OptunaSearch:
        needed = ["optuna", "cmaes"] if self.sampler == "cmaes" else ["optuna"]
        for name in needed:
            if importlib.util.find_spec(name) is None:
                raise ValueError(f"{name} is not installed; run `pip install rl-postproc[search]`")
        return self

    def _import(self) -> Any:
        """Returns optuna, silenced."""
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
        return optuna
