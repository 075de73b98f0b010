"""Settings of another agent, searched by Ray Tune on the cores of a machine or a cluster."""

from __future__ import annotations

import importlib.util
import tempfile
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from rl_postproc.task import TuningTask
from rl_postproc.task_memory import Holds
from rl_postproc.utils.errors import UserError
from rl_postproc.work.cluster import LOCAL, connected

from ...envs.evaluation import set_aside
from ..base import Agent, FitResult, ProgressCallback, check_agent, make_agent, share, silent
from .tuned import objective_of


class RayTune(Agent):
    """Settings of another agent, drawn by Ray Tune, whose trials run side by side on the cores of a machine or a cluster.

    As `tuned`, for agents whose fits take minutes: the first trial is the agent as it stands, the others draw ``choices`` at
    random. All are fitted on the same clips and scored, by the objective, on the same others; the best one is then
    fitted on all clips. Needs the extra ``ray``.
    """

    holds: ClassVar[Holds] = "sums"

    agent: Literal["ray_tune"] = "ray_tune"
    of: dict[str, Any] = Field(default={"agent": "grid_search"}, description="the agent with its settings")
    choices: dict[str, list[Any]] = Field(
        default={"smoothing": [0.02, 0.04, 0.08, 0.16]}, min_length=1, description="values to try of its settings"
    )
    trials: int = Field(default=4, ge=1, description="combinations of settings that are tried, the given one included")
    inner: float = Field(default=0.25, gt=0, lt=1, description="fraction of the clips on which they are compared")
    cluster: str = Field(default=LOCAL, description="address of the Ray cluster; local takes this machine's cores")

    @model_validator(mode="after")
    def _builds(self) -> RayTune:
        if importlib.util.find_spec("ray") is None:
            raise ValueError("ray is not installed; run `pip install 'rl-postproc[ray]'`")
        try:
            for name, values in self.choices.items():
                for value in values:
                    make_agent({**self.of, name: value})
            unknown = set(self.choices) - set(type(make_agent(self.of)).model_fields)
        except UserError as error:
            raise ValueError(str(error)) from error
        if unknown or not all(self.choices.values()):
            raise ValueError("each of 'choices' names a setting of the agent, with the values to try")
        return self

    def check(self, task: TuningTask) -> None:
        """Needs what the agent needs."""
        check_agent(make_agent(self.of), task)

    def fit(self, task: TuningTask, seed: int, report: ProgressCallback = silent) -> FitResult:
        """Tries some settings on a part of the clips, and fits the best on all of them."""
        train, held = set_aside(task, self.inner, seed)
        with connected(self.cluster) as ray, tempfile.TemporaryDirectory() as folder:
            if ray.get_runtime_context().get_task_id() is not None:
                raise UserError("The agent 'ray_tune' begins workers of its own, and cannot be one of --cluster's; leave out "
                                "--cluster, or use 'tuned'.")  # fmt: skip
            found = self._searched(ray, train, held, seed, folder)
        scores = [metrics["score"] for _, metrics in found]
        settings = found[scores.index(max(scores))][0]
        chosen = make_agent({**self.of, **settings})
        last = chosen.fit(task, seed, share(report, self.trials / (self.trials + 1), 1))
        last.post_processor.about = {"chosen": chosen.model_dump(mode="json"), "trial": scores.index(max(scores)) + 1}
        figure = f"inner_{task.objective.called(task.metric)}"
        curve = [{"trial": i + 1.0, figure: score} for i, score in enumerate(scores)]
        evaluations = sum(metrics["evaluations"] for _, metrics in found)
        return FitResult(last.post_processor, evaluations + last.evaluations, curve + last.curve)

    def _searched(
        self, ray: Any, train: TuningTask, held: TuningTask, seed: int, folder: str
    ) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """Returns settings and figures of each trial, in the order in which they were drawn."""
        from ray import tune
        from ray.tune.search.basic_variant import BasicVariantGenerator

        agent = make_agent(self.of)
        first = {name: getattr(agent, name) for name in self.choices}
        trial = tune.with_parameters(_trial, tasks=(train, held), of=self.of, seed=seed)
        results = tune.Tuner(
            tune.with_resources(trial, {"cpu": 1}),
            param_space={name: tune.choice(values) for name, values in self.choices.items()},
            tune_config=tune.TuneConfig(
                num_samples=self.trials,
                search_alg=BasicVariantGenerator(points_to_evaluate=[first], random_state=seed),
            ),
            run_config=tune.RunConfig(storage_path=folder, verbose=0),
        ).fit()
        for error in results.errors:
            raise UserError(f"A trial of 'ray_tune' failed ({(str(error).strip().splitlines() or [''])[-1][:200]}).")
        found = sorted(results, key=lambda result: result.metrics["trial_id"].rpartition("_")[2])
        return [({name: result.config[name] for name in self.choices}, result.metrics) for result in found]


def _trial(config: dict[str, Any], tasks: tuple[TuningTask, TuningTask], of: dict[str, Any], seed: int) -> dict:
    """Fits the agent with the drawn settings, in a process of its own."""
    import torch

    torch.set_num_threads(1)
    fit = make_agent({**of, **config}).fit(tasks[0], seed)
    return {"score": objective_of(fit, tasks[1]), "evaluations": fit.evaluations}
