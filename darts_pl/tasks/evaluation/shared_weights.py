"""evaluator=shared_weights: genotypes are scored with the weights that a search has learned."""

from __future__ import annotations

import math
import time
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path

from darts_pl.errors import UserError
from darts_pl.records.run_identity import difference
from darts_pl.selection.one_path import one_path
from darts_pl.settings import setting
from darts_pl.spaces import Space
from darts_pl.strategies import EVALUATORS, Encoding, Evaluation
from darts_pl.strategies.strategy import Question
from darts_pl.tasks.execution.context import Context
from darts_pl.tasks.execution.searched import find_searched, refuse_unfinished


@dataclass(frozen=True, kw_only=True)
class SharedWeightsEvaluatorSettings:
    """The weights of a finished search."""

    run: str | None = setting("folder of the finished search whose weights are shared")


@EVALUATORS.register("shared_weights", settings=SharedWeightsEvaluatorSettings)
class SharedWeightsEvaluator:
    """Scores a genotype with the weights of a supernet, as `select=shared_weights` does: mixing weight 1 for each of
    its operations, all else 0, on the valid split of that search, with the statistics of each batch in BatchNorm.

    The score is the accuracy, or for text the perplexity with a minus sign. Data and sizes are those of the search.

    Args:
        settings: which search.
        space: of the genotypes.
        encoding: of the genotypes that will be asked.
        context: of the command.

    Raises:
        UserError: if there is no such search, it is not finished, or it is one in another space.
    """

    simulates = False

    def __init__(
        self, settings: SharedWeightsEvaluatorSettings, space: Space, encoding: Encoding, context: Context
    ) -> None:
        if settings.run is None:
            raise UserError("evaluator.run is missing; give evaluator.run=FOLDER of a finished search")
        config = copy(context.config)
        config.run = settings.run
        try:
            refuse_unfinished(Path(settings.run))
            searched = find_searched(replace(context, config=config))
        except UserError as error:
            text = str(error)
            raise UserError(f"evaluator.{text}" if text.startswith("run=") else text) from None
        ours, theirs = (
            {f"search.{name}": getattr(one.search, name) for name in ("space", "nodes", "candidates")}
            for one in (context.config, searched.config)
        )
        other = difference(theirs, ours)
        if other is not None:
            raise UserError(f"evaluator.run={settings.run}: a search with {other}; give the settings of that search")
        self._searched, self._trials = searched, searched.trials()
        self._valid_samples: int | None = None
        #: What the scores depend on beside the settings of the evaluator.
        self.identity = {"checkpoint": searched.checksum}

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
        started, supernet = time.monotonic(), self._searched.module.supernet
        mixing = one_path(supernet.space, question.genotype, next(iter(supernet.alphas.values())))
        found = self._trials.score(mixing)
        seconds = round(time.monotonic() - started, 3)
        if found.accuracy is not None:
            if self._valid_samples is None:
                self._valid_samples = sum(len(batch[1]) for batch in self._searched.batches())
            facts = {"seconds": seconds, "valid_loss": found.loss, "valid_samples": self._valid_samples}
            return Evaluation((found.accuracy,), facts=facts)
        perplexity = math.exp(min(found.loss, 700.0))
        return Evaluation((-perplexity,), facts={"seconds": seconds, "valid_perplexity": perplexity})
