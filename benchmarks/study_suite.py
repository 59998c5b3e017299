"""Ranks of methods in the variants of the suite, from the folder of its sweep.

    python run.py -m experiment=study_suite hydra.sweep.dir=FOLDER
    python benchmarks/study_suite.py FOLDER --csv FILE.csv
    python benchmarks/study_suite.py FILE.csv

Each job searched a cell with one method, in one variant, from one seed, then trained it and a random cell. For each
variant and seed the methods and the random cell are ranked by their test accuracy (1 = best, equal ones share the mean
of their ranks). The program prints, as Markdown, the mean rank over the seeds with its 95 % interval, and each method
minus the random cell on the same seeds. Variants and seeds that a method lacks are left out, and named.
"""

from __future__ import annotations

import argparse
import csv
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scipy.stats import rankdata

from darts_pl.errors import UserError
from darts_pl.records.configuration import CHOICES, read_configuration, read_yaml
from darts_pl.records.job_record import read_summary
from darts_pl.report.run_table import markdown
from darts_pl.report.statistics import Statistics, paired_difference, statistics_of

RANDOM = "random cell"
#: Columns of the file of jobs: the test accuracies of the found and of the random cell.
SCORES = ("test_accuracy", "random_test_accuracy")
#: One variant and one seed.
Place = tuple[str, int]


@dataclass(frozen=True)
class Run:
    """One finished job: what it was, and the test accuracies of its cell and of the random cell."""

    method: str
    variant: str
    seed: int
    accuracy: float
    random: float


