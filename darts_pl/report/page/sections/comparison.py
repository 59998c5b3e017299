"""Many runs beside each other: a table, mean and deviation over seeds, and what differs in their settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from darts_pl.config import flatten
from darts_pl.report.page.blocks import Block, Interval, Intervals, Paragraph, Table, Value
from darts_pl.report.page.run_files import RunFiles
from darts_pl.report.page.sections.overview import hidden_groups
from darts_pl.report.page.sections.registry import Report, section
from darts_pl.report.run_differences import tables_below
from darts_pl.report.run_table import RunRow
from darts_pl.report.statistics import statistics_of

#: Scores that are compared, in the order in which they are looked for, with the label of the axis.
SCORES = (
    ("test/accuracy", "accuracy on the test split"),
    ("test/perplexity", "perplexity on the test split"),
    ("table/cifar10_test", "CIFAR-10 test accuracy in the table, percent"),
    ("strategy/score", "best score"),
    ("search/valid_accuracy", "accuracy of the supernet on the valid split"),
    ("search/valid_perplexity", "perplexity of the supernet on the valid split"),
)
#: Settings that do not change a result.
IGNORED = ("logger", "resume", "overwrite", "imports", "run", "runs", "task.folder", "budget")
NUMBERS = (*(name for name, _ in SCORES), "parameters", "multiply_adds", "seconds")
#: Scores with an axis of their own.
MOST_PLOTS = 3


@section("runs", "The runs")
def runs(report: Report) -> Sequence[Block]:
    """Of `runs=[A,B,...]`, or of a collection."""
    if report.compared:
        return _compared(report.compared)
    if report.run.runs:
        return _collected(report.run.runs)
    return []


def _compared(found: Sequence[tuple[str, RunFiles]]) -> list[Block]:
    flat = {name: _settings(run) for name, run in found}
    keys = [key for key in dict.fromkeys(key for one in flat.values() for key in one) if _differs(key, flat)]
    numbers = [key for key in NUMBERS if any(_number(run.summary.get(key)) is not None for _, run in found)]
    rows: list[list[Value]] = [
        [name, run.state, run.setting("seed"), *(_number(run.summary.get(key)) for key in numbers)]
        for name, run in found
    ]
    blocks: list[Block] = []
    for score, label in [pair for pair in SCORES if pair[0] in numbers][:MOST_PLOTS]:
        values = [(name, _number(run.summary.get(score))) for name, run in found]
        lines = [Interval(name, float(value)) for name, value in values if value is not None]
        blocks.append(Intervals(f"runs_{score.replace('/', '_')}", _title(label), x_label=label, rows=lines))
    blocks.append(Table(["run", "state", "seed", *numbers], rows, "Results"))
    if keys:
        differing: list[list[Value]] = [[key, *(_text(one.get(key)) for one in flat.values())] for key in keys]
        blocks.append(Table(["setting", *flat], differing, "Settings that differ between the runs"))
    else:
        blocks.append(Paragraph("The settings of these runs do not differ."))
    return blocks


def _settings(run: RunFiles) -> dict[str, Any]:
    hidden = {*IGNORED, *hidden_groups(run)}
    values = {name: value for name, value in run.config.items() if name not in hidden}
    return {key: value for key, value in flatten(values).items() if key not in IGNORED}


def _differs(key: str, flat: Mapping[str, Mapping[str, Any]]) -> bool:
    return len({_text(one.get(key)) for one in flat.values()}) > 1


def _collected(rows: Sequence[Mapping[str, str]]) -> list[Block]:
    """A collection's table, with the mean over the seeds of equal runs."""
    columns = list(rows[0])
    scores = [name for name, _ in SCORES if name in columns]
    fixed = {"run", "state", "reason", "seed", "genotype"}
    first = next((index for index, name in enumerate(columns) if name == "seed"), 3)
    keys = [name for name in columns[:first] if name not in fixed and len({row[name] for row in rows}) > 1]
    groups: dict[tuple[str, ...], list[Mapping[str, str]]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in columns[:first] if name not in fixed), []).append(row)
    blocks: list[Block] = []
    for score in scores[:MOST_PLOTS]:
        lines = [line for group in groups.values() if (line := _over_seeds(group, keys, score)) is not None]
        if lines:
            title = f"{_title(dict(SCORES)[score])}: mean ± standard deviation over seeds"
            blocks.append(Intervals(f"runs_{score.replace('/', '_')}", title, x_label=dict(SCORES)[score], rows=lines))
    shown = [*keys, "seed", "state", *(name for name in NUMBERS if name in columns), "reason", "run"]
    shown = [name for name in shown if any(row.get(name) for row in rows)]
    table: list[list[Value]] = [[_value(row.get(name)) for name in shown] for row in rows]
    blocks.append(Table(shown, table, f"{len(rows)} runs"))
    for one in tables_below(list(map(_run_row, rows))):
        blocks += [Table(one.headings, one.cells, one.title), Paragraph(one.note)]
    return blocks


def _run_row(row: Mapping[str, str]) -> RunRow:
    """A line of a collection's table; its columns before the seed are overrides, those after it are numbers."""
    names = list(row)
    first = names.index("seed")
    return RunRow(
        name=row["run"],
        state=row["state"],
        overrides={name: row[name] for name in names[names.index("reason") + 1 : first] if row[name]},
        seed=int(row["seed"]) if row["seed"] else None,
        summary={name: value for name in names[first + 1 :] if isinstance(value := _value(row[name]), (int, float))},
    )


def _title(label: str) -> str:
    return f"{label[0].upper()}{label[1:]}"


def _over_seeds(group: Sequence[Mapping[str, str]], keys: Sequence[str], score: str) -> Interval | None:
    values = [value for row in group if isinstance(value := _value(row.get(score)), (int, float))]
    if not values:
        return None
    found = statistics_of([float(value) for value in values])
    label = " ".join(f"{key.rpartition('.')[2]}={group[0][key]}" for key in keys if group[0][key]) or "all runs"
    if found.std is None:
        return Interval(label, found.mean)
    points = [float(value) for value in values]
    return Interval(f"{label} (n={found.n})", found.mean, found.mean - found.std, found.mean + found.std, points)


def _number(value: Any) -> float | int | None:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _value(text: str | None) -> Value:
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        return text
    return int(number) if number.is_integer() and "." not in text and "e" not in text.lower() else number


def _text(value: Any) -> str:
    return "" if value is None else str(value)
