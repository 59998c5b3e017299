"""The registry of the evaluators that a command can choose, and the first of them: the table of the search space."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

from darts_pl.errors import UserError
from darts_pl.genotype import Genotype
from darts_pl.registry import Registry
from darts_pl.selection import Size
from darts_pl.settings import at_least, setting
from darts_pl.spaces import SPACES, Space
from darts_pl.strategies.encoding import Encoding
from darts_pl.strategies.evaluators import Evaluation, Evaluator
from darts_pl.strategies.strategy import Question

#: Evaluators by name; one is built from its settings, the space, the encoding of its genotypes, and the context of
#: the command, from which an evaluator that opens data or writes files takes what it needs. An evaluator may have an
#: `identity`: what its answers depend on beside its settings, by dotted key, as values that JSON holds; and on its
#: class `simulates`, False where its evaluations take real time only; `objectives`, the number of its scores; and
#: `takes_epochs`, False where it scores a genotype without training it for the epochs of a question.
EVALUATORS: Registry[type[Evaluator]] = Registry("evaluator")


@dataclass(frozen=True, kw_only=True)
class SpaceTableSettings:
    """The table of the search space."""

    epochs: int = setting("epochs of the training whose validation score counts; NAS-Bench-201: 12 or 200", at_least(1))


@EVALUATORS.register("table", settings=SpaceTableSettings)
class SpaceTable:
    """Looks up what the training of a genotype scored on validation images, and how many seconds it took.

    Args:
        settings: which training.
        space: whose table is read.
        encoding: of the genotypes that will be asked.
        context: not used; no data are opened.

    Raises:
        UserError: if the space has no table, or one without these genotypes or without such a training.
    """

    objectives = 1

    def __init__(self, settings: SpaceTableSettings, space: Space, encoding: Encoding, context: Any = None) -> None:
        if space.table is None:
            known = " or ".join(f"search={name}" for name in SPACES if SPACES.get(name).table is not None)
            raise UserError(
                f"evaluator=table with search.space={space.name}: there is no table of {space.adjective} genotypes; "
                f"use {known}"
            )
        example = encoding.decode(encoding.draw(Random(0)))
        if not space.table.covers(example):
            raise UserError(f"evaluator=table: the table does not have cells of this size, such as {example}")
        self.settings, self.table, self._space = settings, space.table, space
        self.table.validation(example, settings.epochs)

    def __call__(self, question: Question) -> Evaluation:
        """The score after the question's epochs, or after those of the settings.

        Raises:
            UserError: if the table has no trainings of so many epochs.
        """
        score, seconds = self.table.validation(question.genotype, question.epochs or self.settings.epochs)
        return Evaluation((score,), seconds)

    def sizes(self, genotype: Genotype) -> Size:
        """The size of the network whose training the table has."""
        return Size(*self._space.published_sizes(genotype)[self._space.name])
