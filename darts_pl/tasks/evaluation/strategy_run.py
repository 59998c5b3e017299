"""A search without gradients in a run's folder, whoever evaluates its questions."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from darts_pl.config import Config, flatten
from darts_pl.errors import UserError
from darts_pl.genotype import KINDS
from darts_pl.interruption import Interrupted
from darts_pl.records.folder import Summary
from darts_pl.report import save_cells
from darts_pl.runs import build_loggers, log_summary
from darts_pl.spaces import SPACES
from darts_pl.strategies import (
    EVALUATORS,
    Budget,
    CachedEvaluator,
    Encoding,
    SharingStrategy,
    Strategy,
    best_row,
    build_strategy,
    race,
)
from darts_pl.strategies.race import HISTORY, Row
from darts_pl.tasks.evaluation.costs import write_front
from darts_pl.tasks.evaluation.progress import StrategyProgress
from darts_pl.tasks.evaluation.ranking import score_summary, write_ranking
from darts_pl.tasks.execution.context import Context
from darts_pl.tasks.search import table_summary


@dataclass(frozen=True)
class StrategyRun:
    """What a search without gradients consists of.

    Args:
        strategy: newly built.
        answers: evaluates its questions.
        budget: with a limit.
        identity: what determines questions and answers, by dotted key.
        batch: how many questions are open at once.
        prepare: called before the first question.
        costs: gives what preparing has cost, for the summary.
    """

    strategy: Strategy
    answers: CachedEvaluator
    budget: Budget
    identity: Mapping[str, Any]
    batch: int = 1
    prepare: Callable[[], None] | None = None
    costs: Callable[[], Summary] = dict


def run_strategy(context: Context, run: StrategyRun) -> Summary:
    """Ask, evaluate and tell until the budget is used up, then write the best genotype; returns the summary.

    Args:
        context: of the command.
        run: what is asked and who answers.

    Raises:
        UserError: if the folder holds another search, or no evaluation succeeded.
    """
    config, folder, started = context.config, context.folder, time.monotonic()
    loggers = build_loggers(config, folder, context.resolved, config.task.name, context.group)
    progress = StrategyProgress(run.budget, config.task.name, folder, loggers)
    try:
        if run.prepare is not None:
            run.prepare()
        costs = run.costs()
        progress.prepared = float(costs.get("shared_weights/seconds") or 0.0)
        history = race(
            run.strategy,
            run.answers,
            run.budget,
            folder.path,
            batch=run.batch,
            identity=run.identity,
            on_row=progress,
            spent=progress.prepared,
        )
    except Interrupted as interruption:
        if progress.rows:
            progress.write()
            interruption.saved = interruption.saved or folder.path / HISTORY
        raise
    progress.write()
    summary = _summary(config, run.strategy.encoding, history, folder.path / HISTORY) | costs
    write_ranking(history, run.strategy.encoding, folder.path)
    names = getattr(config.task, "costs", None) or []
    if names:
        summary["strategy/pareto_front"] = write_front(history, run.strategy.encoding, names, folder.path)
    # With the evaluations of earlier runs, where this one was continued.
    summary["seconds"] = round(max(history[-1]["seconds"], time.monotonic() - started), 3)
    genotype = run.strategy.encoding.decode(_best(config, history, folder.path / HISTORY)["integers"])
    folder.write_genotype(genotype)
    save_cells(genotype, folder.path)
    folder.write_summary(summary)
    log_summary(loggers, summary)
    return summary


def _best(config: Config, history: list[Row], path: Any) -> Row:
    best = best_row(history)
    if best is None:
        raise UserError(f"task={config.task.name}: no evaluation succeeded; {path} has the reasons")
    return best


def _summary(config: Config, encoding: Encoding, history: list[Row], path: Any) -> Summary:
    best = _best(config, history, path)
    genotype = encoding.decode(best["integers"])
    return {
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
    }


def encoding_of(config: Config) -> Encoding:
    """The decisions of the search space that `search` describes."""
    space = SPACES.get(config.search.space)
    cells = space.cells(config.search.candidates, config.search.nodes)
    return Encoding(cells, every_edge=KINDS.get(space.kind).inputs_per_node is None)


def strategy_and_budget(config: Config, *, trains: bool = False) -> tuple[Strategy, Budget]:
    """The strategy of the command, newly built, and its budget, refused where they do not fit the evaluator.

    Args:
        config: of the command.
        trains: whether the command trains shared weights.

    Raises:
        UserError: if there is no limit, one in simulated seconds that the evaluator does not simulate, or an evaluator
            whose answers the strategy cannot use.
    """
    strategy = build_strategy(config.strategy.name, encoding_of(config), config.strategy, config.seed)
    budget = _budget_of(config, strategy, trains=trains)
    evaluator = EVALUATORS.get(config.evaluator.name)
    _check_answers(config, strategy, evaluator)
    if not getattr(evaluator, "simulates", True):
        budget.refuse_simulation()
    return strategy, budget


def _budget_of(config: Config, strategy: Strategy, *, trains: bool = False) -> Budget:
    """The budget of the command. Without a limit it is the number of the final choice, where the strategy has trained
    shared weights.

    Args:
        config: of the command.
        strategy: that asks.
        trains: whether the command trains shared weights.

    Raises:
        UserError: if there is no limit.
    """
    budget: Budget = config.budget
    if trains and isinstance(strategy, SharingStrategy) and not budget.has_limit:
        return replace(budget, evaluations=strategy.choices)
    budget.require_limit()
    return budget


def _check_answers(config: Config, strategy: Strategy, evaluator: Any) -> None:
    """Refuse before the first question, whose answer may take long, an evaluator whose answers the strategy cannot use.

    Args:
        config: of the command; each of `task.costs` is one more score.
        strategy: that asks.
        evaluator: or its class; see `EVALUATORS` for what it may say of itself.

    Raises:
        UserError: if it gives another number of scores, or cannot follow the epochs of the questions.
    """
    if strategy.chooses_epochs and not getattr(evaluator, "takes_epochs", True):
        raise UserError(
            f"strategy={config.strategy.name} says for how many epochs to train, but "
            f"evaluator={config.evaluator.name} trains no genotype; use evaluator=train"
        )
    scores = getattr(evaluator, "objectives", None)
    if strategy.objectives is None or scores is None:
        return
    costs = len(getattr(config.task, "costs", None) or [])
    if scores + costs != strategy.objectives:
        raise UserError(
            f"strategy.objectives={strategy.objectives}: the evaluator gives {scores} and task.costs adds {costs}; use "
            f"strategy.objectives={scores + costs}, or name other costs, such as task.costs=[parameters]"
        )


def identity_of(context: Context, others: Mapping[str, Any]) -> dict[str, Any]:
    """What determines the questions and their answers, by dotted key.

    Args:
        context: of the command.
        others: what the evaluator adds.
    """
    config, resolved = context.config, context.resolved
    search = {name: getattr(config.search, name) for name in ("space", "candidates", "nodes")}
    sections = {"search": search, "strategy": resolved["strategy"], "evaluator": resolved["evaluator"]}
    costs = getattr(config.task, "costs", None)
    more = {"task.costs": list(costs), "task.latency": config.task.latency} if costs else {}
    return {"seed": config.seed, **flatten(sections), **more, **others}
