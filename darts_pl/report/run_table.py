"""Runs as a table: one row each, mean and standard deviation over seeds, as CSV and as Markdown."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from darts_pl.report.statistics import Statistics, statistics_of

#: Not part of what makes runs equal apart from their seed.
NOT_GROUPED_BY = ("seed", "resume", "overwrite")


@dataclass(frozen=True)
class RunRow:
    """What a table says of one run.

    Args:
        name: its folder.
        state: finished, failed or unfinished.
        overrides: key -> value, as on the command line.
        seed: of the run.
        summary: of a finished run: name -> number or text.
        reason: of a failure.
    """

    name: str
    state: str
    overrides: Mapping[str, str]
    seed: int | None = None
    summary: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""

    @property
    def group(self) -> tuple[tuple[str, str], ...]:
        """The overrides that runs of other seeds share."""
        return tuple(sorted((key, value) for key, value in self.overrides.items() if key not in NOT_GROUPED_BY))


def in_groups(rows: Sequence[RunRow]) -> list[list[RunRow]]:
    """The rows of equal `group`, in the order in which they first occur, each by seed."""
    groups: dict[tuple[tuple[str, str], ...], list[RunRow]] = {}
    for row in rows:
        groups.setdefault(row.group, []).append(row)
    return [sorted(group, key=lambda row: (row.seed is None, row.seed or 0)) for group in groups.values()]


def numbers_by_seed(group: Sequence[RunRow], score: str) -> dict[int | str, float]:
    """A score of the runs of one group by seed, or by folder without one. A seed that occurs twice counts once, by its
    last run."""
    by_seed = {row.seed if row.seed is not None else row.name: row.summary.get(score) for row in group}
    return {seed: float(value) for seed, value in by_seed.items() if _is_number(value)}


def over_seeds(group: Sequence[RunRow], score: str) -> Statistics | None:
    """A score over the seeds of one group; None where no run has it."""
    values = list(numbers_by_seed(group, score).values())
    return statistics_of(values) if values else None


def present(rows: Sequence[RunRow], names: Sequence[str]) -> list[str]:
    """Those of `names` that the summary of any run has a number for."""
    return [name for name in names if any(isinstance(row.summary.get(name), (int, float)) for row in rows)]


def differing(rows: Sequence[RunRow]) -> list[str]:
    """The overridden keys, but for the seed, whose values differ between the runs."""
    keys = dict.fromkeys(key for row in rows for key in row.overrides if key not in NOT_GROUPED_BY)
    return [key for key in keys if len({row.overrides.get(key) for row in rows}) > 1]


def run_csv(rows: Sequence[RunRow], scores: Sequence[str]) -> str:
    """One line a run: all overrides, all numbers of its summary, and its group's statistics of `scores`."""
    keys = list(dict.fromkeys(key for row in rows for key in row.overrides if key not in NOT_GROUPED_BY))
    names = dict.fromkeys(name for row in rows for name, value in row.summary.items() if _is_number(value))
    numbers = [name for name in names if name != "seed"]
    scores = present(rows, scores)
    of_scores = [f"{score} {what}" for score in scores for what in ("n", "mean", "std")]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["run", "state", "reason", *keys, "seed", *numbers, *of_scores, "genotype"])
    for group in in_groups(rows):
        statistics: list[Any] = []
        for score in scores:
            found = over_seeds(group, score)
            statistics += ["", "", ""] if found is None else [found.n, found.mean, _or_empty(found.std)]
        for row in group:
            head = [row.name, row.state, row.reason.partition("\n")[0], *(row.overrides.get(key, "") for key in keys)]
            body = [_or_empty(row.summary.get(name)) for name in numbers]
            writer.writerow([*head, _or_empty(row.seed), *body, *statistics, row.summary.get("genotype", "")])
    return out.getvalue()


def table_cells(
    rows: Sequence[RunRow], scores: dict[str, str], sizes: dict[str, str]
) -> tuple[list[str], list[list[str]]]:
    """(headings, rows of text): differing overrides, seed, state, scores, sizes; below each group of several
    seeds one row with mean ± standard deviation.

    Args:
        rows: the runs.
        scores: names in the summaries -> format of a number.
        sizes: likewise, of what is no score.
    """
    keys = differing(rows)
    columns = {name: (scores | sizes)[name] for name in present(rows, [*scores, *sizes])}
    table = []
    number = 0
    for group in in_groups(rows):
        for row in group:
            number += 1
            written = [_written(row.summary.get(name), form) for name, form in columns.items()]
            head = [str(number), *(row.overrides.get(key, "") for key in keys), _text(row.seed), row.state]
            table.append([*head, *written])
        found = {name: over_seeds(group, name) for name in columns}
        n = max((statistics.n for statistics in found.values() if statistics), default=0)
        if n > 1:
            head = ["", *(group[0].overrides.get(key, "") for key in keys), f"{n} seeds", "mean ± std"]
            table.append([*head, *(_average(found[name], form) for name, form in columns.items())])
    return ["#", *keys, "seed", "state", *columns], table


def markdown(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table as Markdown; a bar inside a text is escaped."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def _average(statistics: Statistics | None, form: str) -> str:
    if statistics is None:
        return ""
    mean = form.format(statistics.mean)
    return mean if statistics.std is None else f"{mean} ± {form.format(statistics.std)}"


def _written(value: Any, form: str) -> str:
    return form.format(value) if _is_number(value) else ""


def _is_number(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _or_empty(value: Any) -> Any:
    return "" if value is None else value


def _text(value: Any) -> str:
    return "" if value is None else str(value)