def read_csv(path: Path) -> list[Run]:
    """The jobs that `write_csv` has written.

    Raises:
        UserError: if the file has other columns or values.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [
                Run(row["method"], row["variant"], int(row["seed"]), *(float(row[name]) for name in SCORES))
                for row in csv.DictReader(file)
            ]
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: it is no file that --csv has written") from error


def read_runs(folder: Path) -> list[Run]:
    """The finished jobs in a folder of a sweep, or in a file that `write_csv` has written.

    Raises:
        UserError: if there is none, one was not made by task=search_and_retrain with a random cell, or two are of
            one method, variant and seed.
    """
    if folder.is_file():
        return read_csv(folder)
    if not folder.is_dir():
        raise UserError(f"{folder}: there is no such folder")
    runs: dict[tuple[str, str, int], Run] = {}
    for choices in sorted(folder.rglob(str(CHOICES))):
        job = choices.parents[1]
        summary = read_summary(job)
        if summary is None:
            print(f"not finished: {job}", file=sys.stderr)
            continue
        if "test/accuracy" not in summary or "random/test_accuracy" not in summary:
            raise UserError(f"{job}: no run of task=search_and_retrain with a random cell; remove it from the folder")
        variant = read_yaml(choices)["hydra"]["runtime"]["choices"]["search"]
        settings = read_configuration(job) or {}
        run = Run(
            str(settings["method"]),
            variant.removeprefix("suite_"),
            int(settings["seed"]),
            float(summary["test/accuracy"]),
            float(summary["random/test_accuracy"]),
        )
        key = run.method, run.variant, run.seed
        if key in runs:
            raise UserError(f"{job}: another run has method={key[0]}, search=suite_{key[1]} and seed={key[2]} as well")
        runs[key] = run
    if not runs:
        raise UserError(f"{folder}: no finished run is in there")
    return [*runs.values()]


def complete(runs: Sequence[Run]) -> dict[Place, dict[str, float]]:
    """Test accuracies by variant and seed, and by method, where all methods have one."""
    methods = {run.method for run in runs}
    found: dict[Place, dict[str, float]] = {}
    for run in runs:
        scores = found.setdefault((run.variant, run.seed), {RANDOM: run.random})
        scores[run.method] = run.accuracy
    for (variant, seed), scores in found.items():
        if missing := methods - scores.keys():
            print(f"left out: {variant}, seed {seed}, without {', '.join(sorted(missing))}", file=sys.stderr)
    return {place: scores for place, scores in found.items() if not methods - scores.keys()}


def ranks(scores: Mapping[str, float]) -> dict[str, float]:
    """1 for the highest score; equal scores share the mean of their ranks."""
    return dict(zip(scores, map(float, rankdata([-score for score in scores.values()])), strict=True))


def with_interval(found: Statistics, worst: int) -> str:
    """Mean rank and interval, cut off at the ranks that exist, as text; the interval of one value is not known."""
    low, high = found.interval()
    if math.isinf(low):
        return f"{found.mean:.2f}"
    return f"{found.mean:.2f} ({max(low, 1):.2f} to {min(high, worst):.2f})"


def rank_table(scores: Mapping[Place, Mapping[str, float]]) -> list[list[str]]:
    """The table of mean ranks, its headings first: a row per method, a column per variant, and one over all."""
    ranked = {place: ranks(by_method) for place, by_method in scores.items()}
    variants = list(dict.fromkeys(variant for variant, _ in ranked))
    methods = sorted({method for by_method in ranked.values() for method in by_method} - {RANDOM})
    table = [["method", *variants, "all variants"]]
    for method in [*methods, RANDOM]:
        groups = [[found[method] for place, found in ranked.items() if place[0] == variant] for variant in variants]
        every_seed: dict[int, list[float]] = {}
        for (_, seed), found in ranked.items():
            every_seed.setdefault(seed, []).append(found[method])
        # Runs with one seed share it, so the interval over all variants is that of the means of the seeds.
        groups.append([math.fsum(one) / len(one) for one in every_seed.values()])
        table.append([method, *(with_interval(statistics_of(group), len(methods) + 1) for group in groups)])
    return table


def difference_table(scores: Mapping[Place, Mapping[str, float]]) -> list[list[str]]:
    """Each method minus the random cell on the same seeds, in percent of the test images, its headings first."""
    table = [["variant", "method", "seeds", "accuracy, %", "random cell, %", "difference (95 % interval)", "verdict"]]
    for variant in dict.fromkeys(variant for variant, _ in scores):
        by_seed = {seed: found for (name, seed), found in scores.items() if name == variant}
        chance = {seed: 100 * found[RANDOM] for seed, found in by_seed.items()}
        for method in sorted({name for found in by_seed.values() for name in found} - {RANDOM}):
            own = {seed: 100 * found[method] for seed, found in by_seed.items()}
            difference = paired_difference(own, chance)
            assert difference is not None
            known = math.isfinite(difference.low)
            interval = f" ({difference.low:+.1f} to {difference.high:+.1f})" if known else ""
            means = [f"{statistics_of([*values.values()]).mean:.1f}" for values in (own, chance)]
            shown = f"{difference.mean:+.1f}{interval}"
            table.append([variant, method, str(difference.n), *means, shown, difference.verdict()])
    return table


def write_csv(runs: Sequence[Run], path: Path) -> None:
    """One row per job."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["variant", "method", "seed", *SCORES])
        for run in sorted(runs, key=lambda run: (run.variant, run.method, run.seed)):
            table.writerow([run.variant, run.method, run.seed, f"{run.accuracy:.4f}", f"{run.random:.4f}"])


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="of the sweep, or a file that --csv has written")
    parser.add_argument("--csv", type=Path, help="where the scores of all jobs are written")
    given = parser.parse_args(arguments)
    try:
        runs = read_runs(given.folder)
        scores = complete(runs)
        if not scores:
            raise UserError(f"{given.folder}: no variant and seed has a run of every method")
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if given.csv is not None:
        write_csv(runs, given.csv)
    print("Mean rank (1 = best), 95 % interval over the seeds:\n")
    headings, *rows = rank_table(scores)
    print(markdown(headings, rows))
    print("Test accuracy:\n")
    headings, *rows = difference_table(scores)
    print(markdown(headings, rows), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
