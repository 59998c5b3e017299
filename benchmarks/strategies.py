"""Strategies without gradients on one table, one objective with a known optimum, and one surrogate.

    python benchmarks/strategies.py nasbench201 --table nasbench201.npz
    python benchmarks/strategies.py synthetic
    python benchmarks/strategies.py surrogate --table nasbench301_sample.npz --repetitions 10
    python benchmarks/strategies.py report

Each command appends a row per (strategy, seed) to a file in docs/results and passes over the rows that
are there already, so a stopped command is continued by the same command. `report` writes the tables
and the plot of docs/results/strategies.md.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from darts_pl.strategies import Budget, CachedEvaluator, Encoding, Evaluator, best_row, build_strategy, race
from strategy_objectives import FULL_EPOCHS, Surrogate, Synthetic, Table
from strategy_report import write_report

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "results"

SECONDS = 12_000.0
STEP = 1_000.0
#: Strategies on the table, by the file of their settings, with the number of repetitions.
ON_TABLE = {
    "random": 500,
    "evolution_small": 500,
    "evolution": 500,
    "local_search": 500,
    "mcts": 500,
    "mcts_bisection": 500,
    "q_learning": 500,
    "optuna": 30,
    "nsga2": 500,
    "enas": 30,
    "reinforce": 500,
    "reinforce_nasnet": 30,
    "bayesian": 30,
    "pnas": 30,
    "bayesian_transport": 30,
}
EVALUATIONS = 300
SEEDS = 20
ON_CELLS = (
    "random",
    "evolution_small",
    "evolution",
    "local_search",
    "mcts",
    "mcts_bisection",
    "q_learning",
    "successive_halving",
    "optuna",
    "enas",
    "reinforce",
    "reinforce_nasnet",
    "bayesian",
    "pnas",
)

Row = dict[str, Any]


def settings_of(name: str) -> dict[str, Any]:
    """The settings in conf/strategy/NAME.yaml."""
    values: dict[str, Any] = yaml.safe_load((ROOT / "conf" / "strategy" / f"{name}.yaml").read_text(encoding="utf-8"))
    return values


def run(name: str, encoding: Encoding, evaluator: Evaluator, budget: Budget, seed: int) -> list[Row]:
    """The history of one strategy with one seed."""
    settings = settings_of(name)
    if "max_epochs" in settings:
        settings["max_epochs"] = FULL_EPOCHS
    strategy = build_strategy(settings["name"], encoding, settings, seed)
    return race(strategy, CachedEvaluator(evaluator, charge_repeats=True), budget)


def on_table(table: Table, name: str, seed: int) -> Row:
    """One search on NAS-Bench-201: what it found, and the test accuracy of its best cell over time."""
    evaluator = table.evaluator(settings_of(name).get("objectives", 1))
    budget = Budget(evaluations=None, simulated_seconds=SECONDS, seconds=None)
    history = run(name, table.encoding, evaluator, budget, seed)
    rows = evaluator.rows(np.array([row["integers"] for row in history]))
    valid = table.valid[rows]
    best = np.array([int(valid[: count + 1].argmax()) for count in range(len(valid))])
    test, seconds = table.test[rows][best], np.array([row["simulated_seconds"] for row in history])
    found: Row = {"strategy": name, "seed": seed, "evaluations": len(history)}
    found |= {"simulated_seconds": round(float(seconds[-1]), 1), "valid": round(float(valid.max()), 3)}
    found |= {"test": round(float(test[-1]), 3)}
    for time_spent in np.arange(STEP, SECONDS + 1, STEP):
        done = int(np.searchsorted(seconds, time_spent, side="right"))
        found[f"test_{time_spent:.0f}s"] = round(float(test[done - 1]), 3) if done else ""
    return found


def on_cells(objective: Synthetic | Surrogate, name: str, seed: int) -> Row:
    """One search of 300 evaluations in the convolutional space."""
    budget = Budget(evaluations=None, simulated_seconds=float(EVALUATIONS), seconds=None)
    history = run(name, objective.encoding, objective, budget, seed)
    found: Row = {"strategy": name, "seed": seed, "questions": len(history)}
    for spent in range(50, EVALUATIONS + 1, 50):
        best = best_row([row for row in history if row["simulated_seconds"] <= spent + 1e-6])
        found[f"best_{spent}"] = round(objective.value(tuple(best["integers"])), 5) if best else ""
    return found


def fill(path: Path, wanted: Sequence[tuple[str, int]], search: Callable[[str, int], Row]) -> None:
    """Append the rows of `wanted` (strategy, seed) that `path` lacks."""
    path.parent.mkdir(parents=True, exist_ok=True)
    there = {(row["strategy"], int(row["seed"])) for row in read(path)}
    for name, seed in wanted:
        if (name, seed) in there:
            continue
        row = search(name, seed)
        new = not path.exists()
        with path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(row), lineterminator="\n")
            if new:
                writer.writeheader()
            writer.writerow(row)


def read(path: Path) -> Iterator[dict[str, str]]:
    """The rows of a file of results."""
    if path.exists():
        with path.open(newline="", encoding="utf-8") as file:
            yield from csv.DictReader(file)


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", choices=["nasbench201", "synthetic", "surrogate", "report"])
    parser.add_argument("--table", type=Path, help="file of the table or of the scored cells")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the results")
    parser.add_argument("--only", nargs="*", help="strategies, by the file of their settings")
    parser.add_argument("--repetitions", type=int, help="repetitions of each strategy")
    arguments = parser.parse_args()
    if arguments.study in ("nasbench201", "surrogate") and arguments.table is None:
        parser.error(f"{arguments.study} needs --table")
    torch.set_num_threads(1)
    path = arguments.results / f"strategies_{arguments.study}.csv"
    if arguments.study == "report":
        studies = ("nasbench201", "synthetic", "surrogate")
        write_report(arguments.results, {one: list(read(path.with_name(f"strategies_{one}.csv"))) for one in studies})
    elif arguments.study == "nasbench201":
        table = Table(arguments.table)
        counts = {name: arguments.repetitions or ON_TABLE[name] for name in arguments.only or ON_TABLE}
        wanted = [(name, seed) for name, count in counts.items() for seed in range(count)]
        fill(path, wanted, lambda name, seed: on_table(table, name, seed))
    else:
        seeds = range(arguments.repetitions or SEEDS)
        wanted = [(name, seed) for name in arguments.only or ON_CELLS for seed in seeds]
        surrogate = Surrogate(arguments.table) if arguments.study == "surrogate" else None
        fill(path, wanted, lambda name, seed: on_cells(surrogate or Synthetic(seed), name, seed))


if __name__ == "__main__":
    main()
