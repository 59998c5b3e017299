"""The table of NAS-Bench-201 in the form in which tasks read the table of any space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from darts_pl.errors import UserError
from darts_pl.genotype import Genotype
from darts_pl.spaces.nasbench201.cell import NODES
from darts_pl.spaces.nasbench201.kind import CELL_TYPE, KIND, genotype_of
from darts_pl.spaces.nasbench201.lookup import describe, describe_top, summary
from darts_pl.spaces.nasbench201.table import NasBench201
from darts_pl.spaces.tables import Table

#: The score by which cells are compared unless another one is named.
MAIN = "cifar10_test"

#: By epochs of a training, the accuracy on validation images after it.
VALIDATION = MappingProxyType({12: "cifar10_valid_ep12", 200: "cifar10_valid"})


class NasBench201Answers(Table):
    """Accuracies in percent; see `NasBench201`."""

    main = MAIN

    def covers(self, genotype: Genotype) -> bool:
        return genotype.kind == KIND and len(genotype.cells[CELL_TYPE].nodes) == NODES - 1

    def genotype(self, number: int) -> Genotype:
        return genotype_of(NasBench201().cell(number))

    def score(self, genotype: Genotype, by: str | None = None) -> float:
        table = NasBench201()
        return float(table.column(by or MAIN)[table.number(genotype)])

    def validation(self, genotype: Genotype, epochs: int) -> tuple[float, float]:
        if epochs not in VALIDATION:
            raise UserError(
                f"table: there is no training of {epochs} epochs; known: {', '.join(map(str, VALIDATION))} epochs"
            )
        table = NasBench201()
        number = table.number(genotype)
        return float(table.column(VALIDATION[epochs])[number]), epochs * table.epoch_seconds(number)

    def summary(self, genotype: Genotype) -> Mapping[str, float]:
        column = NasBench201().column(MAIN)
        return {
            **summary(NasBench201().lookup(genotype)),
            "table/random_mean": float(column.mean()),
            "table/random_std": float(column.std()),
        }

    def preview(self, genotype: Genotype) -> Mapping[str, float]:
        return {f"search/table_{MAIN}": self.score(genotype)}

    def describe(self, genotype: Genotype, by: str | None = None) -> Sequence[str]:
        return describe(NasBench201().lookup(genotype), by or MAIN)

    def describe_top(
        self,
        count: int,
        by: str | None = None,
        *,
        max_parameters: float | None = None,
        max_multiply_adds: float | None = None,
    ) -> tuple[Sequence[Genotype], Sequence[str]]:
        entries = NasBench201().top(count, by or MAIN, max_parameters, max_multiply_adds)
        return [genotype_of(entry.cell) for entry in entries], describe_top(entries, by or MAIN)
