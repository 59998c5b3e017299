"""Tables of a study in the NAS-Bench-201 space, from the folders of its searches.

    python run.py -m experiment=study_nasbench201 data.path=FILE.npz hydra.sweep.dir=FOLDER
    python benchmarks/study_nasbench201.py FOLDER --csv docs/results/nasbench201.csv

The CSV file has one row per search and epoch. The program prints, as Markdown, what the last cells are worth in the
benchmark's table, beside cells drawn at random with the same seeds, and paired differences between the orders.
Searches that have not ended yet are left out, and named.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from darts_pl.report.statistics import paired_difference, statistics_of
from darts_pl.selection import random_genotype
from darts_pl.spaces import build_space
from darts_pl.spaces.nasbench201 import OPERATIONS, NasBench201

#: What the curve keeps of every epoch: column of the CSV file, and of metrics.csv.
CURVE = {
    "table_cifar10_test": "search/table_cifar10_test",
    "skip_connections": "search/skip_connections",
    "entropy": "search/entropy_cell",
    "valid_accuracy": "search/valid_accuracy",
}


@dataclass(frozen=True)
class Run:
    """One finished search: its summary, and the rows of its metrics.csv."""

    summary: dict[str, float]
    epochs: list[dict[str, str]]

    @property
    def order(self) -> str:
        """Its order, and its number of epochs."""
        return f"{self.summary['order']} order, {len(self.epochs)} epochs"


def read_runs(folders: Sequence[Path]) -> list[Run]:
    """The finished searches in the folders, by order and seed."""
    found = []
    for metrics in sorted(path for folder in folders for path in folder.rglob("metrics.csv")):
        summary = metrics.with_name("summary.json")
        if not summary.is_file():
            print(f"not finished: {metrics.parent}", file=sys.stderr)
            continue
        with metrics.open(newline="", encoding="utf-8") as file:
            found.append(Run(json.loads(summary.read_text(encoding="utf-8")), list(csv.DictReader(file))))
    return sorted(found, key=lambda run: (run.order, run.summary["seed"]))


def write_curves(runs: Sequence[Run], path: Path) -> None:
    """One row per search and epoch."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["order", "epochs", "seed", "epoch", *CURVE, "genotype_at_the_end"])
        for run in runs:
            for row in run.epochs:
                values = [f"{float(row[name]):.4f}" for name in CURVE.values()]
                last = run.summary["genotype"] if row is run.epochs[-1] else ""
                fixed = [run.summary["order"], len(run.epochs), run.summary["seed"]]
                table.writerow([*fixed, int(row["epoch"]) + 1, *values, last])


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Mean and standard deviation (n - 1 in the denominator)."""
    found = statistics_of(values)
    mean = f"{found.mean:,.{digits}f}"
    return mean if found.std is None else f"{mean} ± {found.std:,.{digits}f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+", help="of a sweep or of runs")
    parser.add_argument("--csv", type=Path, help="where the curves are written")
    arguments = parser.parse_args()
    runs = read_runs(arguments.folders)
    if arguments.csv is not None:
        write_curves(runs, arguments.csv)
    table, space = NasBench201(), build_space("nasbench201", OPERATIONS, 3)
    groups: dict[str, dict[int, Run]] = {}
    for run in runs:
        groups.setdefault(run.order, {})[int(run.summary["seed"])] = run
    print("| search | seeds | CIFAR-10 test, table | rank of 15,625 | best epoch | skips at the end | seconds |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, by_seed in groups.items():
        last = [run.summary["table/cifar10_test"] for run in by_seed.values()]
        ranks = [run.summary["table/rank"] for run in by_seed.values()]
        best = [max(float(row[CURVE["table_cifar10_test"]]) for row in run.epochs) for run in by_seed.values()]
        skips = [float(run.epochs[-1][CURVE["skip_connections"]]) for run in by_seed.values()]
        seconds = [run.summary["seconds"] for run in by_seed.values()]
        cells = [spread(last), spread(ranks, 0), spread(best), spread(skips, 1), spread(seconds, 0)]
        print(f"| {name} | {len(by_seed)} | {' | '.join(cells)} |")
    seeds = sorted({seed for by_seed in groups.values() for seed in by_seed})
    drawn = {seed: table.number(random_genotype(space, seed)) for seed in seeds}
    chance = {seed: float(table.column("cifar10_test")[number]) for seed, number in drawn.items()}
    ranks = [table.rank(number) for number in drawn.values()]
    print(f"| one random cell | {len(seeds)} | {spread(list(chance.values()))} | {spread(ranks, 0)} | | | |")
    column = table.column("cifar10_test")
    print(f"| all cells, drawn uniformly | | {column.mean():.2f} ± {column.std():.2f} | | | | |")
    final = {
        name: {seed: float(run.summary["table/cifar10_test"]) for seed, run in by_seed.items()}
        for name, by_seed in groups.items()
    }
    print_differences({**final, "one random cell": chance})


def print_differences(values: dict[str, dict[int, float]]) -> None:
    """Mean differences between runs of one seed, with the 95 % interval of Student's t."""
    names = list(values)
    for first, second in ((a, b) for index, a in enumerate(names) for b in names[index + 1 :]):
        found = paired_difference(values[first], values[second])
        if found is not None and found.n >= 2:
            print(
                f"\n{first} minus {second}, paired over {found.n} seeds: {found.mean:+.2f} "
                f"(95 % interval {found.low:+.2f} to {found.high:+.2f})"
            )


if __name__ == "__main__":
    main()
