"""The table of NAS-Bench-201: what each of the 15,625 cells reaches when it is trained.

::

    table = NasBench201()
    entry = table.lookup("|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|none~2|")
    entry.cifar10_test, table.rank(entry.number), [one.text for one in table.top(10, max_parameters=500_000)]

The benchmark's authors trained every cell for 200 epochs on three data sets, and once more for 12
epochs. Source and licence of the numbers: `SOURCE` and `LICENCE` in `columns`, and the file
``table.LICENSE`` beside this one; `build_table` makes the file.
"""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, TypeAlias

import numpy as np

from darts_pl.errors import UserError
from darts_pl.genotype import Genotype
from darts_pl.spaces.nasbench201.cell import NODES, OPERATIONS, Cell, cell_of_pairs, check_cell, parse_text, to_text
from darts_pl.spaces.nasbench201.columns import CELLS, NO_RUN, UNITS_PER_PERCENT

#: What names a cell: its text or number as text, its number, its operations, a genotype.
Named: TypeAlias = "str | int | Sequence[int] | Genotype"

#: The columns of accuracies that cells can be ranked by.
ACCURACIES = tuple(UNITS_PER_PERCENT)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What the table knows of one cell. Accuracies are in percent.

    Those without an ending are from 200 epochs and means over the runs that there are (one to
    three), those with ``_ep12`` from a separate training of 12 epochs. `cifar10_valid` is from
    training on one half of the training images, `cifar10_test` from training on all of them.

    Args:
        number: the benchmark's number of the cell, 0 to 15,624.
        cell: for every edge the index of its operation.
        cifar10_valid_runs: `cifar10_valid` run by run.
        epoch_seconds: one epoch on 25,000 images of CIFAR-10, as the benchmark's authors measured it.
        parameters: weights of the final network (16 channels, 5 cells per stage, 10 classes).
        multiply_adds: of its convolutions and linear layer, its bias included, for one image of 32x32.
        doubtful_size: whether the published size is another than that of the cell's network.
        iso_class: number of its class of isomorphic cells; see `canonical_form`.
        twins: numbers of the other cells of that class.
    """

    number: int
    cell: Cell
    cifar10_valid: float
    cifar10_test: float
    cifar100_valid: float
    cifar100_test: float
    imagenet16_valid: float
    imagenet16_test: float
    cifar10_valid_ep12: float
    cifar10_test_ep12: float
    cifar100_valid_ep12: float
    cifar100_test_ep12: float
    imagenet16_valid_ep12: float
    imagenet16_test_ep12: float
    cifar10_valid_runs: tuple[float, ...]
    epoch_seconds: float
    parameters: int
    multiply_adds: int
    doubtful_size: bool
    iso_class: int
    twins: tuple[int, ...]

    @property
    def text(self) -> str:
        """The benchmark's text of the cell."""
        return to_text(self.cell)


@functools.cache
def _arrays() -> Mapping[str, Any]:
    """The arrays of the file, read-only, in the layout of `columns`; read at the first use."""
    place = resources.files("darts_pl.spaces.nasbench201") / "table.npz"
    with place.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        arrays = dict(archive)
    for values in arrays.values():
        values.flags.writeable = False
    return arrays


@functools.cache
def _percent(name: str) -> np.ndarray:
    """A column of accuracies in percent, the mean over its runs, [15625], read-only."""
    counts = _arrays()[name]
    if counts.ndim == 2:
        done = counts != NO_RUN
        values = np.where(done, counts, 0).sum(1) / (done.sum(1) * UNITS_PER_PERCENT[name])
    else:
        values = counts / UNITS_PER_PERCENT[name]
    values.flags.writeable = False
    return values


@functools.cache
def _numbers() -> Mapping[Cell, int]:
    return {tuple(cell): number for number, cell in enumerate(_arrays()["cells"].tolist())}


@functools.cache
def _twins() -> Mapping[int, tuple[int, ...]]:
    """By class of isomorphic cells their numbers."""
    classes: dict[int, tuple[int, ...]] = {}
    for number, one in enumerate(_arrays()["iso_class"].tolist()):
        classes[one] = (*classes.get(one, ()), number)
    return classes


