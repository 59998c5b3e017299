"""What each pair of a genotype adds to the size of its final network."""

from __future__ import annotations

from collections.abc import Callable

from darts_pl.errors import UserError
from darts_pl.genotype import Genotype, Pair
from darts_pl.ops import NONE
from darts_pl.selection.score import Size
from darts_pl.selection.units import Unit
from darts_pl.spaces import PairClass, SearchSpace

Amounts = tuple[int, int]


class PairSizes:
    """Sizes of final networks as sums over pairs: those of a reference network, plus what each pair adds to it.

    The network of a genotype has the same channels on every edge, and an operation reads a smaller map only behind
    an input of a cell that halves it, so a pair's size depends on its `PairClass` alone. Each class is measured once,
    by the difference that it makes in the reference network.

    Args:
        space: what is searched.
        measure: the size of a genotype's final network.
    """

    def __init__(self, space: SearchSpace, measure: Callable[[Genotype], Size]) -> None:
        self.space, self.measure = space, measure
        first = next(iter(space.cells.values())).candidates[0]
        self.operation = next(name for name in first if name != NONE)
        size = measure(self._reference())
        self.counts_multiply_adds = size.multiply_adds is not None
        self.base = size.parameters, size.multiply_adds or 0
        self._added: dict[PairClass, Amounts] = {}

    def amounts(self, genotype: Genotype) -> Amounts:
        """(parameters, multiply-adds) of a genotype's network, measured; 0 where nobody counts the latter."""
        size = self.measure(genotype)
        return size.parameters, size.multiply_adds or 0

    def of_pairs(self, unit: Unit, pairs: tuple[Pair, ...]) -> Amounts:
        """What the pairs of an option add to the reference network."""
        found = [self._pair(unit, pair) for pair in pairs]
        return sum(one[0] for one in found), sum(one[1] for one in found)

    def _pair(self, unit: Unit, pair: Pair) -> Amounts:
        is_input = pair.source < self.space.cells[unit.cell_type].input_nodes
        name = (unit.cell_type, pair.operation, is_input)
        if name not in self._added:
            changed = self.amounts(self._reference(unit, pair))
            self._added[name] = changed[0] - self.base[0], changed[1] - self.base[1]
        return self._added[name]

    def _reference(self, unit: Unit | None = None, pair: Pair | None = None) -> Genotype:
        """The genotype whose pairs all have one operation and the first sources, with one pair replaced."""
        nodes: dict[str, list[list[Pair]]] = {}
        for name, cell in self.space.cells.items():
            nodes[name] = []
            for target in cell.targets:
                pairs = [Pair(self.operation, source) for source in range(min(cell.inputs_per_node, target))]
                if unit is not None and pair is not None and (unit.cell_type, unit.target) == (name, target):
                    same = [index for index, one in enumerate(pairs) if one.source == pair.source]
                    pairs[same[0] if same else -1] = pair
                nodes[name].append(pairs)
        return self.space.genotype(nodes)


def refuse_other_size(predicted: Amounts, measured: Amounts) -> None:
    """Raise UserError where the size of a network is not the sum that was computed."""
    if predicted != measured:
        raise UserError(
            f"the final network has {measured[0]:,} parameters and {measured[1]:,} multiply-adds, but its operations "
            f"add up to {predicted[0]:,} and {predicted[1]:,}: an operation's size depends on others here, so "
            "select=magnitude_within cannot find the strongest genotype exactly"
        )
