"""task=strategy: a search without gradients."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Mapping
from typing import Any

from darts_pl import atomic
from darts_pl.config import Config, flatten
from darts_pl.errors import UserError
from darts_pl.genotype import KINDS
from darts_pl.interruption import Interrupted
from darts_pl.records import RunFolder
from darts_pl.records.folder import Summary
from darts_pl.report import save_cells
from darts_pl.spaces import SPACES
from darts_pl.strategies import EVALUATORS, CachedEvaluator, Encoding, best_row, build_strategy, race
from darts_pl.strategies.race import HISTORY, Row
from darts_pl.tasks.execution.context import Context
from darts_pl.tasks.search import table_summary

#: Columns of `metrics.csv`: what was spent, the score of the question, and the best score so far.
COLUMNS = ("evaluations", "simulated_seconds", "seconds", "strategy/score", "strategy/best_score")


def strategy(context: Context) -> Summary:
    """Ask, evaluate and tell until the budget is used up, then write the best genotype; returns the summary.

    The folder receives `history.jsonl` and `strategy.json`, from which resume=true continues. No data are opened.

    Raises:
        UserError: if the budget has no limit, the evaluator does not know the space, the folder holds another
            search, or no evaluation succeeded.
    """
    config, folder, started = context.config, context.folder, time.monotonic()
    config.budget.require_limit()
    encoding = encoding_of(config)
    evaluate = EVALUATORS.build(config.evaluator, SPACES.get(config.search.space), encoding)
    search = build_strategy(config.strategy.name, encoding, config.strategy, config.seed)
    rows: list[Row] = []
    try:
        history = race(
            search,
            # A repeated question costs its seconds again, as in the published runs on NAS-Bench-201. Otherwise a
            # strategy that keeps asking for one genotype would never use up its simulated seconds.
            CachedEvaluator(evaluate, charge_repeats=True),
            config.budget,
            folder.path,
            identity=_identity(config, context.resolved),
            on_row=rows.append,
        )
    except Interrupted as interruption:
        if rows:
            _write_metrics(rows, folder)
            interruption.saved = folder.path / HISTORY
        raise
    _write_metrics(history, folder)
    best = best_row(history)
    if best is None:
        raise UserError(f"task=strategy: no evaluation succeeded; {folder.path / HISTORY} has the reasons")
    genotype = encoding.decode(best["integers"])
    summary: Summary = {
        "task": "strategy",
        "seed": config.seed,
        "strategy": config.strategy.name,
        "evaluator": config.evaluator.name,
        "genotype": str(genotype),
        "strategy/score": float(best["scores"][0]),
        "strategy/best_evaluation": int(best["evaluations"]),
        "strategy/evaluations": len(history),
        "strategy/repeated": sum(row["repeated"] for row in history),
        "strategy/failures": sum(row["scores"] is None for row in history),
        "strategy/simulated_seconds": round(history[-1]["simulated_seconds"], 3),
        **table_summary(genotype),
        "seconds": round(time.monotonic() - started, 3),
    }
    folder.write_genotype(genotype)
    save_cells(genotype, folder.path)
    folder.write_summary(summary)
    return summary


def encoding_of(config: Config) -> Encoding:
    """The decisions of the search space that `search` describes."""
    space = SPACES.get(config.search.space)
    cells = space.cells(config.search.candidates, config.search.nodes)
    return Encoding(cells, every_edge=KINDS.get(space.kind).inputs_per_node is None)


def _identity(config: Config, resolved: Mapping[str, Any]) -> dict[str, Any]:
    """What determines the questions and their answers."""
    search = {name: getattr(config.search, name) for name in ("space", "candidates", "nodes")}
    sections = {"search": search, "strategy": resolved["strategy"], "evaluator": resolved["evaluator"]}
    return {"seed": config.seed, **flatten(sections)}


def _write_metrics(history: list[Row], folder: RunFolder) -> None:
    """Write `metrics.csv`, one row per question; the scores of a failure are left empty."""
    text, best = io.StringIO(), None
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    for row in history:
        best = best_row([row] if best is None else [best, row])
        scores = [None if one is None or one["scores"] is None else one["scores"][0] for one in (row, best)]
        table.writerow([row["evaluations"], row["simulated_seconds"], row["seconds"], *scores])
    atomic.write(folder.metrics, text.getvalue())
