"""The page about the comparison of strategies; every sentence about results is computed from the rows."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.stats import wilcoxon

from darts_pl import atomic
from darts_pl.report.statistics import statistics_of
from darts_pl.spaces.nasbench201 import NasBench201
from strategy_plot import plot

Rows = Sequence[Mapping[str, str]]

#: Test accuracy on CIFAR-10 as published by Dong and Yang, "NAS-Bench-201", ICLR 2020, table 5.
PUBLISHED = {"random": "93.70 ± 0.36", "evolution_small": "93.92 ± 0.30", "reinforce": "93.85 ± 0.37"}
#: Below this probability a strategy counts as better than random search.
SIGNIFICANT = 0.01
PLOT = "strategies_nasbench201.svg"
#: Why a study lacks a strategy that another one has.
MISSING = {
    "nasbench201": {"successive_halving": "it has rungs of 2, 6, 18 and 54 epochs, the table trainings of 12 and 200"},
    "synthetic": {"bayesian_transport": "too slow for 300 evaluations here", "nsga2": "one score only"},
    "surrogate": {
        "successive_halving": "the regression knows no epochs",
        "bayesian_transport": "too slow for 300 evaluations here",
        "nsga2": "one score only",
    },
}

INTRODUCTION = """# Searches without gradients, compared

