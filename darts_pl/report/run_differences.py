"""Groups of runs against each other on the same seeds, and against what papers report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

from darts_pl.report.published_results import SOURCES, published_results
from darts_pl.report.run_table import RunRow, differing, in_groups, numbers_by_seed
from darts_pl.report.statistics import Difference, paired_difference

#: Scores by which groups are compared, with whether more is better and the format. They chose none of the cells.
COMPARED: Mapping[str, tuple[bool, str]] = {
    "table/cifar10_test": (True, "{:+.2f}"),
    "test/accuracy": (True, "{:+.4f}"),
    "test/perplexity": (False, "{:+.2f}"),
}
#: Scores in percent that papers report, with the published table.
PUBLISHED: Mapping[str, str] = {"table/cifar10_test": "nasbench201"}


@dataclass(frozen=True)
class RunDifference:
    """Two groups of runs on the same seeds.

    Args:
        first, second: what sets each of them apart, such as "order=first".
        score: by which they are compared.
        difference: first minus second.
        verdict: what may be said of the first.
    """

    first: str
    second: str
    score: str
    difference: Difference
    verdict: str


def run_differences(rows: Sequence[RunRow]) -> Iterator[RunDifference]:
    """The paired differences of all pairs of groups that share two seeds or more, by every score in `COMPARED`.

    Runs are of one group where their overrides are the same apart from the seed. The interval is Student's t.

    Args:
        rows: the runs.
    """
    keys = differing(rows)
    for score, (more_is_better, _) in COMPARED.items():
        scored = [(_label(group[0], keys), numbers_by_seed(group, score)) for group in in_groups(rows)]
        for (first, ours), (second, theirs) in combinations([one for one in scored if len(one[1]) >= 2], 2):
            found = paired_difference(ours, theirs)
            if found is not None and found.n >= 2:
                yield RunDifference(first, second, score, found, found.verdict(more_is_better=more_is_better))


def _label(row: RunRow, keys: Sequence[str]) -> str:
    return " ".join(f"{key}={row.overrides[key]}" for key in keys if key in row.overrides) or "defaults"


def difference_cells(found: Sequence[RunDifference]) -> tuple[list[str], list[list[str]]]:
    """(headings, rows of text) of differences."""
    cells = []
    for one in found:
        _, form = COMPARED[one.score]
        mean, low, high = map(form.format, (one.difference.mean, one.difference.low, one.difference.high))
        cells.append([one.first, one.second, one.score, str(one.difference.n), mean, f"{low} to {high}", one.verdict])
    return ["runs", "against", "score", "seeds", "difference", "95 % interval", "they are"], cells


class TableBelow(NamedTuple):
    """A table below that of the runs."""

    title: str
    note: str
    headings: list[str]
    cells: list[list[str]]


def tables_below(rows: Sequence[RunRow]) -> Iterator[TableBelow]:
    """The paired differences of groups, where there are any, and published figures.

    Args:
        rows: the runs.
    """
    if found := list(run_differences(rows)):
        note = "Paired over the same seeds, with the 95 % interval by Student's t; each is for one comparison."
        yield TableBelow("Differences", note, *difference_cells(found))
    if (published := published_cells(rows)) is not None:
        table, cells = published
        note = f"{SOURCES[table]}. They compare with the runs only where data and sizes are the same."
        yield TableBelow("Published figures", note, ["method", "mean ± std"], cells)


def published_cells(rows: Sequence[RunRow]) -> tuple[str, list[list[str]]] | None:
    """(name of a published table, rows of method and score) for the first score of the runs that papers report; None
    where they have no such score."""
    for score, table in PUBLISHED.items():
        if any(score in row.summary for row in rows):
            results = [one for one in published_results(table) if one.error is not None]
            spread = ("" if one.error_std is None else f" ± {one.error_std:.2f}" for one in results)
            return table, [
                [one.architecture, f"{100 - (one.error or 0):.2f}{std}"]
                for one, std in zip(results, spread, strict=True)
            ]
    return None
