"""Further objectives of a search without gradients: the size and the latency of the final network, to be minimized."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from darts_pl import atomic
from darts_pl.config import Config
from darts_pl.errors import UserError
from darts_pl.genotype import Genotype
from darts_pl.latency import LatencyTable, milliseconds
from darts_pl.problems import open_problem
from darts_pl.registry import unknown_name
from darts_pl.spaces import Space
from darts_pl.strategies import Encoding, Evaluation, Evaluator, pareto_front
from darts_pl.strategies.race import Row
from darts_pl.strategies.strategy import Question

#: File with the genotypes that no other one beats in every objective.
FRONT = "pareto.csv"

#: What can be minimized.
COSTS = ("parameters", "multiply_adds", "latency_ms")

Cost = Callable[[Genotype], float]


class CostEvaluator:
    """An evaluator with further scores: the costs of the final network with a minus sign.

    Args:
        evaluate: gives the first score.
        costs: by name.
    """

    def __init__(self, evaluate: Evaluator, costs: Mapping[str, Cost]) -> None:
        self.evaluate, self.costs = evaluate, costs

    def __getattr__(self, name: str) -> Any:
        """What the evaluator behind it has."""
        return getattr(self.__dict__["evaluate"], name)

    def __call__(self, question: Question) -> Evaluation:
        found = self.evaluate(question)
        if found.scores is None:
            return found
        costs = {name: cost(question.genotype) for name, cost in self.costs.items()}
        scores = (*found.scores, *(-value for value in costs.values()))
        return found._replace(scores=scores, facts={**found.facts, **costs})


def with_costs(evaluate: Evaluator, config: Config, space: Space) -> Evaluator:
    """The evaluator with the costs that `task.costs` names; the evaluator itself where it names none.

    Args:
        evaluate: gives the first score.
        config: of the command.
        space: of the genotypes.

    Raises:
        UserError: if a cost is not known for these networks.
    """
    names = getattr(config.task, "costs", None) or []
    if not names:
        return evaluate
    for name in names:
        if name not in COSTS:
            raise UserError(f"task.costs: {unknown_name('cost', name, COSTS)}")
    return CostEvaluator(evaluate, {name: _cost(name, evaluate, config, space) for name in names})


def _cost(name: str, evaluate: Evaluator, config: Config, space: Space) -> Cost:
    if name == "latency_ms":
        if config.task.latency is None:
            raise UserError("task.costs=[latency_ms] needs task.latency=RUN, the folder of a run of task=latency")
        return _latency(config.task.latency, space)
    sizes = getattr(evaluate, "sizes", None)
    size = open_problem(config).size if sizes is None else sizes

    def of(genotype: Genotype) -> float:
        value = getattr(size(genotype), name)
        if value is None:
            raise UserError(f"task.costs={name}: nobody counts them for such networks; use task.costs=[parameters]")
        return float(value)

    return of


def _latency(run: str, space: Space) -> Cost:
    with _naming_our_key():
        table = LatencyTable.read(run)
        table.check_space(space)

    def of(genotype: Genotype) -> float:
        with _naming_our_key():
            return milliseconds(table.predict(genotype))

    return of


@contextmanager
def _naming_our_key() -> Iterator[None]:
    """Messages about the table name the key of this command instead of that of a selection rule."""
    try:
        yield
    except UserError as error:
        raise UserError(str(error).replace("select.latency", "task.latency", 1)) from None


def write_front(history: Sequence[Row], encoding: Encoding, names: Sequence[str], folder: Path) -> int:
    """Write `pareto.csv`, the best first score first; returns how many genotypes it has.

    Args:
        history: of the search.
        encoding: of its genotypes.
        names: of the costs.
        folder: of the run.
    """
    found: dict[tuple[int, ...], list[float]] = {}
    for row in history:
        if row["scores"] is not None:
            found.setdefault(tuple(row["integers"]), row["scores"])
    genotypes, scores = list(found), list(found.values())
    front = sorted(pareto_front(scores), key=lambda index: -scores[index][0])
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["genotype", "score", *names])
    for index in front:
        table.writerow([str(encoding.decode(genotypes[index])), scores[index][0], *(-one for one in scores[index][1:])])
    atomic.write(folder / FRONT, text.getvalue())
    return len(front)