Made by `python benchmarks/strategies.py` (its docstring has the commands) with the settings in `conf/strategy/`; a
row is named after the file of its settings. The raw rows are in `strategies_nasbench201.csv`,
`strategies_synthetic.csv` and `strategies_surrogate.csv`. Settings were not tuned for these comparisons; only the
predictor of `pnas` got 100 training steps instead of 200, to save time. "±" is the standard deviation over
repetitions; an interval is the 95 % interval of the mean (Student's t). Every `p` is for one comparison alone; below
each table of them is what is left after a correction for their number.
"""

TABLE_TEXT = f"""
## NAS-Bench-201

A search spends 12,000 simulated seconds on trainings of 12 epochs on half of CIFAR-10 (the last one may exceed
them; a repeated cell is charged again, as in the published runs), takes the cell with the best validation accuracy
after 12 epochs, and is scored by that cell's test accuracy in percent after 200 epochs, which no strategy sees.
`nsga2` also minimizes the number of parameters. Published figures are those of Dong and Yang, "NAS-Bench-201", ICLR
2020; their REINFORCE has a table of logits where `reinforce` has an LSTM. The cell with the best validation accuracy
after 12 epochs has a test accuracy of {{best:.2f}}, which is also the best of the table: a search that finds this one
cell has the greatest score that is possible. The last column says how many searches found it.

![Test accuracy of the best cell against simulated seconds]({PLOT})
"""

SYNTHETIC_TEXT = """
## An objective with a known optimum

The convolutional space of DARTS (two cells, 4 nodes, 7 operations) with an objective whose unique optimum is 1 and
in which pairs that follow each other, and the two cells, multiply (`benchmarks/strategy_objectives.py`, class
`Synthetic`). 300 evaluations; each seed has an objective of its own, which is the same for all strategies.
`p` is that of a one-sided Wilcoxon signed-rank test of the pairs (strategy, random) after 300 evaluations.
`successive_halving` sees noisy scores after fewer than 54 epochs and pays for them by their epochs.
"""

SURROGATE_TEXT = """
## The DARTS space by a regression

Accuracy in percent as predicted by a regression on 725 predictions of NAS-Bench-301: a ridge regression on which
operation is on which edge. It is a sum over the nodes of a cell, without interactions, so its greatest value is
known: 96.57, well above the scored cells (at most 94.49), where the prediction is an extrapolation. 300
evaluations; the table ranks searches, it says nothing about accuracies that a training would reach.
"""


class Comparison(NamedTuple):
    """A strategy beside random search.

    Args:
        name: of the strategy.
        difference: [seeds], its score minus that of random search with the same seed.
        probability: of the one-sided signed-rank test.
    """

    name: str
    difference: np.ndarray
    probability: float


def write_report(folder: Path, results: Mapping[str, Rows]) -> None:
    """Write `strategies.md` and its plot.

    Args:
        folder: where they are written.
        results: per study the rows of its file; a study without rows is left out.
    """
    parts = [INTRODUCTION]
    if results["nasbench201"]:
        table = NasBench201()
        valid, test = table.column("cifar10_valid_ep12"), table.column("cifar10_test")
        best = float(test[valid.argmax()])
        assert best == test.max()  # as the text says
        plot(results["nasbench201"], folder / PLOT, best)
        parts.append(TABLE_TEXT.format(best=best))
        parts += [*table_lines(results["nasbench201"], float(valid.max())), *not_run("nasbench201", results)]
    for study, text, digits in (("synthetic", SYNTHETIC_TEXT, 3), ("surrogate", SURROGATE_TEXT, 2)):
        if results[study]:
            parts += [text, *paired_lines(results[study], digits), "", correction(comparisons(results[study]))]
            parts += not_run(study, results)
    atomic.write(folder / "strategies.md", "\n".join(parts) + "\n")


def not_run(study: str, results: Mapping[str, Rows]) -> list[str]:
    """The lines about the strategies that another study has and this one lacks."""
    names = dict.fromkeys(row["strategy"] for rows in results.values() for row in rows)
    there = {row["strategy"] for row in results[study]}
    reasons = MISSING[study]
    missing = [f"`{name}`" + (f" ({reasons[name]})" if name in reasons else "") for name in names if name not in there]
    return ["", wrapped(f"Not run: {', '.join(missing)}.")] if missing else []


def by_strategy(rows: Rows, column: str) -> dict[str, np.ndarray]:
    """The values of a column per strategy, by seed; strategies in the order of the file."""
    names = dict.fromkeys(row["strategy"] for row in rows)
    ordered = sorted(rows, key=lambda row: int(row["seed"]))
    return {name: np.array([float(row[column]) for row in ordered if row["strategy"] == name]) for name in names}


def interval(values: np.ndarray) -> float:
    """Half the width of the 95 % interval of the mean."""
    low, high = statistics_of(values.tolist()).interval()
    return (high - low) / 2


def table_lines(rows: Rows, best: float) -> Iterator[str]:
    """The table of NAS-Bench-201, the best strategy first.

    Args:
        rows: of the study.
        best: the greatest validation accuracy of the table, which one cell has.
    """
    yield "| strategy | test accuracy | interval of the mean | published | evaluations | best cell found |"
    yield "| --- | --- | --- | --- | --- | --- |"
    evaluations, valid = by_strategy(rows, "evaluations"), by_strategy(rows, "valid")
    tests = by_strategy(rows, "test")
    for name, test in sorted(tests.items(), key=lambda item: -item[1].mean()):
        low, high = test.mean() - interval(test), test.mean() + interval(test)
        found = int(np.isclose(valid[name], best, rtol=0, atol=1e-3).sum())
        yield (
            f"| `{name}` | {test.mean():.2f} ± {test.std(ddof=1):.2f} | {low:.2f} to {high:.2f} "
            f"| {PUBLISHED.get(name, '')} | {evaluations[name].mean():.0f} | {found} of {len(test)} |"
        )


def comparisons(rows: Rows, column: str = "best_300") -> dict[str, Comparison]:
    """Every strategy against random search on the seeds that both have."""
    scores: dict[str, dict[str, float]] = {}
    for row in rows:
        scores.setdefault(row["strategy"], {})[row["seed"]] = float(row[column])
    random = scores.pop("random")
    found = {}
    for name, own in scores.items():
        difference = np.array([score - random[seed] for seed, score in own.items() if seed in random])
        found[name] = Comparison(name, difference, float(wilcoxon(difference, alternative="greater").pvalue))
    return found


def paired_lines(rows: Rows, digits: int) -> Iterator[str]:
    """A table of strategies against random search on the same seeds, the best strategy first."""
    yield "| strategy | seeds | after 100 | after 300 | more than random, interval | p | better than random |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    early, late, compared = by_strategy(rows, "best_100"), by_strategy(rows, "best_300"), comparisons(rows)
    for name, values in sorted(late.items(), key=lambda item: -item[1].mean()):
        shown = [f"{one.mean():.{digits}f} ± {one.std(ddof=1):.{digits}f}" for one in (early[name], values)]
        start = f"| `{name}` | {len(values)} | {shown[0]} | {shown[1]} |"
        if name not in compared:
            yield f"{start} | | |"
            continue
        _, difference, probability = compared[name]
        low, high = difference.mean() - interval(difference), difference.mean() + interval(difference)
        verdict = "yes" if probability < SIGNIFICANT else "not shown"
        yield f"{start} {low:.{digits}f} to {high:.{digits}f} | {probability:.1e} | {verdict} |"


def correction(compared: Mapping[str, Comparison]) -> str:
    """What is left of the answers of a table after Bonferroni's correction for the number of its comparisons."""
    threshold = SIGNIFICANT / len(compared)
    positive = sorted(
        (one for one in compared.values() if one.probability < SIGNIFICANT), key=lambda one: -one.difference.mean()
    )
    kept = [one.name for one in positive if one.probability < threshold]
    lost = [one for one in positive if one.probability >= threshold]
    plural = "s" if len(compared) > 1 else ""
    text = (
        f'Corrected for the {len(compared)} comparison{plural} of this table (Bonferroni), "yes" would need a p below '
        f"{threshold:.1e}. {named(kept)} {'reach' if len(kept) > 1 else 'reaches'} that."
    )
    if kept and lost:
        text += f" {named([one.name for one in lost])} {'do' if len(lost) > 1 else 'does'} not."
    # The least p of the test is that of differences that are all positive.
    least = {len(one.difference): 0.5 ** len(one.difference) for one in lost}
    impossible = [f"{seeds} seeds allow no p below {p:.1e}" for seeds, p in sorted(least.items()) if p >= threshold]
    return wrapped(f"{text} {'; '.join(impossible)}." if impossible else text)


def named(names: Sequence[str]) -> str:
    """Strategies in a sentence."""
    shown = [f"`{name}`" for name in names]
    if not shown:
        return "No strategy"
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def wrapped(text: str) -> str:
    """A paragraph in lines of at most 120 characters."""
    return textwrap.fill(text, 120, break_long_words=False, break_on_hyphens=False)
