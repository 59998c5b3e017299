"""task=strategy: a search without gradients; task=random: the same with uniform draws."""

from __future__ import annotations

from darts_pl.records.folder import Summary
from darts_pl.strategies import CachedEvaluator
from darts_pl.tasks.evaluation.all_evaluators import build_evaluator
from darts_pl.tasks.evaluation.strategy_run import StrategyRun, identity_of, run_strategy, strategy_and_budget
from darts_pl.tasks.execution.context import Context


def strategy(context: Context) -> Summary:
    """Ask, evaluate and tell until the budget is used up, then write the best genotype; returns the summary.

    The folder receives `history.jsonl` and `strategy.json`, from which resume=true continues, `metrics.csv` and
    `ranking.csv`. The evaluator alone opens data.

    Raises:
        UserError: if the budget has no limit, the evaluator does not fit the space, the data or the strategy, the
            folder holds another search, or no evaluation succeeded.
    """
    config = context.config
    trains = config.evaluator.name == "shared_weights" and config.evaluator.run is None
    search, budget = strategy_and_budget(config, trains=trains)
    evaluate = build_evaluator(context, search.encoding)
    prepare = getattr(evaluate, "prepare", None)
    run = StrategyRun(
        search,
        # A repeated question costs its seconds again, as in the published runs on NAS-Bench-201. Otherwise a
        # strategy that keeps asking for one genotype would never use up its simulated seconds.
        CachedEvaluator(evaluate, charge_repeats=True),
        budget,
        identity_of(context, getattr(evaluate, "identity", {})),
        prepare=None if prepare is None else lambda: prepare(search),
        costs=getattr(evaluate, "costs_of_training", dict),
    )
    return run_strategy(context, run)
