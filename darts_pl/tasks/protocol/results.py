"""What the parts of a protocol have found: genotypes, scores, and the rows of its table."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from darts_pl.config import Config
from darts_pl.errors import UserError
from darts_pl.genotype import NONE, Genotype, parse
from darts_pl.records.job_record import read_summary
from darts_pl.report.protocol_rows import Cost, Measure, ProtocolRow
from darts_pl.report.published_results import published_results
from darts_pl.runs.data_identity import read_data_identity
from darts_pl.spaces import RELAXATIONS, SearchSpace
from darts_pl.tasks.protocol.costs import cost_of, metrics_of
from darts_pl.tasks.protocol.plan import RANDOM, SEARCHED, SHARED, Part, Plan
from darts_pl.tasks.protocol.settings import CHOICE, DERIVE, FINAL, SEARCH
from darts_pl.zoo import published


def found_genotype(plan: Plan, part: Part) -> Genotype:
    """The genotype that a part of the stage `choice` trains.

    Raises:
        UserError: if the search or the derivation that finds it is not finished.
    """
    if part.row == RANDOM:
        return plan.random_cell(part.number)
    finder = plan.parts(DERIVE, part.row)[part.number] if part.row in plan.rules else plan.search_of(part)
    return parse(str(finished(finder)["genotype"]))


def chosen_genotype(plan: Plan, row: str) -> Genotype:
    """The genotype that is trained fully: the published one, or the one with the best score on the valid split.

    Raises:
        UserError: if a short training of the row is not finished, or all of them failed.
    """
    if row in plan.config.task.genotypes:
        return published(row)
    scores = {part: finished(part).get("score") for part in plan.parts(CHOICE, row)}
    best = best_of(scores)
    if best is None:
        raise UserError(f"{next(iter(scores)).folder.parent}: no short training of {row} has a finite score")
    return found_genotype(plan, best)


def best_of(scores: Mapping[Any, float | None]) -> Any:
    """The key with the greatest score, the first one at ties; None where there is no score."""
    known = [key for key, score in scores.items() if score is not None]
    return max(known, key=lambda key: scores[key] or 0.0, default=None)


def finished(part: Part) -> Mapping[str, Any]:
    """The summary of a part.

    Raises:
        UserError: if it is not finished.
    """
    summary = read_summary(part.folder)
    if summary is None:
        raise UserError(f"{part.folder}: is not finished; run task.stage={part.stage} first")
    return summary


def rows_of(plan: Plan, measure: Measure) -> list[ProtocolRow]:
    """The rows of the table, as far as their parts are finished.

    Args:
        plan: of the protocol.
        measure: of the scores.
    """
    return [_row(plan, row, measure) for row in plan.rows]


def _row(plan: Plan, row: str, measure: Measure) -> ProtocolRow:
    task, sign = plan.config.task, 1 if measure.more_is_better else -1
    choices = _summaries(plan.parts(CHOICE, row))
    finals = _summaries(plan.parts(FINAL, row))
    raw = {part: summary.get("score") for part, summary in choices.items()}
    complete = len(choices) == len(plan.parts(CHOICE, row))
    best = best_of(raw) if complete else None
    own = plan.parts(SEARCH, row if row in plan.strategies else SEARCHED)
    searches = _summaries([*own, *plan.parts(DERIVE, row)]) if row in (SEARCHED, *plan.rules, *plan.strategies) else {}
    choice_cost, search_cost = _cost(choices, measure), _cost(searches, measure)
    if row == RANDOM:  # the short trainings are the search
        choice_cost, search_cost = Cost(), choice_cost
    of_zoo = row in task.genotypes
    return ProtocolRow(
        name=_name(plan, row),
        method=_method(plan, row),
        choice={part.seed: None if score is None else sign * score for part, score in raw.items()},
        valid_count=next((summary.get("valid_samples") for summary in choices.values()), None),
        finals={part.seed: float(summary[f"test/{measure.name}"]) for part, summary in finals.items()},
        test_count=next((_test_count(part.folder) for part in finals), None),
        chosen=None if best is None else best.seed,
        genotype=str(published(row)) if of_zoo else None if best is None else str(choices[best]["genotype"]),
        parameters=next((summary["parameters"] for summary in finals.values()), None),
        operations=_operations_of_zoo(row) if of_zoo else _operations(plan.cells),
        entropy_fall=_entropy_fall(
            [part.folder for part in searches if part.stage == SEARCH and row not in plan.strategies],
            plan.cells,
            plan.config,
        ),
        search=search_cost,
        selection=choice_cost,
        final=_cost(finals, measure),
    )


def _method(plan: Plan, row: str) -> str:
    if row in plan.config.task.genotypes:
        return "published cell"
    if row in plan.strategies:
        return "without gradients, shared weights"
    return "random" if row == RANDOM else "gradient-based"


def _name(plan: Plan, row: str) -> str:
    config = plan.config
    method = f"{config.method or 'own method'}, {config.order.name} order"
    if row == SEARCHED:
        return f"{method}, {config.select.name}"
    if row in plan.rules:
        return f"{method}, {row}"
    if row in plan.strategies:
        return f"{row.removesuffix(SHARED)} with shared weights, best of {config.task.strategy_evaluations}"
    return f"random, best of {plan.random_cells()}" if row == RANDOM else row


def _summaries(parts: Iterable[Part]) -> dict[Part, Mapping[str, Any]]:
    found = {part: read_summary(part.folder) for part in parts}
    return {part: summary for part, summary in found.items() if summary is not None}


def _cost(summaries: Mapping[Part, Mapping[str, Any]], measure: Measure) -> Cost:
    return cost_of({part.folder: summary for part, summary in summaries.items()}, measure.samples)


def _test_count(folder: Path) -> int | None:
    identity = read_data_identity(folder) or {}
    count = identity.get("test", {}).get("count")
    return count if isinstance(count, int) else None


def _operations(cells: SearchSpace) -> int:
    names = {name for cell in cells.cells.values() for edge in cell.candidates for name in edge}
    return len(names - {NONE})


def _operations_of_zoo(name: str) -> int | None:
    known = [one for table in ("cifar10", "ptb") for one in published_results(table) if one.genotype == name]
    return known[0].operations if known else None


def _entropy_fall(folders: Iterable[Path], cells: SearchSpace, config: Config) -> float | None:
    """How far the entropy of the mixing weights fell, from that of equal weights: mean over searches and cell types.

    Args:
        folders: of the searches.
        cells: the search space.
        config: of the searches; equal weights are those of its relaxation, of the candidates of its last stage.
    """
    relaxation = RELAXATIONS.build(config.relaxation)
    kept = getattr(config.stages, "keep", None) or [sys.maxsize]
    falls = []
    for folder in folders:
        last = (metrics_of(folder) or [{}])[-1]
        for name, cell in cells.cells.items():
            live = [min(len(edge), kept[-1]) for edge in cell.candidates]
            largest = sum(map(relaxation.equal_entropy, live)) / len(live)
            entropy = last.get(f"search/entropy_{name}")
            if entropy and largest > 0:
                falls.append(1 - float(entropy) / largest)
    return sum(falls) / len(falls) if falls else None
