"""The evaluator that a command chooses, from all of the package."""

from __future__ import annotations

from typing import Any

from darts_pl.spaces import SPACES
from darts_pl.strategies import EVALUATORS, Encoding
from darts_pl.tasks.evaluation import shared_weights as _shared_weights
from darts_pl.tasks.evaluation import training as _training
from darts_pl.tasks.evaluation import zero_cost as _zero_cost
from darts_pl.tasks.evaluation.costs import with_costs
from darts_pl.tasks.execution.context import Context

# Imported for the evaluators that they register.
assert _shared_weights
assert _training
assert _zero_cost


def build_evaluator(context: Context, encoding: Encoding) -> Any:
    """The evaluator of a command, with the costs that `task.costs` names.

    Args:
        context: of the command.
        encoding: of the genotypes that will be asked.

    Raises:
        UserError: if it does not fit the space or the data.
    """
    space = SPACES.get(context.config.search.space)
    evaluate = EVALUATORS.build(context.config.evaluator, space, encoding, context)
    return with_costs(evaluate, context.config, space)
