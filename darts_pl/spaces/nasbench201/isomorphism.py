"""Which cells of NAS-Bench-201 count as the same cell."""

from __future__ import annotations

from collections.abc import Sequence

from darts_pl.spaces.nasbench201.cell import OPERATIONS

_INPUT = "0"
_ZERO = "#"


def canonical_form(cell: Sequence[int]) -> str:
    """The output node written as an expression of the input; isomorphic cells have the same one.

    Each node is a sum of terms, one per edge that enters it, and the terms are sorted. A skip
    connection contributes the sum of its source, "none" the term zero, and any other operation
    itself, applied to the sum of its source. The 15,625 cells have 6,466 forms, which are the
    classes of the benchmark's paper (section 2.1).

    The classes are therefore a little finer than "computes the same function". A zero remains a
    term of its sum; only an operation on a node that is one single zero is zero itself. The terms
    of a sum that a skip connection passes on stay side by side. Conversely, a form does not say
    whether two equal terms share their weights, so the cells of one class may differ in size.

    Args:
        cell: for every edge the index of its operation, of a cell with any number of nodes.
    """
    sums = [_INPUT]
    start, target = 0, 1
    while start < len(cell):
        entering = zip(cell[start : start + target], sums, strict=True)
        sums.append("+".join(sorted(_term(OPERATIONS[index], source) for index, source in entering)))
        start, target = start + target, target + 1
    return sums[-1]


def _term(operation: str, source: str) -> str:
    if operation == "none" or source == _ZERO:
        return _ZERO
    return source if operation == "skip_connect" else f"({source})@{operation}"