class NasBench201:
    """The table. Its file is read at the first question, once per process."""

    def __len__(self) -> int:
        return CELLS

    def number(self, named: Named) -> int:
        """The benchmark's number of a cell, 0 to 15,624.

        Args:
            named: the cell's text, its number (as a number or as text), its six operations, or a genotype
                with one cell of three nodes and one input.

        Raises:
            UserError: if it names no cell of the benchmark.
        """
        if isinstance(named, str):
            bare = "".join(named.split()).strip("'\"")
            return self.number(int(bare) if re.fullmatch(r"[-+]?[0-9]{1,18}", bare) else parse_text(named))
        if isinstance(named, Genotype):
            return self.number(_cell_of(named))
        if isinstance(named, Sequence):
            cell: Sequence[int] = [*named]
            check_cell(cell, NODES)
            return _numbers()[tuple(int(index) for index in cell)]
        try:
            number = operator.index(named)
        except TypeError:
            raise UserError(f"cell {named!r:.60}: give its text, its number or its six operations") from None
        if not 0 <= number < CELLS:
            raise UserError(f"cell number {number}: must be 0 to {CELLS - 1}")
        return number

    def cell(self, named: Named) -> Cell:
        """The operations of a cell; for `named` and errors see `number`."""
        return tuple(_arrays()["cells"][self.number(named)].tolist())

    def lookup(self, named: Named) -> Entry:
        """Everything that the table knows of a cell; for `named` and errors see `number`."""
        number, arrays = self.number(named), _arrays()
        iso_class = int(arrays["iso_class"][number])
        runs = arrays["cifar10_valid"][number]
        return Entry(
            number=number,
            cell=self.cell(number),
            cifar10_valid_runs=tuple((runs[runs != NO_RUN] / UNITS_PER_PERCENT["cifar10_valid"]).tolist()),
            epoch_seconds=float(arrays["epoch_seconds"][number]),
            parameters=int(arrays["parameters"][number]),
            multiply_adds=int(arrays["multiply_adds"][number]),
            doubtful_size=bool(arrays["doubtful_size"][number]),
            iso_class=iso_class,
            twins=tuple(other for other in _twins()[iso_class] if other != number),
            **{name: float(_percent(name)[number]) for name in ACCURACIES},
        )

    def epoch_seconds(self, named: Named) -> float:
        """Seconds of one epoch, as in `Entry`; for `named` and errors see `number`."""
        return float(_arrays()["epoch_seconds"][self.number(named)])

    def column(self, by: str) -> np.ndarray:
        """An accuracy of all cells in percent, by number, [15625], read-only.

        Args:
            by: one of `ACCURACIES`.

        Raises:
            UserError: if there is no such column.
        """
        if by not in ACCURACIES:
            raise UserError(f"by={by}: the table has no such accuracy; known: {', '.join(ACCURACIES)}")
        return _percent(by)

    def rank(self, named: Named, by: str = "cifar10_test") -> int:
        """1 + how many cells are better; cells of equal accuracy share a rank.

        Args:
            named: see `number`.
            by: see `column`.
        """
        values = self.column(by)
        return 1 + int((values > values[self.number(named)]).sum())

    def percentile(self, named: Named, by: str = "cifar10_test") -> float:
        """How many percent of the other cells are worse; cells of equal accuracy share a percentile.

        Args:
            named: see `number`.
            by: see `column`.
        """
        values = self.column(by)
        return 100 * int((values < values[self.number(named)]).sum()) / (CELLS - 1)

    def regret(self, named: Named, by: str = "cifar10_test") -> float:
        """How many percentage points a cell is below the best one.

        Args:
            named: see `number`.
            by: see `column`.
        """
        values = self.column(by)
        return float(values.max() - values[self.number(named)])

    def top(
        self,
        n: int,
        by: str = "cifar10_test",
        max_parameters: float | None = None,
        max_multiply_adds: float | None = None,
    ) -> list[Entry]:
        """The n best cells, best first; of equal ones that with the lower number comes first.

        Args:
            n: how many; fewer are returned where fewer keep to the limits.
            by: see `column`.
            max_parameters: of the final network; None = any.
            max_multiply_adds: of the final network; None = any.

        Raises:
            UserError: if n is below 1, there is no such column, or no cell keeps to the limits.
        """
        if n < 1:
            raise UserError(f"top={n}: must be at least 1")
        values, kept = self.column(by), np.ones(CELLS, dtype=bool)
        for name, limit in (("parameters", max_parameters), ("multiply_adds", max_multiply_adds)):
            if limit is not None:
                sizes = _arrays()[name]
                if limit < sizes.min():
                    raise UserError(f"max_{name}={limit}: the smallest network has {sizes.min()}")
                kept &= sizes <= limit
        order = np.argsort(-values, kind="stable")
        return [self.lookup(int(number)) for number in order[kept[order]][:n]]


def _cell_of(genotype: Genotype) -> Cell:
    if len(genotype.cells) != 1:
        raise UserError(
            f"genotype: it has {len(genotype.cells)} cells; the table knows cells of NAS-Bench-201 only, which have "
            f"the operations {', '.join(OPERATIONS)}"
        )
    (cell,) = genotype.cells.values()
    if len(cell.nodes) != NODES - 1:
        raise UserError(
            f"genotype: the cell has {len(cell.nodes) + 1} nodes with the input; the table knows those with {NODES}"
        )
    return cell_of_pairs(cell.nodes)
