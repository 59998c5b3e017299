"""evaluator=train: every genotype is trained from scratch for a short time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random
from typing import Any

from darts_pl.errors import UserError
from darts_pl.modules.running import DivergedError
from darts_pl.problems import open_problem
from darts_pl.records.contents import SAMPLES
from darts_pl.runs.data_identity import keep_data_identity
from darts_pl.settings import at_least, setting
from darts_pl.spaces import Space
from darts_pl.strategies import EVALUATORS, Encoding, Evaluation
from darts_pl.strategies.race import HISTORY
from darts_pl.strategies.strategy import Question
from darts_pl.tasks.execution.context import Context
from darts_pl.tasks.execution.short_training import halves_identity, train_on_halves


@dataclass(frozen=True, kw_only=True)
class TrainEvaluatorSettings:
    """A short training of every genotype."""

    epochs: int = setting("epochs of a training, where the strategy does not say it", at_least(1))


@EVALUATORS.register("train", settings=TrainEvaluatorSettings)
class TrainEvaluator:
    """Trains the network of a genotype as `train` says on the train split of the search, and scores it on the valid
    split: accuracy, or for text the perplexity with a minus sign.

    Question n has the folder `samples/n`, in which a stopped training continues.

    Args:
        settings: how long.
        space: of the genotypes.
        encoding: of the genotypes that will be asked.
        context: of the command.

    Raises:
        UserError: if the space has no final network, or data and settings do not fit each other.
    """

    simulates = False
    objectives = 1

    def __init__(self, settings: TrainEvaluatorSettings, space: Space, encoding: Encoding, context: Context) -> None:
        config = context.config
        if config.hardware.devices not in (1, "1"):
            raise UserError(f"hardware.devices={config.hardware.devices}: evaluator=train uses one; use devices=1")
        self.settings, self.context = settings, context
        #: What the scores depend on beside the genotype and the settings of the evaluator.
        self.identity = {
            key: value for key, value in halves_identity(context).items() if key not in ("seed", "train.epochs")
        }
        problem = open_problem(config)
        example = encoding.decode(encoding.draw(Random(0)))
        problem.check_genotype(example)
        self._data = problem.training(example, halves=True).data  # what does not fit is refused before any question
        self._samples = problem.samples

    def __call__(self, question: Question) -> Evaluation:
        """The score after the question's epochs, or after those of the settings; none if the training diverged.

        Raises:
            UserError: if the question's folder holds another training, or earlier questions had other data.
        """
        folder, name = self.context.folder.path, f"{question.number:03d}"
        keep_data_identity(folder, self._data, continues=(folder / HISTORY).is_file(), writes=True)
        epochs = question.epochs or self.settings.epochs
        context = self.context.for_subfolder(SAMPLES).for_subfolder(name)
        try:
            found: dict[str, Any] = train_on_halves(context, question.genotype, epochs=epochs, title=f"sample {name}")
        except DivergedError as error:
            return Evaluation(None, failure=" ".join(str(error).splitlines()[0].split()))
        kept = ("epochs", "parameters", "multiply_adds", "valid_samples", "steps", self._samples, "seconds")
        facts = {key: found[key] for key in kept if key in found}
        facts |= {key: value for key, value in found.items() if key.startswith("retrain/") and "valid" in key}
        finite = {key: value for key, value in facts.items() if not isinstance(value, float) or math.isfinite(value)}
        return Evaluation((found["score"],), facts=finite)
