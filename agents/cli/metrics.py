"""The metrics that `evaluate` is asked for, and how it shows what they find."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rl_postproc.utils.errors import UnknownNameError, UserError, suggest

from .inputs import COMMAND_LINE
from .output import certificate, console

if TYPE_CHECKING:
    import torch

    from rl_postproc.data.events import Events
    from rl_postproc.data.scores import ScoreSet
    from rl_postproc.metrics import Metric
    from rl_postproc.metrics.certify import CertifiedScores
    from rl_postproc.metrics.ranking import CertifiedRanking, RankingMetric


def chosen_metrics(
    names: list[str] | None,
    settings: list[str] | None,
    collars: dict[str, float | None],
    run: dict[str, Any] | None = None,
) -> list[Metric | RankingMetric]:
    """Builds the metrics of `evaluate` from their names, ``NAME.KEY=VALUE`` settings, and the options that are collars.

    Args:
        names: of metrics and rankings, or mappings as configs have them, such as ``{metric: mpauc, max_fpr: 0.2}``; when
            None the run's, or event_based.
        settings: of the one metric by ``metric.KEY``, of several by their names.
        collars: of the metrics that have such settings.
        run: the metric that a run was tuned for, whose settings hold where none or the same is named.

    Raises:
        UserError: a name, a setting or a value is wrong.
    """
    known = run or {"metric": "event_based"}
    if not isinstance(known.get("metric"), str):
        raise UserError(f"The run names no metric that it was tuned for, but {known.get('metric')!r}; train it anew.")
    starts = [_start(text, known) for text in names or [known["metric"]]]
    several, named = len(starts) > 1, [str(start["metric"]) for start in starts]
    for setting in settings or []:
        head = setting.partition("=")[0].partition(".")[0]
        if "." not in setting.partition("=")[0] or head not in (named if several else ["metric", *named]):
            form = "NAME.KEY=VALUE, where several metrics are named," if several else "metric.KEY=VALUE,"
            raise UserError(f"The settings here are --set {form} but got '{head}'.")
    given = {key: value for key, value in collars.items() if value is not None}
    found = [_make(_with_settings(start, settings or []), {} if several else given) for start in starts]
    for key, value in given.items() if several else ():
        taking = [i for i, metric in enumerate(found) if key in type(metric).model_fields]
        if not taking:
            raise UserError(
                f"None of the metrics has a '{key}' ({', '.join(named)}); leave --{key.replace('_', '-')} out."
            )
        for i in taking:
            found[i] = type(found[i]).make({**found[i].model_dump(), key: value}, COMMAND_LINE)
    return found


def _start(text: str, known: dict[str, Any]) -> dict[str, Any]:
    """Returns what a metric of that name, or of that mapping, begins with."""
    if not text.lstrip().startswith("{"):
        return dict(known) if text == known["metric"] else {"metric": text}
    import yaml

    from rl_postproc.utils.plain_values import parse_yaml

    try:
        values = parse_yaml(text)
    except yaml.YAMLError as error:
        raise UserError(
            f"--metric takes a name, or a mapping such as '{{metric: mpauc}}', but got '{text}'."
        ) from error
    if not isinstance(values, dict) or "metric" not in values:
        raise UserError(f"--metric takes a name, or a mapping such as '{{metric: mpauc}}', but got '{text}'.")
    return values


def _with_settings(start: dict[str, Any], settings: list[str]) -> dict[str, Any]:
    """Returns a metric's mapping with the settings that are its own."""
    from rl_postproc.utils.override import override

    own = []
    for setting in settings:
        head, _, rest = setting.partition(".")
        if head in ("metric", start["metric"]):
            own.append(f"metric.{rest}")
    return override({"metric": start}, own)["metric"]


def _make(values: dict[str, Any], given: dict[str, float]) -> Metric | RankingMetric:
    from rl_postproc.metrics import Metric
    from rl_postproc.metrics.ranking import RankingMetric

    name, counting, ranking = values["metric"], Metric.types(), RankingMetric.types()
    if name not in counting and name not in ranking:
        close = suggest(str(name), [*counting, *ranking])
        raise UnknownNameError(f"{COMMAND_LINE}: unknown metric '{name}'{close}.")
    if name in counting:
        return Metric.make({**values, **given}, COMMAND_LINE)
    rest = {key: value for key, value in values.items() if key != "metric"}
    return RankingMetric.make({"ranking": name, **rest, **given}, COMMAND_LINE)


def judge(
    metric: Metric | RankingMetric,
    references: Events,
    estimates: Events | ScoreSet,
    seconds: torch.Tensor | None,
) -> CertifiedScores | CertifiedRanking:
    """Scores events, or ranks frame scores, by a metric and its oracle.

    Args:
        metric: what is measured.
        references: reference events.
        estimates: detected events or frame scores, of the same clips and classes.
        seconds: length of each clip, float64 ``[clip]``, where it is known.
    """
    from rl_postproc.data.events import Events
    from rl_postproc.metrics import Metric
    from rl_postproc.metrics.certify import evaluate
    from rl_postproc.metrics.ranking import evaluate_ranking

    if isinstance(metric, Metric):
        assert isinstance(estimates, Events)
        return evaluate(references, estimates, metric)
    return evaluate_ranking(references, estimates, metric, seconds)


def check_ranks_scores(metrics: Sequence[Metric | RankingMetric]) -> None:
    """Checks that there are metrics that judge frame scores without events.

    Raises:
        UserError: one of them counts events.
    """
    from rl_postproc.metrics import Metric

    counting = next((metric.name for metric in metrics if isinstance(metric, Metric)), None)
    if counting is not None:
        raise UserError(f"The metric '{counting}' counts events, and there are scores alone; give events or a run folder "
                        "ahead of the options, or name rankings with --metric, see `rl-postproc list rankings`.")  # fmt: skip


def show(metric: Metric | RankingMetric, figures: CertifiedScores | CertifiedRanking, title: str) -> None:
    """Prints the table of a metric's figures and who confirms them."""
    from rl_postproc.metrics.ranking import CertifiedRanking
    from rl_postproc.results.metric_tables import overall_note, ranking_table
    from rl_postproc.results.tables import classes_table

    if isinstance(figures, CertifiedRanking):
        console.print(ranking_table(figures, title))
    else:
        console.print(classes_table(figures, title))
        if note := overall_note(figures):
            console.say(note)
    console.say(f"Metric: {_described(metric)}. The figures are {certificate(figures.certified_by)}.")


def settings_of(metric: Metric | RankingMetric) -> dict[str, Any]:
    """Returns a metric's name, under ``metric``, and its settings."""
    return {"metric": metric.name, **metric.model_dump(mode="json", exclude={metric.noun})}


def _described(metric: Metric | RankingMetric) -> str:
    """Returns a metric's name and settings, as its config has them."""
    settings = ", ".join(f"{key} {value}" for key, value in metric.model_dump(exclude={metric.noun}).items())
    return f"{metric.name} ({settings})" if settings else metric.name
