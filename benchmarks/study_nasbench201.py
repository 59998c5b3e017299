"""Tables and curves of a study in the NAS-Bench-201 space, from the folders of its searches.

    python run.py -m experiment=study_nasbench201 select=magnitude data.path=FILE.npz hydra.sweep.dir=FOLDER
    python run.py task=derive run=FOLDER/JOB select=perturbation hydra.run.dir=FOLDER/JOB/perturbation
    python benchmarks/study_nasbench201.py FOLDER --results docs/results

Rows of finished searches, and of cells that other rules derived from them, are added to `nasbench201_cells.csv` (one
row per cell) and `nasbench201_curves.csv` (one row per search and epoch) in the folder of results; rows that are there
already stay, so that a study can be continued later. The program prints, as Markdown, what the cells are worth in the
benchmark's table, beside cells drawn at random with the same seeds, and paired differences. It draws the value of the
cell over the epochs as `nasbench201_curves.svg`. Searches that have not ended yet are left out, and named.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from darts_pl.records.configuration import CONFIG, read_yaml
from darts_pl.report.page.architecture import relaxation_of
from darts_pl.report.statistics import paired_difference, statistics_of
from darts_pl.selection import random_genotype
from darts_pl.spaces import build_space
from darts_pl.spaces.nasbench201 import OPERATIONS, NasBench201

Row = dict[str, Any]

CELLS, CURVES = "nasbench201_cells.csv", "nasbench201_curves.csv"
#: Columns of the table of cells that name a row, and the others.
KEY = ("search", "select", "seed")
TABLE = ("cifar10_valid", "cifar10_test", "cifar100_test", "imagenet16_test", "rank")
CELL_COLUMNS = (*KEY, "epochs", *TABLE, "best_epoch", "skip_connections", "entropy_fall", "seconds", "genotype")
#: What the curve keeps of every epoch: column of the CSV file, and of metrics.csv.
CURVE = {
    "table_cifar10_test": "search/table_cifar10_test",
    "skip_connections": "search/skip_connections",
    "entropy": "search/entropy_cell",
    "valid_accuracy": "search/valid_accuracy",
}
CURVE_COLUMNS = ("search", "seed", "epoch", *CURVE)
#: A search whose entropy fell by a smaller fraction is marked: its cell is nearly arbitrary.
LEAST_FALL = 0.05
#: The least accuracy that a panel shows, in percent.
LOWEST = 50.0
#: The row with which the others are compared, beside random cells.
BASELINE = ("darts, first order, 50 epochs", "magnitude")
RANDOM = "one random cell"


def read_folders(folders: Sequence[Path]) -> tuple[list[Row], list[Row]]:
    """The rows of cells and of curves that the runs in the folders give."""
    cells, curves = [], []
    for file in sorted(path for folder in folders for path in folder.rglob("metrics.csv")):
        summary = _summary(file.parent)
        if summary.get("task") != "search":
            if not summary:
                print(f"not finished: {file.parent}", file=sys.stderr)
            continue
        with file.open(newline="", encoding="utf-8") as text:
            epochs = list(csv.DictReader(text))
        name = f"{_method(file.parent)}, {summary['order']} order, {len(epochs)} epochs"
        curve = [
            {"search": name, "seed": summary["seed"], "epoch": int(row["epoch"]) + 1}
            | {column: f"{float(row[source]):.4f}" for column, source in CURVE.items()}
            for row in epochs
        ]
        curves += curve
        taken = sum(float(row.get("seconds") or 0) for row in epochs)  # also of epochs before a search was continued
        summary["seconds"] = round(max(float(summary["seconds"]), taken), 3)
        equal = _equal_entropy(file.parent)
        cells.append(_cell(name, _rule(file.parent), summary, curve, equal))
        for derived in sorted(file.parent.glob("*/summary.json")):
            found = _summary(derived.parent)
            if found.get("task") == "derive":
                found["seed"] = summary["seed"]  # differences are paired by search
                cells.append(_cell(name, found["select"], found, curve, equal))
    return cells, curves


def _cell(name: str, select: str, summary: Row, curve: Sequence[Row], equal: float) -> Row:
    values = [float(row["table_cifar10_test"]) for row in curve]
    skips = str(summary["genotype"]).count("skip_connect")
    fall = 1 - float(curve[-1]["entropy"]) / equal
    own = {column: f"{summary[f'table/{column}']:.4f}" for column in TABLE[:-1]}
    return {
        **{"search": name, "select": select, "seed": summary["seed"], "epochs": len(curve)},
        **{**own, "rank": summary["table/rank"], "best_epoch": f"{max(values):.4f}", "skip_connections": skips},
        **{"entropy_fall": f"{fall:.4f}", "seconds": summary["seconds"], "genotype": summary["genotype"]},
    }


def _summary(folder: Path) -> Row:
    file = folder / "summary.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}


def _rule(folder: Path) -> str:
    """The rule that chose the cell of a search, from the configuration that it left."""
    found = read_yaml(folder / CONFIG) or {}
    return str(found.get("select", {}).get("name", "magnitude"))


def _equal_entropy(folder: Path) -> float:
    """The entropy of equal mixing weights by the relaxation of a search, likewise."""
    settings = (read_yaml(folder / CONFIG) or {}).get("relaxation") or {"name": "softmax"}
    return float(relaxation_of(settings).equal_entropy(len(OPERATIONS)))


def _method(folder: Path) -> str:
    """The method of a search, likewise; runs of older versions are DARTS."""
    return str((read_yaml(folder / CONFIG) or {}).get("method") or "darts")


def merged(file: Path, columns: Sequence[str], key: Sequence[str], rows: Iterable[Row]) -> list[Row]:
    """The rows of a CSV file with these in place of older ones of the same key; the file then has them."""
    old: list[Row] = []
    if file.is_file():
        with file.open(newline="", encoding="utf-8") as text:
            old = list(csv.DictReader(text))
    by_key = {tuple(str(row[name]) for name in key): row for row in [*old, *rows]}
    found = [by_key[one] for one in sorted(by_key, key=lambda one: [part.zfill(9) for part in one])]
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", newline="", encoding="utf-8") as text:
        table = csv.DictWriter(text, columns, lineterminator="\n")
        table.writeheader()
        table.writerows(found)
    return found


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Mean and standard deviation (n - 1 in the denominator)."""
    found = statistics_of(values)
    mean = f"{found.mean:,.{digits}f}"
    return mean if found.std is None else f"{mean} ± {found.std:,.{digits}f}"


