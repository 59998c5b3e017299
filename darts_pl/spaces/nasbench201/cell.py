"""The cells of NAS-Bench-201 as plain data: six operations, one for each edge, and their text.

Node 0 is the cell's input, node 3 its output; every node sums what its edges bring (Dong and Yang,
NAS-Bench-201, ICLR 2020, section 2.1). The text lists, node by node, the operation and the source
of every edge::

    |nor_conv_3x3~0|+|none~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_1x1~1|none~2|
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from darts_pl.errors import UserError

#: The candidates of every edge, in the order of the benchmark.
OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")

#: Nodes of a cell of the benchmark, its input among them.
NODES = 4

#: A cell: for every edge, node by node and inside a node by source, the index of its operation.
Cell = tuple[int, ...]


def edges(nodes: int = NODES) -> tuple[tuple[int, int], ...]:
    """(source, target) of every edge, in the order of the operations of a cell.

    Args:
        nodes: of the cell, the input among them.
    """
    return tuple((source, target) for target in range(1, nodes) for source in range(target))


def parse_text(text: str, nodes: int | None = NODES) -> Cell:
    """The operations of the edges from the benchmark's text; quotes around it and blanks are ignored.

    Args:
        text: as at the top of this file.
        nodes: how many nodes the cell must have, its input among them; None = any number.

    Raises:
        UserError: if the text has another form, an operation is unknown, a node does not list all
            earlier nodes in order, or the cell has another number of nodes.
    """
    bare = "".join(text.split())
    while len(bare) > 1 and bare[0] == bare[-1] and bare[0] in "'\"":
        bare = bare[1:-1]
    groups = bare.split("+")
    cell: list[int] = []
    for target, group in enumerate(groups, start=1):
        if len(group) < 3 or group[0] != "|" or group[-1] != "|":
            raise UserError(
                f"cell {bare[:80]!r}: {group[:40]!r} is not a list of inputs; write for example {example(nodes)}"
            )
        inputs = group[1:-1].split("|")
        if len(inputs) != target:
            raise UserError(
                f"cell {bare[:200]!r}: inputs of node {target}: {len(inputs)} given, {target} needed, one from each "
                f"earlier node, such as {_group([1] * target)}"
            )
        cell += [_operation(bare, part, source, target) for source, part in enumerate(inputs)]
    if nodes is not None and len(groups) != nodes - 1:
        raise UserError(
            f"cell {bare[:200]!r}: it has {len(groups) + 1} nodes with the input; the cells of the benchmark have "
            f"{nodes}, such as {example(nodes)}"
        )
    return tuple(cell)


def _operation(text: str, part: str, source: int, target: int) -> int:
    name, mark, number = part.partition("~")
    if mark != "~" or number != str(source):
        raise UserError(
            f"cell {text[:200]!r}: input {part[:40]!r} of node {target} must be OPERATION~{source}, such as "
            f"skip_connect~{source}"
        )
    if name not in OPERATIONS:
        raise UserError(
            f"cell {text[:200]!r}: unknown operation {name[:40]!r} at node {target}; known: {', '.join(OPERATIONS)}"
        )
    return OPERATIONS.index(name)


def to_text(cell: Sequence[int]) -> str:
    """The benchmark's text of a cell with any number of nodes.

    Args:
        cell: for every edge the index of its operation in `OPERATIONS`.

    Raises:
        UserError: if an index or the number of edges is impossible.
    """
    check_cell(cell)
    groups, start, target = [], 0, 1
    while start < len(cell):
        groups.append(_group(cell[start : start + target]))
        start, target = start + target, target + 1
    return "+".join(groups)


def _group(operations: Sequence[int]) -> str:
    return f"|{'|'.join(f'{OPERATIONS[index]}~{source}' for source, index in enumerate(operations))}|"


def example(nodes: int | None = NODES) -> str:
    """The text of the cell that only skips, to show the form."""
    return to_text((1,) * len(edges(nodes or NODES)))


def check_cell(cell: Sequence[int], nodes: int | None = None) -> None:
    """Raise UserError unless `cell` holds an operation's index for each edge.

    Args:
        cell: for every edge the index of its operation.
        nodes: of the cell, its input among them; None = any number.
    """
    expected = (len(edges(nodes)),) if nodes is not None else tuple(n * (n + 1) // 2 for n in range(1, len(cell) + 1))
    if len(cell) not in expected:
        wanted = f"it needs {expected[0]}" if nodes is not None else "a cell has 1, 3, 6, 10, ..."
        raise UserError(f"cell {list(cell)}: {len(cell)} operations; {wanted}")
    for index in cell:
        if isinstance(index, bool) or not hasattr(index, "__index__") or not 0 <= index < len(OPERATIONS):
            raise UserError(
                f"cell {list(cell)}: operation {index!r} does not exist; use 0 to {len(OPERATIONS) - 1}, which mean "
                f"{', '.join(OPERATIONS)}"
            )


def cell_of_pairs(nodes: Sequence[Sequence[Any]]) -> Cell:
    """The cell from the (operation, source) pairs of each node; an edge that no pair names is "none".

    Args:
        nodes: for every node after the input its pairs, as `CellGenotype.nodes` holds them.

    Raises:
        UserError: if an operation is unknown, or a source does not exist or is read twice.
    """
    cell: list[int] = []
    for target, pairs in enumerate(nodes, start=1):
        operations = [0] * target
        seen = set()
        for name, source in pairs:
            if not 0 <= source < target or source in seen:
                raise UserError(f"genotype: node {target} reads node {source}; it reads each of 0 to {target - 1} once")
            if name not in OPERATIONS:
                raise UserError(f"genotype: unknown operation {name!r}; known: {', '.join(OPERATIONS)}")
            seen.add(source)
            operations[source] = OPERATIONS.index(name)
        cell += operations
    return tuple(cell)
