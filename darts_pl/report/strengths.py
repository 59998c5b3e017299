"""Cells whose edges carry a number beside the operation, such as its mixing weight."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from darts_pl.genotype import Genotype
from darts_pl.ops import NONE
from darts_pl.report.graph import CellGraph, cell_graph
from darts_pl.spaces import SearchSpace, space_of

#: (cell type, target node, source node, operation) -> a number; nodes are numbered as in the genotype.
Strengths = Mapping[tuple[str, int, int, str], float]


def strengths_of(
    space: SearchSpace, weights: Mapping[str, np.ndarray], edges: Mapping[str, np.ndarray] | None = None
) -> dict[tuple[str, int, int, str], float]:
    """The mixing weight of every candidate on every edge.

    Args:
        space: what was searched.
        weights: per cell type [edges, candidates], in the order of the alphas.
        edges: per cell type the edge weights [edges], which multiply them; None = there are none.
    """
    found = {}
    for cell_type, cell in space.cells.items():
        for edge, (source, target) in enumerate(cell.edges):
            factor = 1.0 if not edges else float(edges[cell_type][edge])
            for column, name in enumerate(cell.candidates[edge]):
                found[cell_type, target, source, name] = factor * float(weights[cell_type][edge, column])
    return found


def labelled_graph(genotype: Genotype, cell_type: str, strengths: Strengths) -> CellGraph:
    """`cell_graph` with the strength of an operation written behind its name, where one is known."""
    graph = cell_graph(genotype, cell_type)
    if not strengths:
        return graph
    cell, drawing = genotype.cells[cell_type], space_of(genotype.kind).drawing
    first = 1 if drawing.first_node else len(drawing.inputs)  # number of the first node with chosen inputs
    keys = iter(
        (cell_type, target, pair.source, pair.operation)
        for target, pairs in enumerate(cell.nodes, start=first)
        for pair in pairs
        if pair.operation != NONE
    )
    edges = []
    for edge in graph.edges:
        if edge.operation is not None and (strength := strengths.get(next(keys))) is not None:
            edge = replace(edge, operation=f"{edge.operation} {strength:.2f}")
        edges.append(edge)
    return CellGraph(graph.nodes, tuple(edges))
