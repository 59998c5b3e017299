"""Cells as inline SVG."""

from __future__ import annotations

import re
from functools import lru_cache

import numpy as np

from darts_pl.genotype import Genotype
from darts_pl.report.cells import FAMILIES
from darts_pl.report.graph import CellGraph, cell_title
from darts_pl.report.layout import Box, CellLayout, layout_cell
from darts_pl.report.page.blocks import Cells, Network, Stage
from darts_pl.report.page.markup import Markup, join, number, place, tag
from darts_pl.report.strengths import Strengths, labelled_graph

#: Units of the drawing per inch of the layout.
UNITS = 100.0
#: Width of a letter of a monospaced label of 11 units, in inches.
LETTER = 0.0665
#: Letters that a node's name takes, in inches.
NAME_LETTER = 0.075
MIN_WIDTH = 5.4
#: A wider drawing is not put beside another one.
WIDE = 760.0
MARGIN = 4.0


def draw_cells(block: Cells) -> Markup:
    """All cells of a genotype, each scrolling on its own where the page is narrow."""
    note = tag("p", block.note, class_="note") if block.note else None
    title = tag("figcaption", block.title)
    graphs = [labelled_graph(block.genotype, cell_type, block.strengths) for cell_type in block.genotype.cells]
    wide = any(_drawing(graph)[0] > WIDE for graph in graphs)
    drawn = cell_drawings(block.genotype, block.strengths)
    return tag("figure", title, drawn, note, class_="cells wide" if wide else "cells")


def cell_drawings(genotype: Genotype, strengths: Strengths | None = None) -> Markup:
    """One drawing per cell type, with its name above where there are several."""
    parts = []
    for cell_type in genotype.cells:
        graph = labelled_graph(genotype, cell_type, strengths or {})
        title = cell_title(genotype.kind, cell_type)
        parts.append(tag("div", tag("span", title, class_="cell-title"), _scrolling(graph, title), class_="cell"))
    return join(parts)


def _scrolling(graph: CellGraph, title: str) -> Markup:
    width, height, body = _drawing(graph)
    style = f"width:100%;min-width:{place(0.72 * width)}px;max-width:{place(1.2 * width)}px"
    view = f"0 0 {place(width)} {place(height)}"
    return tag("div", tag("svg", body, viewBox=view, role="img", aria_label=title, style=style), class_="scroll")


@lru_cache(maxsize=512)
def _drawing(graph: CellGraph) -> tuple[float, float, Markup]:
    """(width, height, content) of the drawing of one cell."""
    layout = layout_cell(graph, lambda label: LETTER * len(label), _name_width, MIN_WIDTH)
    return UNITS * layout.width + 2 * MARGIN, UNITS * layout.height + 2 * MARGIN, _content(graph, layout)


def _content(graph: CellGraph, layout: CellLayout) -> Markup:
    lines, labels, nodes = [], [], []
    for edge, curve in zip(graph.edges, layout.curves, strict=True):
        family = "plain" if edge.operation is None else family_of(edge.operation)
        lines.append(_arrow(curve.points, family))
        if edge.operation is not None and curve.label is not None:
            x, y = curve.label.x * UNITS + MARGIN, curve.label.y * UNITS + MARGIN
            frames = _frame(curve.label, "behind"), _frame(curve.label, f"tag {family}")
            labels.append(tag("g", frames, tag("text", edge.operation, x=place(x), y=place(y + 3.8), class_="op")))
    for node, box in zip(graph.nodes, layout.nodes, strict=True):
        x, y = box.x * UNITS + MARGIN, box.y * UNITS + MARGIN
        name = tag("text", _formula(node.name), x=place(x), y=place(y + 4.2), class_="name")
        nodes.append(tag("g", _frame(box, f"node {node.role}"), name))
    return join([*lines, *labels, *nodes])


def family_of(operation: str) -> str:
    """The class of an operation's colour: f0, f1, ... in the order of `FAMILIES`, else "other"."""
    for index, (words, _) in enumerate(FAMILIES):
        if any(word in operation for word in words):
            return f"f{index}"
    return "other"


def _arrow(points: np.ndarray, family: str) -> Markup:
    at = points * UNITS + MARGIN
    end = at[-1].copy()
    at[-1, 0] -= 5  # the line ends inside the head
    way = [f"M{place(at[0, 0])} {place(at[0, 1])}"]
    for index in range(1, len(at), 3):
        way.append("C" + " ".join(f"{place(x)} {place(y)}" for x, y in at[index : index + 3]))
    x, y = end
    head = f"M{place(x)} {place(y)}l-7 -3v6z"
    return join([tag("path", d="".join(way), class_=f"edge {family}"), tag("path", d=head, class_=f"head {family}")])


def _frame(box: Box, kind: str) -> Markup:
    return tag(
        "rect",
        x=place(box.left * UNITS + MARGIN),
        y=place(box.top * UNITS + MARGIN),
        width=place(box.width * UNITS),
        height=place(box.height * UNITS),
        rx=5,
        class_=kind,
    )


def _formula(name: str) -> Markup:
    """A name such as ``c_{k-1}`` with its index set lower."""
    found = re.fullmatch(r"(\w)_(?:\{(.*)\}|(\w))", name)
    if found is None:
        return join([name])
    index = found.group(2) or found.group(3)
    return join([tag("tspan", found.group(1), class_="math"), tag("tspan", index, dy=3, font_size=9)])


def _name_width(name: str) -> float:
    return NAME_LETTER * len(re.sub(r"[{}_]", "", name))


def draw_network(block: Network) -> Markup:
    """The stages as a row of boxes that name their sizes."""
    boxes = [_stage(stage, index) for index, stage in enumerate(block.stages)]
    return tag("figure", tag("figcaption", block.title), tag("ol", boxes, class_="network"), class_="wide network")


def _stage(stage: Stage, index: int) -> Markup:
    kind = tag("span", stage.kind, class_="kind") if stage.kind else None
    parts = [tag("b", stage.name), kind, tag("span", stage.shape)]
    parts.append(tag("span", f"{_short(stage.parameters)} parameters"))
    if stage.multiply_adds is not None:
        parts.append(tag("span", f"{_short(stage.multiply_adds)} multiply-adds"))
    kinds = {"normal": "k0", "reduction": "k1"}
    return tag("li", *parts, class_=kinds.get(stage.kind, "k2"), value=index + 1)


def _short(count: int) -> str:
    for factor, unit in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if count >= factor:
            return f"{count / factor:.3g} {unit}"
    return number(count)
