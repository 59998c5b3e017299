"""Heat maps of the mixing weights of a search, and figures as arrays of pixels."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from darts_pl.report.graph import cell_title
from darts_pl.spaces import SearchSpace, space_of

DPI = 100
PANEL_WIDTH, ROW_HEIGHT, FRAME = 5.2, 0.26, 1.9


def draw_mixing_weights(
    space: SearchSpace, weights: Mapping[str, np.ndarray], edges: Mapping[str, np.ndarray] | None = None
) -> Figure:
    """A figure with one heat map per cell type: a row for each edge, a column for each candidate.

    The colours of all panels mean the same: 0 to the largest weight in the figure. Where an edge
    does not have a candidate, the square is left white.

    Args:
        space: what is searched.
        weights: per cell type [edges, candidates], in the order of the alphas.
        edges: per cell type the edge weights [edges], which are written beside the edges' names; None =
            there are none.
    """
    rows = max(len(values) for values in weights.values())
    size = (PANEL_WIDTH * len(weights), ROW_HEIGHT * rows + FRAME)
    figure = Figure(figsize=size, dpi=DPI, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    largest = max(float(values.max()) for values in weights.values())
    panels = figure.subplots(1, len(weights), squeeze=False)[0]
    for axes, (cell_type, values) in zip(panels, weights.items(), strict=True):
        names, aligned = _by_candidate(space.cells[cell_type].candidates, values)
        image = axes.imshow(aligned, cmap="viridis", vmin=0, vmax=largest, aspect="auto", interpolation="nearest")
        axes.set_title(cell_title(space.kind, cell_type))
        axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
        labels = _edge_names(space, cell_type)
        if edges:
            labels = [f"{label}: {weight:.2f}" for label, weight in zip(labels, edges[cell_type], strict=True)]
            axes.set_ylabel("edge: edge weight")
        axes.set_yticks(range(len(values)), labels)
    figure.colorbar(image, ax=list(panels), label="mixing weight")
    return figure


def pixels(figure: Figure) -> np.ndarray:
    """What a figure shows, [height, width, 3] in uint8."""
    canvas = figure.canvas
    assert isinstance(canvas, FigureCanvasAgg)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[:, :, :3].copy()


def _by_candidate(candidates: tuple[tuple[str, ...], ...], values: np.ndarray) -> tuple[list[str], np.ndarray]:
    """All candidates by name, and the weights [edges, names], nan where an edge lacks one."""
    names = list(dict.fromkeys(name for of_edge in candidates for name in of_edge))
    aligned = np.full((len(values), len(names)), np.nan)
    for edge, of_edge in enumerate(candidates):
        for column, name in enumerate(of_edge):
            aligned[edge, names.index(name)] = values[edge, column]
    return names, aligned


def _edge_names(space: SearchSpace, cell_type: str) -> list[str]:
    """Source and target of every edge, as the drawings of cells name the nodes."""
    cell = space.cells[cell_type]
    drawing = space_of(space.kind).drawing
    if drawing.first_node:  # node 0 is the one that all inputs feed
        nodes = [str(number) for number in range(cell.input_nodes + cell.nodes)]
    else:
        nodes = [f"${name}$" for name in drawing.inputs] + [str(number) for number in range(cell.nodes)]
    return [f"{nodes[source]} \N{RIGHTWARDS ARROW} {nodes[target]}" for source, target in cell.edges]
