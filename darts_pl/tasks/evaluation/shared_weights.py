"""evaluator=shared_weights: genotypes are scored with the weights of a search, or of a training by single paths."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from copy import copy
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from darts_pl.errors import UserError
from darts_pl.modules import SearchModule
from darts_pl.problems import Problem
from darts_pl.records.folder import Summary
from darts_pl.records.run_identity import difference
from darts_pl.selection import Trials, one_path
from darts_pl.settings import at_least, between, setting
from darts_pl.spaces import Space
from darts_pl.strategies import EVALUATORS, Encoding, Evaluation, Strategy
from darts_pl.strategies.strategy import Question
from darts_pl.tasks.evaluation.path_training import PathTraining
from darts_pl.tasks.execution.context import Context
from darts_pl.tasks.execution.searched import Searched, find_searched, refuse_unfinished


@dataclass(frozen=True, kw_only=True)
class SharedWeightsEvaluatorSettings:
    """Shared weights: those of a finished search, or those that the command trains by single paths."""

    run: str | None = setting("folder of the finished search whose weights are shared; null = they are trained")
    epochs: int = setting("epochs of the training by single paths, where there is no run", at_least(1))
    fraction: float = setting("fraction of the batches of the valid split per genotype", between(0, 1, with_low=False))


@EVALUATORS.register("shared_weights", settings=SharedWeightsEvaluatorSettings)
class SharedWeightsEvaluator:
    """Scores a genotype with the weights of a supernet, as `select=shared_weights` does: mixing weight 1 for each of
    its operations, all else 0, on the valid split of that search, with the statistics of each batch in BatchNorm.

    The score is the accuracy, or for text the perplexity with a minus sign. With `run` data and sizes are those of the
    search. Without it the weights of the supernet that `search` describes are trained first, by single paths.

    Args:
        settings: which search, or for how long to train.
        space: of the genotypes.
        encoding: of the genotypes that will be asked.
        context: of the command.

    Raises:
        UserError: if there is no such search, it is not finished, it is one in another space, or data and settings do
            not fit each other.
    """

    simulates = False
    objectives = 1
    takes_epochs = False

    def __init__(
        self, settings: SharedWeightsEvaluatorSettings, space: Space, encoding: Encoding, context: Context
    ) -> None:
        self._valid_samples: int | None = None
        self._fraction = settings.fraction
        self._training: PathTraining | None = None
        #: What the scores depend on beside the settings of the evaluator.
        self.identity: Mapping[str, Any]
        if settings.run is None:
            self._training = PathTraining(context, settings.epochs, encoding)
            self.identity = self._training.identity
            return
        searched = _finished_search(settings.run, context)
        self._open(searched.module, searched.batches, searched.problem, searched.config.seed)
        self.identity = {"checkpoint": searched.checksum}

    def prepare(self, strategy: Strategy) -> None:
        """Train the shared weights where there is no run, with paths that the strategy draws if it shares weights."""
        if self._training is not None:
            self._training.run(strategy)
            training = self._training
            self._open(training.module, training.batches, training.problem, training.context.config.seed)

    def _open(self, module: SearchModule, batches: Callable[[], Iterable[Any]], problem: Problem, seed: int) -> None:
        """Score with the supernet of `module` from now on, on the first batches of the valid split."""
        count = None if self._fraction == 1 else math.ceil(self._fraction * sum(1 for _ in batches()))
        self._module, self._batches = module, lambda: islice(batches(), count)
        self._trials = Trials(module.supernet, self._batches, problem.count, seed=seed)

    def costs_of_training(self) -> Summary:
        """What the training of the shared weights cost, for the summary."""
        return {} if self._training is None else self._training.costs

    def __call__(self, question: Question) -> Evaluation:
        """The score with the shared weights.

        Raises:
            UserError: if the question says for how many epochs to train.
        """
        if question.epochs is not None:
            raise UserError(
                f"evaluator=shared_weights has no scores after {question.epochs} epochs, as this strategy asks; "
                "use evaluator=train"
            )
        started, supernet = time.monotonic(), self._module.supernet
        mixing = one_path(supernet.space, question.genotype, next(iter(supernet.alphas.values())))
        found = self._trials.score(mixing)
        seconds = round(time.monotonic() - started, 3)
        if found.accuracy is not None:
            if self._valid_samples is None:
                self._valid_samples = sum(len(batch[1]) for batch in self._batches())
            facts = {"seconds": seconds, "valid_loss": found.loss, "valid_samples": self._valid_samples}
            return Evaluation((found.accuracy,), facts=facts)
        perplexity = math.exp(min(found.loss, 700.0))
        return Evaluation((-perplexity,), facts={"seconds": seconds, "valid_perplexity": perplexity})


def _finished_search(run: str, context: Context) -> Searched:
    """The search in the folder `run`.

    Raises:
        UserError: if there is none, it is not finished, or it is one in another space.
    """
    config = copy(context.config)
    config.run = run
    try:
        refuse_unfinished(Path(run))
        searched = find_searched(replace(context, config=config), paths=True)
    except UserError as error:
        text = str(error)
        raise UserError(f"evaluator.{text}" if text.startswith("run=") else text) from None
    ours, theirs = (
        {f"search.{name}": getattr(one.search, name) for name in ("space", "nodes", "candidates")}
        for one in (context.config, searched.config)
    )
    other = difference(theirs, ours)
    if other is not None:
        raise UserError(f"evaluator.run={run}: a search with {other}; give the settings of that search")
    return searched
