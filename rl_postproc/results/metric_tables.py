"""What single metrics tell, for the terminal: rankings, and figures of all classes together."""

from __future__ import annotations

import math

from rich.table import Table

from rl_postproc.metrics.certify import CertifiedScores
from rl_postproc.metrics.ranking import CertifiedRanking


def overall_note(report: CertifiedScores) -> str:
    """Says in one line what a metric tells of all classes together; empty where it tells nothing."""
    if not report.overall:
        return ""
    told = [
        f"{name.replace('_', ' ')} {value:,}"
        if isinstance(value, int)
        else f"{name.replace('_', ' ')} {f'{100 * value:.2f}'}"
        for name, value in report.overall.items()
    ]
    return f"All classes together: {', '.join(told)}."


def ranking_table(report: CertifiedRanking, title: str) -> Table:
    """Returns the value of a ranking, of each class and of all together."""
    table = Table(title=title, title_justify="left")
    table.add_column("class", overflow="fold")
    score, metric = report.score, report.metric
    columns = {**score.rates, metric.class_value_name: score.by_class}
    for name in columns:
        table.add_column(name.replace("_", " "), justify="right")
    for k, label in enumerate(report.classes):
        cells = [_cell(column[k].item()) for column in columns.values()]
        table.add_row(label, *cells[:-1], cells[-1] or "no value")
    table.add_section()
    for name, value in {**score.figures, metric.value_name: score.overall}.items():
        table.add_row(name.replace("_", " "), *[""] * (len(columns) - 1), _cell(value) or "no value")
    return table


def _cell(value: float) -> str:
    return str(value) if isinstance(value, int) else "" if math.isnan(value) else f"{value:.4f}"
