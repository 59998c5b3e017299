"""Evaluators: the scores of a question, what they cost, and why there are none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from darts_pl.errors import UserError
from darts_pl.strategies.encoding import Encoding, Integers
from darts_pl.strategies.strategy import Question


class Evaluation(NamedTuple):
    """What an evaluator found.

    Args:
        scores: greater is better; the first one counts. None = the evaluation failed.
        simulated_seconds: what the evaluation would have cost, where it is only looked up.
        failure: why there are no scores.
        repeated: the genotype was evaluated before.
        facts: what else is known, as values that JSON holds: what the evaluation cost ("seconds", "steps" and
            "images" or "words"), the size of the network, other scores.
    """

    scores: tuple[float, ...] | None
    simulated_seconds: float = 0.0
    failure: str | None = None
    repeated: bool = False
    facts: Mapping[str, Any] = MappingProxyType({})


#: Scores one question. No evaluator reads the test split.
Evaluator = Callable[[Question], Evaluation]

#: Scores several questions, whose genotypes differ; the evaluations in the order of the questions.
BatchEvaluator = Callable[[Sequence[Question]], Sequence[Evaluation]]

#: What an evaluation may raise without ending the search: a network that diverges or needs too much memory.
#: Any other error is a fault of the program.
FAILURES = (ArithmeticError, RuntimeError, MemoryError)


class TableEvaluator:
    """Scores from arrays, for spaces whose genotypes are all trained already.

    Args:
        encoding: the decisions of the space.
        integers: [rows, decisions], the genotypes of the table.
        scores: for each number of epochs in the table, scores [rows] or [rows, objectives].
        epoch_seconds: [rows], seconds per epoch.

    Raises:
        UserError: if two rows have the same genotype, or shapes do not agree.
    """

    def __init__(
        self,
        encoding: Encoding,
        integers: np.ndarray,
        scores: Mapping[int, np.ndarray],
        epoch_seconds: np.ndarray,
    ) -> None:
        rows = len(integers)
        if integers.shape != (rows, len(encoding)):
            raise UserError(f"table: rows have {integers.shape[1:]} integers; the space has {len(encoding)} decisions")
        if not scores or any(len(column) != rows for column in [*scores.values(), epoch_seconds]):
            raise UserError(f"table: every column must have {rows} rows, and there must be one of scores")
        self.scores = {epochs: column.reshape(rows, -1).astype(float) for epochs, column in sorted(scores.items())}
        self.epoch_seconds = epoch_seconds.astype(float)
        self._row = {tuple(one): row for row, one in enumerate(integers.tolist())}
        if len(self._row) < rows:
            raise UserError(f"table: {rows - len(self._row)} rows repeat the genotype of another row")
        self._sizes = encoding.sizes
        self._order = np.argsort(self._codes(integers))
        self._sorted = self._codes(integers)[self._order]

    def _codes(self, integers: np.ndarray) -> np.ndarray:
        return np.ravel_multi_index(tuple(integers.T.astype(np.int64)), self._sizes)

    def rows(self, integers: np.ndarray) -> np.ndarray:
        """The rows [genotypes] of many genotypes [genotypes, decisions] at once.

        Raises:
            KeyError: if one is not in the table.
        """
        codes = self._codes(integers)
        places = np.minimum(np.searchsorted(self._sorted, codes), len(self._sorted) - 1)
        if not (self._sorted[places] == codes).all():
            raise KeyError("a genotype is not in the table")
        return self._order[places]

    def __call__(self, question: Question) -> Evaluation:
        """Scores after the question's epochs, or after the fewest epochs of the table.

        Raises:
            UserError: if the table has no scores after so many epochs.
        """
        epochs = next(iter(self.scores)) if question.epochs is None else question.epochs
        if epochs not in self.scores:
            known = ", ".join(map(str, self.scores))
            raise UserError(f"table: no scores after {epochs} epochs; it has those after {known}")
        row = self._row.get(question.integers)
        if row is None:
            return Evaluation(None, failure="not in the table")
        return Evaluation(tuple(self.scores[epochs][row].tolist()), epochs * float(self.epoch_seconds[row]))


class CachedEvaluator:
    """Evaluates each (genotype, epochs) once, and turns what fails into an evaluation without scores.

    Args:
        evaluate: the evaluator behind it.
        charge_repeats: a repeated question costs its simulated seconds again, as in the published runs
            on NAS-Bench-201.
        several: evaluates several questions at once, such as in parallel; None = they are evaluated one by one.
    """

    def __init__(
        self, evaluate: Evaluator, *, charge_repeats: bool = False, several: BatchEvaluator | None = None
    ) -> None:
        self.evaluate, self.charge_repeats, self.several = evaluate, charge_repeats, several
        self.known: dict[tuple[Integers, int | None], Evaluation] = {}

    def __call__(self, question: Question) -> Evaluation:
        key = (question.integers, question.epochs)
        if key in self.known:
            return self._repeated(key)
        try:
            found = self.evaluate(question)
        except FAILURES as error:
            found = Evaluation(None, failure=f"{type(error).__name__}: {error}")
        return self._keep(key, found)

    def many(self, questions: Sequence[Question]) -> list[Evaluation]:
        """The evaluations of several questions, in their order; those of new genotypes at once, where the evaluator
        behind it can."""
        if self.several is None:
            return [self(question) for question in questions]
        new: dict[tuple[Integers, int | None], Question] = {}
        for question in questions:
            key = (question.integers, question.epochs)
            if key not in self.known:
                new.setdefault(key, question)
        fresh = {}
        if new:
            found = zip(new, self.several(list(new.values())), strict=True)
            fresh = {key: self._keep(key, evaluation) for key, evaluation in found}
        answers = []
        for question in questions:
            key = (question.integers, question.epochs)
            answers.append(fresh.pop(key) if key in fresh else self._repeated(key))
        return answers

    def _keep(self, key: tuple[Integers, int | None], found: Evaluation) -> Evaluation:
        if found.scores is not None and not np.isfinite(found.scores).all():
            found = found._replace(scores=None, failure=f"scores {list(found.scores)}")
        self.known[key] = found
        return found

    def _repeated(self, key: tuple[Integers, int | None]) -> Evaluation:
        seconds = self.known[key].simulated_seconds if self.charge_repeats else 0.0
        return self.known[key]._replace(simulated_seconds=seconds, repeated=True)

    def remember(self, question: Question, evaluation: Evaluation) -> None:
        """Take in an evaluation of an earlier run."""
        self.known.setdefault((question.integers, question.epochs), evaluation)
