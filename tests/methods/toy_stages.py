"""Two stages as a user would write them: the second one has another depth and its edges fewer candidates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from darts_pl.bilevel import STAGES, Factory, Facts, Stage, Stages
from darts_pl.spaces import SearchSpace, Supernet

#: Candidates that every edge keeps.
KEPT = 2


@STAGES.register("toy")
class ToyStages(Stages):
    """Half of the epochs each; the first epoch of each moves the weights only."""

    def plan(self, epochs: int) -> Sequence[Stage]:
        return Stage(epochs // 2, warmup_epochs=1), Stage(epochs - epochs // 2, warmup_epochs=1)

    def build(self, index: int, facts: Facts | None, factory: Factory) -> Supernet:
        whole = factory()
        if index == 0:
            return whole
        assert facts is not None
        cells: dict[str, Any] = {
            name: replace(cell, candidates=tuple(map(tuple, facts[name]))) for name, cell in whole.space.cells.items()
        }
        return factory(cells=SearchSpace(whole.space.kind, cells), layers=4)

    def end(self, index: int, supernet: Supernet) -> Facts:
        return {
            name: [
                [names[column] for column in sorted(row.topk(KEPT).indices.tolist())]
                for names, row in zip(supernet.space.cells[name].candidates, mixing.weights.detach(), strict=True)
            ]
            for name, mixing in supernet.mixing().items()
        }
