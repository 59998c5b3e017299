"""The cells of a genotype as a few lines of text, for a terminal or a README."""

from __future__ import annotations

from darts_pl.genotype import Genotype
from darts_pl.report.graph import cell_graph, cell_title
from darts_pl.spaces import space_of


def cell_text(genotype: Genotype) -> str:
    """One block of text per cell type and one line per node, with the names that the figures use.

    A node of a convolutional cell is a sum, and the cell's output concatenates nodes along the
    channels; the output of a recurrent cell is a mean. For example::

        normal cell
          node 0 = sep_conv_3x3(c_{k-2}) + sep_conv_3x3(c_{k-1})
          node 1 = skip_connect(c_{k-2}) + dil_conv_3x3(node 0)
          c_{k}  = concat(node 0, node 1)
    """
    return "\n".join(_block(genotype, cell_type) for cell_type in genotype.cells)


def numbering_text(genotype: Genotype) -> str:
    """How the numbers in a genotype relate to the names in the drawings; "" where they are the same."""
    drawing = space_of(genotype.kind).drawing
    if drawing.first_node:
        return ""
    known = [f"{number} is {name}" for number, name in enumerate(drawing.inputs)]
    count = len(known)
    return (
        f"In the text of the genotype and in genotype.json a node's number counts the inputs too: "
        f"{', '.join(known)}, {count} is node 0, {count + 1} is node 1, and so on."
    )


def _block(genotype: Genotype, cell_type: str) -> str:
    graph, drawing = cell_graph(genotype, cell_type), space_of(genotype.kind).drawing
    names = [f"node {node.name}" if node.role == "intermediate" else node.name for node in graph.nodes]
    rows: list[tuple[str, list[str]]] = []
    for target, node in enumerate(graph.nodes):
        edges = [edge for edge in graph.edges if edge.target == target]
        sources = ", ".join(names[edge.source] for edge in edges)
        if node.role == "output":
            rows.append((node.name, [sources if drawing.join == "last" else f"{drawing.join}({sources})"]))
        elif node.role == "intermediate" and edges and edges[0].operation is None:
            rows.append((names[target], [f"{drawing.enters}({sources})" if drawing.enters else sources]))
        elif node.role == "intermediate":
            rows.append((names[target], [f"{edge.operation}({names[edge.source]})" for edge in edges] or ["0"]))
    indent = max(len(name) for name, _ in rows)
    depth = max(len(terms) for _, terms in rows)
    widths = [max((len(terms[i]) for _, terms in rows[:-1] if i < len(terms) - 1), default=0) for i in range(depth)]
    lines = [cell_title(genotype.kind, cell_type)]
    for name, terms in rows:
        padded = [term.ljust(widths[i]) for i, term in enumerate(terms[:-1])]
        lines.append(f"  {name.ljust(indent)} = {' + '.join([*padded, terms[-1]])}")
    return "\n".join(lines) + "\n"
