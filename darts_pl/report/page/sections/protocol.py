"""The table of a protocol, its scores as intervals, and what may be said of each pair of rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from darts_pl.report.page.blocks import Block, Interval, Intervals, Paragraph, Table, Value
from darts_pl.report.page.sections.overview import duration
from darts_pl.report.page.sections.registry import Report, measure_of, section
from darts_pl.report.protocol_rows import SEARCHED, Measure, ProtocolRow, comparisons
from darts_pl.report.statistics import statistics_of


@section("protocol", "The protocol")
def protocol(report: Report) -> Sequence[Block]:
    """Rows, scores on both splits, paired comparisons, cost."""
    rows = report.run.protocol
    if not rows or report.compared:
        return []
    measure = measure_of(report.run)
    blocks: list[Block] = []
    for row in rows:
        if not row.searched:
            blocks.append(Paragraph(
                f"{row.name}: the entropy of the mixing weights fell by {row.entropy_fall or 0:.1%} only (less than "
                f"{SEARCHED:.0%}): the weights are nearly equal, and the cell is hardly a result of the search.",
                alarm=True,
            ))  # fmt: skip
    unit = " in percent" if measure.more_is_better else ""
    for split, title in (("valid", "Cells of the searches, valid split"), ("test", "Full trainings, test split")):
        lines = list(_intervals(rows, split, measure))
        if lines:
            label = f"{measure.name}{unit}" + (", mean ± std" if any(line.points for line in lines) else "")
            blocks.append(Intervals(f"protocol_{split}", title, x_label=label, rows=lines))
    blocks.append(_table(rows, measure))
    verdicts: list[list[Value]] = [
        [one.first, one.second, one.split, measure.difference(one.difference.mean),
         f"{measure.difference(one.difference.low)} to {measure.difference(one.difference.high)}",
         one.difference.n, one.verdict]
        for one in comparisons(rows, measure)
    ]  # fmt: skip
    if verdicts:
        headings = ["first", "second", "split", "difference", "95 % interval", "seeds", "the first is"]
        blocks.append(Table(headings, verdicts, "Paired comparisons on the same seeds"))
    return blocks


def _intervals(rows: Sequence[ProtocolRow], split: str, measure: Measure) -> Iterator[Interval]:
    """Mean and points per row; the interval is that of the mean, or of one accuracy."""
    scale = 100 if measure.more_is_better else 1
    for row in rows:
        scores = list((row.scores if split == "valid" else row.finals).values())
        if not scores:
            continue
        found = statistics_of(scores)
        count = row.valid_count if split == "valid" else row.test_count
        ends = measure.interval(found.mean, count) if found.std is None else (
            (found.mean - found.std, found.mean + found.std)
        )  # fmt: skip
        low, high = (None, None) if ends is None else (scale * ends[0], scale * ends[1])
        points = [scale * score for score in scores] if found.n > 1 else []
        yield Interval(row.name, scale * found.mean, low, high, points)


def _table(rows: Sequence[ProtocolRow], measure: Measure) -> Table:
    unit = " %" if measure.more_is_better else ""
    headings = [
        "architecture", "method", "cells", f"valid {measure.name}{unit}", "chosen seed", f"test {measure.name}{unit}",
        "trainings", "parameters", "search", "choice", "final",
    ]  # fmt: skip
    return Table(headings, [_line(row, measure) for row in rows], "All rows (mean ± standard deviation)")


def _line(row: ProtocolRow, measure: Measure) -> list[Value]:
    return [
        row.name, row.method, len(row.scores) or None, _mean(list(row.scores.values()), measure), row.chosen,
        _mean(list(row.finals.values()), measure), len(row.finals) or None, row.parameters,
        *(duration(cost.seconds) if cost.seconds else None for cost in (row.search, row.selection, row.final)),
    ]  # fmt: skip


def _mean(scores: Sequence[float], measure: Measure) -> Value:
    if not scores:
        return None
    found = statistics_of(scores)
    if found.std is None:
        return measure.shown(found.mean)
    return f"{measure.shown(found.mean)} ± {measure.shown(found.std)}"
