"""Stages that remove candidates and make the network deeper: P-DARTS's progressive search."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from darts_pl.bilevel import STAGES, Factory, Facts, Stage, Stages, endless_warmup, equal_stages
from darts_pl.ops import NONE
from darts_pl.settings import at_least, each, setting
from darts_pl.spaces import CellSpace, SearchSpace, Supernet


@dataclass(frozen=True, kw_only=True)
class DeepeningStagesSettings:
    """Stages of equal length, each with fewer candidates and more cells than the one before."""

    keep: list[int] = setting("candidates that each edge keeps after each stage but the last", each(at_least(1)))
    added_layers: list[int] = setting("cells of each stage but the first, beyond search.layers", each(at_least(0)))
    warmup_epochs: int = setting("epochs at the beginning of each stage in which only the weights move", at_least(0))

    def conflicts(self) -> Iterator[tuple[str, str]]:
        """Each stage but one has an entry, candidates only become fewer and cells more."""
        if len(self.added_layers) != len(self.keep):
            yield "added_layers", f"must have as many entries as keep={self.keep}"
        if sorted(self.keep, reverse=True) != list(self.keep):
            yield "keep", "must not rise"
        if sorted(self.added_layers) != list(self.added_layers):
            yield "added_layers", "must not fall"

    def requires(self, config: Any) -> Iterator[str]:
        """The depth is a setting of the space, and there are candidates to remove."""
        search = config.search
        if not config.task.runs_search:
            return
        if not hasattr(search, "layers"):
            yield (
                f"stages=deepening: makes the network deeper by search.layers, which search.space={search.space} does "
                "not have; add stages=single"
            )
            return
        lists = [one for one in search.candidates if not isinstance(one, str)]
        fewest = min(map(len, lists)) if lists else len(search.candidates)
        if self.keep[0] >= fewest:
            yield f"stages.keep={self.keep}: must start below {fewest}, the candidates of an edge"
        yield from endless_warmup(config, self.warmup_epochs, len(self.keep) + 1)


@STAGES.register("deepening", settings=DeepeningStagesSettings)
class DeepeningStages(Stages):
    """Chen et al., P-DARTS, ICCV 2019: each stage is a new, deeper network with the strongest candidates of each edge.

    Weights, alphas, both optimizers and the schedule of the learning rate start again in each stage.

    Args:
        settings: of the section `stages`.
    """

    def __init__(self, settings: DeepeningStagesSettings) -> None:
        self.settings = settings

    def plan(self, epochs: int) -> Sequence[Stage]:
        return equal_stages(epochs, len(self.settings.keep) + 1, self.settings.warmup_epochs)

    def build(self, index: int, facts: Facts | None, factory: Factory) -> Supernet:
        if index == 0:
            return factory()
        assert facts is not None
        cells = {name: CellSpace(**{**cell, "candidates": _tuples(cell)}) for name, cell in facts["cells"].items()}
        return factory(cells=SearchSpace(facts["kind"], cells), layers=facts["layers"])

    def end(self, index: int, supernet: Supernet) -> Facts:
        added = [0, *self.settings.added_layers]
        layers: Any = supernet.cells
        cells = {}
        for name, mixing in supernet.mixing().items():
            cell, rows = supernet.space.cells[name], mixing.weights.detach().cpu().tolist()
            kept = [
                strongest_candidates(names, row, self.settings.keep[index])
                for names, row in zip(cell.candidates, rows, strict=True)
            ]
            cells[name] = {**asdict(cell), "candidates": kept}
        return {"kind": supernet.space.kind, "cells": cells, "layers": len(layers) + added[index + 1] - added[index]}


def strongest_candidates(names: Sequence[str], weights: Sequence[float], count: int) -> list[str]:
    """The candidates that an edge keeps, in their order.

    Those of the smallest mixing weights are removed, "none" being one like any other. Where a single one
    remains, "none" goes first. Of equal ones the first is removed (authors' code).

    Args:
        names: the candidates of the edge.
        weights: their mixing weights.
        count: how many remain, 1 or more.
    """
    order = sorted(range(len(names)), key=lambda column: (count > 1 or names[column] != NONE, weights[column], column))
    removed = set(order[: max(len(names) - count, 0)])
    return [name for column, name in enumerate(names) if column not in removed]


def _tuples(cell: dict[str, Any]) -> tuple[tuple[str, ...], ...]:
    return tuple(map(tuple, cell["candidates"]))
