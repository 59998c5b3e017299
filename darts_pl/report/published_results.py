"""Results that papers report, to stand beside those of a protocol."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

#: Where the rows of each table come from, and what was trained for them.
SOURCES = {
    "cifar10": "Liu, Simonyan and Yang, DARTS, ICLR 2019, table 1: CIFAR-10, 50,000 training images, 600 epochs",
    "nasbench201": (
        "Dong and Yang, NAS-Bench-201, ICLR 2020, and for DARTS-PT and DrNAS their papers (ICLR 2021): what the "
        "benchmark's table says of the cells that searches on all of CIFAR-10 with 16 channels and 5 cells per stage "
        "found; versions of the papers differ by a few tenths"
    ),
    "ptb": "Liu, Simonyan and Yang, DARTS, ICLR 2019, table 2: Penn Treebank, 929,589 training words",
}


@dataclass(frozen=True)
class PublishedResult:
    """One row of a published table; None where it does not say.

    Args:
        architecture: as the paper calls it.
        error: test error in percent.
        error_std: its standard deviation over trainings.
        valid_perplexity, test_perplexity: of a language model.
        parameters_m: millions of parameters.
        gpu_days: cost of the search.
        operations: number of candidate operations besides "none".
        method: kind of search.
        genotype: its name in the zoo.
    """

    architecture: str
    error: float | None
    error_std: float | None
    valid_perplexity: float | None
    test_perplexity: float | None
    parameters_m: float | None
    gpu_days: float | None
    operations: int
    method: str
    genotype: str | None


@cache
def published_results(table: str) -> tuple[PublishedResult, ...]:
    """The rows of a published table, in its order.

    Args:
        table: a key of `SOURCES`.
    """
    with Path(__file__).with_suffix(".csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["table"] == table]
    return tuple(
        PublishedResult(
            architecture=row["architecture"],
            error=_number(row["error"]),
            error_std=_number(row["error_std"]),
            valid_perplexity=_number(row["valid_perplexity"]),
            test_perplexity=_number(row["test_perplexity"]),
            parameters_m=_number(row["parameters_m"]),
            gpu_days=_number(row["gpu_days"]),
            operations=int(row["operations"]),
            method=row["method"],
            genotype=row["genotype"] or None,
        )
        for row in rows
    )


def _number(text: str) -> float | None:
    return float(text) if text else None
