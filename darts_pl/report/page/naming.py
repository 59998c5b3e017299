"""Names of edges and metrics as a page writes them."""

from __future__ import annotations

import re

from darts_pl.spaces import CellSpace, space_of

_LOWER = str.maketrans("0123456789-kt", "₀₁₂₃₄₅₆₇₈₉₋ₖₜ")


def edge_labels(kind: str, cell: CellSpace) -> list[str]:
    """Source and target of every edge, as the drawings of cells name the nodes."""
    drawing = space_of(kind).drawing
    if drawing.first_node:  # node 0 is the one that all inputs feed
        nodes = [str(number) for number in range(cell.input_nodes + cell.nodes)]
    else:
        nodes = [readable(name) for name in drawing.inputs] + [str(number) for number in range(cell.nodes)]
    return [f"{nodes[source]} \N{RIGHTWARDS ARROW} {nodes[target]}" for source, target in cell.edges]


def readable(name: str) -> str:
    """A node's name such as ``c_{k-1}`` with its index as small digits and letters."""
    found = re.fullmatch(r"(\w)_(?:\{([-kt\d]*)\}|([kt\d]))", name)
    return name if found is None else found.group(1) + (found.group(2) or found.group(3)).translate(_LOWER)
