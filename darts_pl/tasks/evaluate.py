"""task=evaluate: one genotype, scored by an evaluator."""

from __future__ import annotations

import json
import time

from darts_pl import atomic
from darts_pl.errors import UserError
from darts_pl.records.folder import Summary
from darts_pl.strategies import CachedEvaluator
from darts_pl.strategies.strategy import Question
from darts_pl.tasks.evaluation.all_evaluators import build_evaluator
from darts_pl.tasks.evaluation.strategy_run import encoding_of
from darts_pl.tasks.execution.context import Context
from darts_pl.tasks.retrain import find_genotype

#: File with the whole evaluation, as a search without gradients reads it.
EVALUATION = "evaluation.json"


def evaluate(context: Context) -> Summary:
    """Score the genotype that the command names; returns the summary. An evaluation that fails, such as a training that
    diverges, leaves no score but its reason.

    Raises:
        UserError: if the genotype is not one of the space, or the evaluator does not fit the space or the data.
    """
    config, started = context.config, time.monotonic()
    encoding = encoding_of(config)
    if config.evaluator.name == "shared_weights" and config.evaluator.run is None:
        raise UserError(
            "evaluator.run is missing; task=evaluate trains no shared weights: give evaluator.run=FOLDER of a "
            "finished search"
        )
    genotype = find_genotype(config.genotype)
    question = Question(genotype, encoding.encode(genotype), config.task.epochs)
    found = CachedEvaluator(build_evaluator(context, encoding))(question)
    atomic.write(context.folder.path / EVALUATION, json.dumps(found._asdict() | {"facts": dict(found.facts)}) + "\n")
    summary: Summary = {
        "task": "evaluate",
        "seed": config.seed,
        "evaluator": config.evaluator.name,
        "genotype": str(genotype),
        "evaluate/score": None if found.scores is None else float(found.scores[0]),
        "evaluate/failure": found.failure,
        "evaluate/simulated_seconds": found.simulated_seconds,
        **{name: value for name, value in found.facts.items() if isinstance(value, (int, float, str))},
        "seconds": round(time.monotonic() - started, 3),
    }
    context.folder.write_summary(summary)
    return summary