def print_tables(cells: Sequence[Row]) -> None:
    """The table of groups, one per search and rule, and the differences from the baselines, as Markdown."""
    groups: dict[tuple[str, str], dict[int, Row]] = {}
    for row in cells:
        groups.setdefault((row["search"], row["select"]), {})[int(row["seed"])] = row
    print("| search | choice | seeds | CIFAR-10 test, table | rank of 15,625 | best epoch | skips | entropy fell |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for (search, select), by_seed in groups.items():

        def column(name: str, rows: dict[int, Row] = by_seed) -> list[float]:
            return [float(row[name]) for row in rows.values()]

        fall = statistics_of(column("entropy_fall")).mean
        mark = " (not searched)" if fall < LEAST_FALL else ""
        print(
            f"| {search} | {select} | {len(by_seed)} | {spread(column('cifar10_test'))} | {spread(column('rank'), 0)} "
            f"| {spread(column('best_epoch'))} | {spread(column('skip_connections'), 1)} | {fall:.1%}{mark} |"
        )
    values = {key: {seed: float(row["cifar10_test"]) for seed, row in rows.items()} for key, rows in groups.items()}
    chance = random_values(sorted({seed for rows in groups.values() for seed in rows}))
    print(f"| {RANDOM} | | {len(chance)} | {spread(list(chance.values()))} | | | | |")
    column = NasBench201().column("cifar10_test")
    print(f"| all cells, drawn uniformly | | | {column.mean():.2f} ± {column.std():.2f} | | | | |")
    print_differences(values, f"{BASELINE[0]}, {BASELINE[1]}", values.get(BASELINE, {}))
    print_differences(values, RANDOM, chance)
    print_differences(values, "the mean of all cells", {seed: float(column.mean()) for seed in chance})


def random_values(seeds: Sequence[int]) -> dict[int, float]:
    """By seed, what a cell drawn with that seed is worth."""
    table, space = NasBench201(), build_space("nasbench201", OPERATIONS, 3)
    column = table.column("cifar10_test")
    return {seed: float(column[table.number(random_genotype(space, seed))]) for seed in seeds}


def print_differences(values: dict[tuple[str, str], dict[int, float]], name: str, baseline: dict[int, float]) -> None:
    """The differences of all groups from a baseline on the same seeds, with the 95 % interval of Student's t."""
    print(f"\n| minus {name} | seeds | difference | 95 % interval | |\n| --- | --- | --- | --- | --- |")
    for key, by_seed in values.items():
        found = paired_difference(by_seed, baseline)
        if found is not None and found.n >= 2 and by_seed is not baseline:
            interval = f"{found.low:+.2f} to {found.high:+.2f}"
            print(f"| {', '.join(key)} | {found.n} | {found.mean:+.2f} | {interval} | {found.verdict()} |")


def draw_curves(curves: Sequence[Row], file: Path) -> None:
    """One panel per search: the value of its cell over the epochs, a thin line per seed and the mean."""
    names = list(dict.fromkeys(row["search"] for row in curves))
    columns = 3
    rows = math.ceil(len(names) / columns)
    figure = Figure(figsize=(9, 2.2 * rows + 0.4), layout="constrained")
    panels = list(figure.subplots(rows, columns, sharey=True, squeeze=False).flat)
    for name, panel in zip(names, panels, strict=False):
        by_seed: dict[str, list[float]] = {}
        for row in curves:
            if row["search"] == name:
                by_seed.setdefault(str(row["seed"]), []).append(float(row["table_cifar10_test"]))
        for values in by_seed.values():
            panel.plot(range(1, len(values) + 1), shown(values), color="0.75", linewidth=0.7)
        length = min(map(len, by_seed.values()))
        mean = [sum(values[epoch] for values in by_seed.values()) / len(by_seed) for epoch in range(length)]
        panel.plot(range(1, length + 1), shown(mean), color="C0")
        panel.set_title(f"{name} ({len(by_seed)} seeds)", fontsize=8)
        panel.set_ylim(LOWEST - 1, 95)
        panel.tick_params(labelsize=7)
    for panel in panels[len(names) :]:
        panel.set_axis_off()
    figure.supxlabel("epoch of the search", fontsize=8)
    figure.supylabel("CIFAR-10 test, table, %", fontsize=8)
    figure.savefig(file, metadata={"Date": None})


def shown(values: Sequence[float]) -> list[float]:
    """Values as they are drawn: those below `LOWEST` lie on the lower edge, so that differences above can be read."""
    return [max(value, LOWEST) for value in values]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="*", help="of sweeps or of runs; none = the rows that are there")
    parser.add_argument("--results", type=Path, required=True, help="the folder of the CSV files and of the drawing")
    arguments = parser.parse_args()
    new_cells, new_curves = read_folders(arguments.folders)
    cells = merged(arguments.results / CELLS, CELL_COLUMNS, KEY, new_cells)
    curves = merged(arguments.results / CURVES, CURVE_COLUMNS, ("search", "seed", "epoch"), new_curves)
    print_tables(cells)
    draw_curves(curves, arguments.results / "nasbench201_curves.svg")


if __name__ == "__main__":
    main()
