"""The tables of a protocol, as Markdown and as CSV, in the layout of the DARTS paper's tables 1 and 2."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

from darts_pl.report.protocol_rows import Comparison, Cost, Measure, ProtocolRow, comparisons
from darts_pl.report.published_results import SOURCES, PublishedResult, published_results
from darts_pl.report.run_table import markdown
from darts_pl.report.statistics import Statistics, statistics_of

_DAY = 86_400


def protocol_markdown(rows: Sequence[ProtocolRow], measure: Measure, title: str, table: str | None) -> str:
    """Three tables, results in the paper's layout, the choice on the valid split, the cost; and all differences.

    Args:
        rows: of the protocol.
        measure: of the scores.
        title: how the rows were made, in one line.
        table: which published table stands beside them; None = none.
    """
    published = [] if table is None else published_results(table)
    notes = [f"{title}\n"]
    if table is not None:
        notes.append(
            f'Rows marked "published" are figures of {SOURCES[table]}. They compare with the other rows only where '
            "data, sizes and epochs are those of that paper.\n"
        )
    body = [
        *("# Results\n", *notes, markdown(*_results(rows, published, measure))),
        *("# Choice on the valid split\n", _choice_note(measure), markdown(*_choices(rows, measure))),
        *_spread_of_random(rows, measure),
        *("# Differences\n", _DIFFERENCES, _differences(list(comparisons(rows, measure)), measure)),
        *("# Cost\n", _COST.format(samples=measure.samples), markdown(*_costs(rows, measure))),
        *("# Cells\n", *(f"- {row.name}: `{row.genotype}`" for row in rows if row.genotype is not None)),
    ]
    return "\n".join(body) + "\n"


_DIFFERENCES = (
    "The first row minus the second one, paired over the same seeds, with the 95 % interval by Student's t. On the "
    "test split, where each row is one cell, the interval of an accuracy also counts the chance that lies in the "
    "images (Newcombe's). A row is better or worse only where the interval excludes 0. Intervals are for one "
    "comparison each.\n"
)
_COST = (
    "Seconds are wall-clock time. Steps are those of the optimizer of the weights; {samples} are those in its batches "
    "and, in a search, in those of the alphas.\n"
)


def _results(
    rows: Sequence[ProtocolRow], published: Sequence[PublishedResult], measure: Measure
) -> tuple[list[str], list[list[str]]]:
    scores = (
        ["test error (%)", f"95 % interval of the {measure.samples}"]
        if measure.more_is_better
        else ["valid perplexity", "test perplexity"]
    )
    headings = ["architecture", *scores, "params (M)", "search cost (days)", "ops", "search method"]
    cells = [
        [
            *(row.name, *_test_cells(row, measure), _millions(row.parameters), _days(row.search.seconds)),
            *(_text(row.operations), row.method if row.searched else f"{row.method}, not searched"),
        ]
        for row in rows
    ]
    for one in published:
        error = "" if one.error is None else f"{one.error:.2f}"
        error += "" if one.error_std is None else f" ± {one.error_std:.2f}"
        found = [error, ""] if measure.more_is_better else [_text(one.valid_perplexity), _text(one.test_perplexity)]
        cost = "" if one.gpu_days is None else f"{one.gpu_days:g} GPU"
        tail = [_text(one.parameters_m), cost, _text(one.operations), f"{one.method}, published"]
        cells.append([one.architecture, *found, *tail])
    return headings, cells


def _test_cells(row: ProtocolRow, measure: Measure) -> list[str]:
    if not measure.more_is_better:
        best = row.scores.get(row.chosen) if row.chosen is not None else None
        return ["" if best is None else measure.shown(best), _spread(list(row.finals.values()), measure)]
    errors = [1 - accuracy for accuracy in row.finals.values()]
    if not errors:
        return ["", ""]
    limits = measure.interval(sum(errors) / len(errors), row.test_count)
    return [_spread(errors, measure), _limits(limits, measure)]


def _choice_note(measure: Measure) -> str:
    unit = "accuracy in percent" if measure.more_is_better else "perplexity"
    return (
        f"Each cell is trained for a short time on the train split and scored on the valid split ({unit}): mean ± "
        "standard deviation of the cells, and the best one, which is trained fully. The fall of the entropy of the "
        "mixing weights is 0 % where all candidates still weigh the same and 100 % where one is left; below 5 % the "
        'cell is not a result of the search ("not searched").\n'
    )


def _choices(rows: Sequence[ProtocolRow], measure: Measure) -> tuple[list[str], list[list[str]]]:
    headings = ["architecture", "cells", "valid score", "best", f"95 % interval of the {measure.samples}"]
    headings += ["seed of the best", "entropy fell by", "failed"]
    cells = []
    for row in rows:
        if not row.choice:
            continue
        best = row.scores.get(row.chosen) if row.chosen is not None else None
        fall = "" if row.entropy_fall is None else f"{100 * row.entropy_fall:.1f} %"
        cells.append(
            [
                *(row.name, str(len(row.choice)), _spread(list(row.scores.values()), measure)),
                "" if best is None else measure.shown(best),
                "" if best is None else _limits(measure.interval(best, row.valid_count), measure),
                _text(row.chosen),
                fall if row.searched else f"{fall} (not searched)",
                str(len(row.choice) - len(row.scores)),
            ]
        )
    return headings, cells


def _spread_of_random(rows: Sequence[ProtocolRow], measure: Measure) -> Iterable[str]:
    """How much random cells differ, against how exactly one of them is scored."""
    for row in rows:
        scores = list(row.scores.values())
        if row.method == "random" and len(scores) > 1:
            found = statistics_of(scores)
            limits = measure.interval(found.mean, row.valid_count)
            line = f'The {found.n} cells of "{row.name}" have a standard deviation of {measure.shown(found.std or 0.0)}'
            if limits is not None:
                half = (limits[1] - limits[0]) / 2
                line += f"; half the 95 % interval of one score is {measure.shown(half)}"
            yield f"{line}.\n"


def _differences(found: Sequence[Comparison], measure: Measure) -> str:
    if not found:
        return "No two rows have two seeds in common.\n"
    unit = "points" if measure.more_is_better else "perplexity"
    cells = [
        [
            *(one.first, one.second, one.split, str(one.difference.n), measure.difference(one.difference.mean)),
            f"{measure.difference(one.difference.low)} to {measure.difference(one.difference.high)}",
            one.verdict,
        ]
        for one in found
    ]
    return markdown(["row", "against", "split", "seeds", f"difference ({unit})", "interval", "the row is"], cells)


def _costs(rows: Sequence[ProtocolRow], measure: Measure) -> tuple[list[str], list[list[str]]]:
    headings = ["architecture", "stage", "seconds", "steps", measure.samples]
    cells = [
        [row.name, stage, f"{cost.seconds:,.0f}", f"{cost.steps:,}", f"{cost.samples:,}"]
        for row in rows
        for stage, cost in (("search", row.search), ("choice", row.selection), ("final", row.final))
        if cost != Cost()
    ]
    return headings, cells


def protocol_csv(rows: Sequence[ProtocolRow], measure: Measure, table: str | None) -> str:
    """One line per row, published ones below, with all numbers unrounded; scores are accuracies (0 ... 1) or
    perplexities.

    Args:
        rows: of the protocol.
        measure: of the scores.
        table: which published table stands beside them; None = none.
    """
    lines = [_csv_row(row, measure) for row in rows]
    for one in [] if table is None else published_results(table):
        accuracy = None if one.error is None else round(1 - one.error / 100, 6)
        lines.append(
            {
                "architecture": one.architecture,
                "published": "yes",
                "test_mean": accuracy if measure.more_is_better else one.test_perplexity,
                "test_std": None if one.error_std is None else round(one.error_std / 100, 6),
                "valid_best": None if measure.more_is_better else one.valid_perplexity,
                "parameters": None if one.parameters_m is None else round(one.parameters_m * 1e6),
                "search_seconds": None if one.gpu_days is None else round(one.gpu_days * _DAY),
                "operations": one.operations,
                "method": one.method,
                "genotype": one.genotype,
            }
        )
    columns = list(dict.fromkeys(name for line in lines for name in line))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


def _csv_row(row: ProtocolRow, measure: Measure) -> dict[str, Any]:
    valid = _statistics(row.scores.values())
    test = _statistics(row.finals.values())
    best = row.scores.get(row.chosen) if row.chosen is not None else None
    limits = {
        "valid": None if best is None else measure.interval(best, row.valid_count),
        "test": None if test is None else measure.interval(test.mean, row.test_count),
    }
    found: dict[str, Any] = {"architecture": row.name, "published": "no"}
    for split, statistics in (("test", test), ("valid", valid)):
        found[f"{split}_n"] = 0 if statistics is None else statistics.n
        found[f"{split}_mean"] = None if statistics is None else statistics.mean
        found[f"{split}_std"] = None if statistics is None else statistics.std
        low_high = limits[split] or (None, None)
        found[f"{split}_low"], found[f"{split}_high"] = low_high
    found |= {"valid_best": best, "valid_samples": row.valid_count, "test_samples": row.test_count}
    found |= {"parameters": row.parameters, "operations": row.operations, "entropy_fall": row.entropy_fall}
    found["searched"] = "" if row.entropy_fall is None else "yes" if row.searched else "no"
    for stage, cost in (("search", row.search), ("choice", row.selection), ("final", row.final)):
        found |= {f"{stage}_seconds": round(cost.seconds, 3), f"{stage}_steps": cost.steps}
        found[f"{stage}_{measure.samples}"] = cost.samples
    return {**found, "method": row.method, "chosen_seed": row.chosen, "genotype": row.genotype}


def _statistics(values: Iterable[float]) -> Statistics | None:
    found = list(values)
    return statistics_of(found) if found else None


def _spread(values: Sequence[float], measure: Measure) -> str:
    """Mean ± standard deviation with the number of values; a single value alone."""
    if not values:
        return ""
    found = statistics_of(values)
    mean = measure.shown(found.mean)
    return f"{mean} (n = 1)" if found.std is None else f"{mean} ± {measure.shown(found.std)} (n = {found.n})"


def _limits(limits: tuple[float, float] | None, measure: Measure) -> str:
    return "" if limits is None else f"{measure.shown(limits[0])} to {measure.shown(limits[1])}"


def _millions(parameters: int | None) -> str:
    if parameters is None:
        return ""
    return f"{parameters / 1e6:.1f}" if parameters >= 1e6 else f"{parameters / 1e6:.2g}"


def _days(seconds: float) -> str:
    return "" if not seconds else f"{seconds / _DAY:.1f}" if seconds >= _DAY else f"{seconds / _DAY:.2g}"


def _text(value: Any) -> str:
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
