"""Tables and the plot of the comparison of strategies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from scipy.stats import wilcoxon

from darts_pl import atomic
from darts_pl.report.statistics import statistics_of

Rows = Sequence[Mapping[str, str]]

#: Test accuracy on CIFAR-10 as published by Dong and Yang, "NAS-Bench-201", ICLR 2020, table 5.
PUBLISHED = {"random": "93.70 ± 0.36", "evolution_small": "93.92 ± 0.30", "reinforce": "93.85 ± 0.37"}
#: Below this probability a strategy counts as better than random search.
SIGNIFICANT = 0.01
#: Lines of the plot; the others are in the table only.
PLOTTED = ("random", "evolution_small", "local_search", "reinforce", "optuna", "pnas", "bayesian")
PLOT = "strategies_nasbench201.svg"

INTRODUCTION = """# Searches without gradients, compared

Made by `python benchmarks/strategies.py` (its docstring has the commands) with the settings in `conf/strategy/`; a
row is named after the file of its settings. The raw rows are in `strategies_nasbench201.csv`,
`strategies_synthetic.csv` and `strategies_surrogate.csv`. Settings were not tuned for these comparisons; only the
predictor of `pnas` got 100 training steps instead of 200, to save time. "±" is the standard deviation over
repetitions; an interval is the 95 % interval of the mean (Student's t). Every `p` is for one comparison alone.
Corrected for the 13 comparisons of a table (Bonferroni), "yes" would need a p below 8e-4; `enas` in the second
table, and every row of the third, whose 10 seeds allow no p below 9.8e-4, do not reach that.
"""

TABLE_TEXT = f"""
## NAS-Bench-201

A search spends 12,000 simulated seconds on trainings of 12 epochs on half of CIFAR-10 (the last one may exceed
them; a repeated cell is charged again, as in the published runs), takes the cell with the best validation accuracy
after 12 epochs, and is scored by that cell's test accuracy in percent after 200 epochs, which no strategy sees.
`nsga2` also minimizes the number of parameters. `successive_halving` is missing, since the table has no numbers of
epochs between 12 and 200. Published figures are those of Dong and Yang, "NAS-Bench-201", ICLR 2020; their REINFORCE
has a table of logits where `reinforce` has an LSTM. The cell with the best validation accuracy after 12 epochs has
a test accuracy of 94.37, which is also the best of the table: a search that finds this one cell has the greatest
score that is possible. `bayesian_transport` found it in 22 of 30 searches, `bayesian` in 17 of 30, `local_search`
in 134 of 500, `evolution_small` in 47 of 500, `random` in 3 of 500.

![Test accuracy of the best cell against simulated seconds]({PLOT})
"""

SYNTHETIC_TEXT = """
## An objective with a known optimum

The convolutional space of DARTS (two cells, 4 nodes, 7 operations) with an objective whose unique optimum is 1 and
in which pairs that follow each other, and the two cells, multiply (`benchmarks/strategy_objectives.py`, class
`Synthetic`). 300 evaluations; {seeds} seeds, each with an objective of its own that is the same for all strategies.
`p` is that of a one-sided Wilcoxon signed-rank test of the pairs (strategy, random) after 300 evaluations.
`successive_halving` sees noisy scores after fewer than 54 epochs and pays for them by their epochs. Not run:
`bayesian_transport` (too slow for 300 evaluations here), `nsga2` (one score only).
"""

SURROGATE_TEXT = """
## The DARTS space by a regression

Accuracy in percent as predicted by a regression on 725 predictions of NAS-Bench-301: a ridge regression on which
operation is on which edge. It is a sum over the nodes of a cell, without interactions, so its greatest value is
known: 96.57, well above the scored cells (at most {highest}), where the prediction is an extrapolation. 300
evaluations, {seeds} seeds; the table ranks searches, it says nothing about accuracies that a training would reach.
Not run: `successive_halving` (the regression knows no epochs), `reinforce_nasnet`, and those that were not run
above.
"""


def write_report(folder: Path, results: Mapping[str, Rows]) -> None:
    """Write `strategies.md` and its plot.

    Args:
        folder: where they are written.
        results: per study the rows of its file; a study without rows is left out.
    """
    parts = [INTRODUCTION]
    if results["nasbench201"]:
        plot(results["nasbench201"], folder / PLOT)
        parts += [TABLE_TEXT, *table_lines(results["nasbench201"])]
    for study, text, digits in (("synthetic", SYNTHETIC_TEXT, 3), ("surrogate", SURROGATE_TEXT, 2)):
        if results[study]:
            seeds = len({row["seed"] for row in results[study]})
            parts += [text.format(seeds=seeds, highest="94.49"), *paired_lines(results[study], digits)]
    atomic.write(folder / "strategies.md", "\n".join(parts) + "\n")


def by_strategy(rows: Rows, column: str) -> dict[str, np.ndarray]:
    """The values of a column per strategy, by seed; strategies in the order of the file."""
    names = dict.fromkeys(row["strategy"] for row in rows)
    ordered = sorted(rows, key=lambda row: int(row["seed"]))
    return {name: np.array([float(row[column]) for row in ordered if row["strategy"] == name]) for name in names}


def interval(values: np.ndarray) -> float:
    """Half the width of the 95 % interval of the mean."""
    low, high = statistics_of(values.tolist()).interval()
    return (high - low) / 2


def table_lines(rows: Rows) -> Iterator[str]:
    """The table of NAS-Bench-201, the best strategy first."""
    yield "| strategy | test accuracy | interval of the mean | published | evaluations | repetitions |"
    yield "| --- | --- | --- | --- | --- | --- |"
    evaluations = by_strategy(rows, "evaluations")
    tests = by_strategy(rows, "test")
    for name, test in sorted(tests.items(), key=lambda item: -item[1].mean()):
        low, high = test.mean() - interval(test), test.mean() + interval(test)
        yield (
            f"| `{name}` | {test.mean():.2f} ± {test.std(ddof=1):.2f} | {low:.2f} to {high:.2f} "
            f"| {PUBLISHED.get(name, '')} | {evaluations[name].mean():.0f} | {len(test)} |"
        )


def paired_lines(rows: Rows, digits: int) -> Iterator[str]:
    """A table of strategies against random search on the same seeds, the best strategy first."""
    yield "| strategy | after 100 | after 300 | more than random, interval | p | better than random |"
    yield "| --- | --- | --- | --- | --- | --- |"
    early, late = by_strategy(rows, "best_100"), by_strategy(rows, "best_300")
    for name, values in sorted(late.items(), key=lambda item: -item[1].mean()):
        shown = [f"{one.mean():.{digits}f} ± {one.std(ddof=1):.{digits}f}" for one in (early[name], values)]
        difference = values - late["random"][: len(values)]
        if name == "random":
            yield f"| `{name}` | {shown[0]} | {shown[1]} | | | |"
            continue
        low, high = difference.mean() - interval(difference), difference.mean() + interval(difference)
        probability = wilcoxon(difference, alternative="greater").pvalue
        verdict = "yes" if probability < SIGNIFICANT else "not shown"
        yield (
            f"| `{name}` | {shown[0]} | {shown[1]} | {low:.{digits}f} to {high:.{digits}f} "
            f"| {probability:.1e} | {verdict} |"
        )


def plot(rows: Rows, path: Path) -> None:
    """Mean test accuracy of the best cell against simulated time, with its 95 % interval."""
    figure = Figure(figsize=(7.5, 4.5), layout="constrained")
    axes = figure.add_subplot()
    columns = [column for column in rows[0] if column.startswith("test_")]
    seconds = np.array([float(column.removeprefix("test_").removesuffix("s")) for column in columns])
    complete = [row for row in rows if all(row[column] for column in columns)]
    for name in PLOTTED:
        own = [row for row in complete if row["strategy"] == name]
        if len(own) < 2:
            continue
        curves = np.array([[float(row[column]) for column in columns] for row in own])
        half = np.array([interval(values) for values in curves.T])
        (line,) = axes.plot(seconds, curves.mean(0), label=f"{name} ({len(own)})", linewidth=1.5)
        axes.fill_between(
            seconds, curves.mean(0) - half, curves.mean(0) + half, color=line.get_color(), alpha=0.2, linewidth=0
        )
    axes.set_ylim(92.5, 94.45)
    axes.axhline(94.373, color="0.6", linewidth=0.8, linestyle=":")
    axes.set_xlabel("simulated seconds of training")
    axes.set_ylabel("CIFAR-10 test accuracy of the best cell, percent")
    axes.set_title("NAS-Bench-201: mean and 95 % interval of the mean (repetitions)", fontsize=10)
    axes.legend(loc="lower right", fontsize=8)
    atomic.write_with(path, lambda temporary: figure.savefig(temporary, metadata={"Date": None}))
