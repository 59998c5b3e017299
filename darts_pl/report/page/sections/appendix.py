"""All numbers of the run."""

from __future__ import annotations

from collections.abc import Sequence

from darts_pl.report.page.blocks import Block, Table, Value
from darts_pl.report.page.sections.registry import Report, section


@section("numbers", "All numbers")
def all_numbers(report: Report) -> Sequence[Block]:
    """The summary as it is in `summary.json`, and the metrics of all epochs."""
    if report.compared:
        return []
    blocks: list[Block] = []
    run = report.run
    if run.summary:
        rows: list[list[Value]] = [[name, _plain(value)] for name, value in run.summary.items()]
        blocks.append(Table(["name", "value"], rows, "summary.json", folded=True))
    for name, part in run.everything:
        if part.metrics and name.count("/") < 1:
            columns = list(part.metrics)
            table: list[list[Value]] = [list(row) for row in zip(*part.metrics.values(), strict=True)]
            blocks.append(Table(columns, table, f"{name}/metrics.csv".lstrip("/"), folded=True))
    return blocks


def _plain(value: object) -> Value:
    return value if isinstance(value, (int, float, str)) and not isinstance(value, bool) else str(value)
