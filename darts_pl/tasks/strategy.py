"""task=strategy: a search without gradients; task=random: the same with uniform draws."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from darts_pl.config import Config, flatten
from darts_pl.errors import UserError
from darts_pl.genotype import KINDS
from darts_pl.interruption import Interrupted
from darts_pl.records.folder import Summary
from darts_pl.report import save_cells
from darts_pl.runs import build_loggers, log_summary
from darts_pl.spaces import SPACES
from darts_pl.strategies import EVALUATORS, CachedEvaluator, Encoding, best_row, build_strategy, race
from darts_pl.strategies.race import HISTORY
from darts_pl.tasks.evaluation import shared_weights as _shared_weights
from darts_pl.tasks.evaluation import training as _training
from darts_pl.tasks.evaluation import zero_cost as _zero_cost
from darts_pl.tasks.evaluation.progress import StrategyProgress
from darts_pl.tasks.evaluation.ranking import score_summary, write_ranking
from darts_pl.tasks.execution.context import Context
from darts_pl.tasks.search import table_summary

# Imported for the evaluators that they register.
assert _shared_weights
assert _training
assert _zero_cost


def strategy(context: Context) -> Summary:
    """Ask, evaluate and tell until the budget is used up, then write the best genotype; returns the summary.

    The folder receives `history.jsonl` and `strategy.json`, from which resume=true continues, `metrics.csv` and
    `ranking.csv`. The evaluator alone opens data.

    Raises:
        UserError: if the budget has no limit, the evaluator does not fit the space or the data, the folder holds
            another search, or no evaluation succeeded.
    """
    config, folder, started = context.config, context.folder, time.monotonic()
    config.budget.require_limit()
    encoding = encoding_of(config)
    evaluate = EVALUATORS.build(config.evaluator, SPACES.get(config.search.space), encoding, context)
    if not getattr(evaluate, "simulates", True):
        config.budget.refuse_simulation()  # before the first evaluation, which may be a long one
    search = build_strategy(config.strategy.name, encoding, config.strategy, config.seed)
    loggers = build_loggers(config, folder, context.resolved, config.task.name)
    progress = StrategyProgress(config, folder, loggers)
    try:
        history = race(
            search,
            # A repeated question costs its seconds again, as in the published runs on NAS-Bench-201. Otherwise a
            # strategy that keeps asking for one genotype would never use up its simulated seconds.
            CachedEvaluator(evaluate, charge_repeats=True),
            config.budget,
            folder.path,
            identity=_identity(config, context.resolved, getattr(evaluate, "identity", {})),
            on_row=progress,
        )
    except Interrupted as interruption:
        if progress.rows:
            progress.write()
            interruption.saved = interruption.saved or folder.path / HISTORY
        raise
    progress.write()
    best = best_row(history)
    if best is None:
        raise UserError(f"task={config.task.name}: no evaluation succeeded; {folder.path / HISTORY} has the reasons")
    genotype = encoding.decode(best["integers"])
    summary: Summary = {
        "task": config.task.name,
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
        **score_summary(history, best),
        **table_summary(genotype),
        # With the evaluations of earlier runs, where this one was continued.
        "seconds": round(max(history[-1]["seconds"], time.monotonic() - started), 3),
    }
    folder.write_genotype(genotype)
    save_cells(genotype, folder.path)
    write_ranking(history, encoding, folder.path)
    folder.write_summary(summary)
    log_summary(loggers, summary)
    return summary


def encoding_of(config: Config) -> Encoding:
    """The decisions of the search space that `search` describes."""
    space = SPACES.get(config.search.space)
    cells = space.cells(config.search.candidates, config.search.nodes)
    return Encoding(cells, every_edge=KINDS.get(space.kind).inputs_per_node is None)


def _identity(config: Config, resolved: Mapping[str, Any], others: Mapping[str, Any]) -> dict[str, Any]:
    """What determines the questions and their answers; `others`: what the evaluator adds."""
    search = {name: getattr(config.search, name) for name in ("space", "candidates", "nodes")}
    sections = {"search": search, "strategy": resolved["strategy"], "evaluator": resolved["evaluator"]}
    return {"seed": config.seed, **flatten(sections), **others}
