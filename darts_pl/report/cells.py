"""Figures of the cells of a genotype, as matplotlib figures and as files."""

from __future__ import annotations

import io
import os
from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path as Curve
from matplotlib.text import Text
from matplotlib.textpath import text_to_path

from darts_pl import atomic
from darts_pl.genotype import Genotype
from darts_pl.report.graph import CellGraph, cell_title
from darts_pl.report.layout import Box, CellLayout, layout_cell
from darts_pl.report.strengths import Strengths, labelled_graph

DPI = 150
WIDTH = 1400 / DPI
#: A drawing is scaled to WIDTH, but its letters stay legible: beyond this range the figure's width changes.
SCALES = (0.7, 1.2)
MARGIN, TITLE_HEIGHT, PANEL_GAP = 0.15, 0.36, 0.3
FONTS = ["DejaVu Sans", "sans-serif"]
LABEL_SIZE, NAME_SIZE, TITLE_SIZE = 8.0, 9.0, 10.5

INK, PLAIN_LINE = "#2b3440", "#9aa5b1"
NODE_FILLS = {"input": "#dcebdc", "intermediate": "#e3e8ee", "output": "#f6ecc9"}
NODE_LINES = {"input": "#7fa883", "intermediate": "#8794a3", "output": "#c2a54e"}
#: The first rule whose words occur in an operation's name gives its colour.
FAMILIES = (
    (("sep_conv", "tanh"), "#3f74b5"),
    (("dil_conv", "sigmoid"), "#8458a8"),
    (("pool", "relu"), "#cf7a2c"),
    (("skip", "identity"), "#3f8f5f"),
    (("conv",), "#b54a68"),
)
OTHER_FAMILY = "#5d6b7a"


def draw_cells(genotype: Genotype, strengths: Strengths | None = None) -> Figure:
    """A figure with one panel per cell type: nodes as boxes, edges as arrows that carry their operation's name.

    Args:
        genotype: what is drawn.
        strengths: numbers that are written behind the names of operations, see `strengths_of`; None = none.

    Every artist has a group id (``normal-node-0``, ``normal-name-0``, ``normal-edge-3``,
    ``normal-label-3``, ``normal-text-3``), which an SVG file keeps: edges are numbered in the order
    of `cell_graph`.
    """
    graphs = {cell_type: labelled_graph(genotype, cell_type, strengths or {}) for cell_type in genotype.cells}
    inner_width = WIDTH - 2 * MARGIN
    layouts = {
        cell_type: layout_cell(graph, _label_width, _name_width, inner_width) for cell_type, graph in graphs.items()
    }
    width = max(layout.width for layout in layouts.values()) + 2 * MARGIN
    height = sum(layout.height + TITLE_HEIGHT for layout in layouts.values())
    height += PANEL_GAP * (len(layouts) - 1) + 2 * MARGIN
    scale = min(max(WIDTH / width, SCALES[0]), SCALES[1])

    figure = Figure(figsize=(width * scale, height * scale), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    top = MARGIN
    for cell_type, layout in layouts.items():
        panel_height = layout.height + TITLE_HEIGHT
        axes = figure.add_axes((0, 1 - (top + panel_height) / height, 1, panel_height / height))
        _draw_panel(axes, cell_type, cell_title(genotype.kind, cell_type), graphs[cell_type], layout, width, scale)
        top += panel_height + PANEL_GAP
    return figure


def draw_cell_in_column(genotype: Genotype, cell_type: str, width: float, strengths: Strengths | None = None) -> Figure:
    """A figure of one cell for a column of text: the same drawing from top to bottom, without a title.

    Args:
        genotype: what is drawn.
        cell_type: which of its cells.
        width: of the figure, in inches; a wide cell is scaled down to it.
        strengths: see `draw_cells`.
    """
    graph = labelled_graph(genotype, cell_type, strengths or {})
    layout = layout_cell(graph, _label_width, _name_width, downwards=True)
    margin = 0.05
    scale = min(width / (layout.width + 2 * margin), 1.0)
    figure = Figure(figsize=(width, (layout.height + 2 * margin) * scale), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    _draw_panel(axes, cell_type, "", graph, layout, width / scale, scale)
    axes.set(ylim=(layout.height + margin, -margin))
    return figure


def save_cells(
    genotype: Genotype, folder: str | os.PathLike[str], strengths: Strengths | None = None
) -> tuple[Path, Path]:
    """The paths of ``cells.png`` and ``cells.svg``, written into `folder` (made if missing).

    A file appears whole or not at all. The same genotype gives the same bytes.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    figure = draw_cells(genotype, strengths)
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "cells"}):
        for form, metadata in (("png", {"Software": None}), ("svg", {"Date": None})):
            drawn = io.BytesIO()
            figure.savefig(drawn, format=form, dpi=DPI, metadata=metadata)
            atomic.write(folder / f"cells.{form}", drawn.getvalue())
    return folder / "cells.png", folder / "cells.svg"


def operation_colour(operation: str) -> str:
    """The line colour of an operation: one per family (separable, dilated, pooling, skip, other convolutions)."""
    for words, colour in FAMILIES:
        if any(word in operation for word in words):
            return colour
    return OTHER_FAMILY


def _draw_panel(
    axes: Axes, cell_type: str, title_text: str, graph: CellGraph, layout: CellLayout, width: float, scale: float
) -> None:
    left = (width - layout.width) / 2
    axes.set(xlim=(-left, width - left), ylim=(layout.height, -TITLE_HEIGHT))
    axes.set_axis_off()
    title = _draw_text(axes, MARGIN - left, -0.72 * TITLE_HEIGHT, title_text, TITLE_SIZE * scale, INK)
    title.set(ha="left", weight="bold", gid=f"{cell_type}-title")
    for number, (edge, curve) in enumerate(zip(graph.edges, layout.curves, strict=True)):
        colour = PLAIN_LINE if edge.operation is None else operation_colour(edge.operation)
        _draw_arrow(axes, curve.points, colour, scale).set_gid(f"{cell_type}-edge-{number}")
        if edge.operation is not None and curve.label is not None:
            fill, ink = _blend(colour, "white", 0.88), _blend(colour, "black", 0.35)
            frame = _draw_box(axes, curve.label, fill, _blend(colour, "white", 0.5), scale)
            text = _draw_text(axes, curve.label.x, curve.label.y, edge.operation, LABEL_SIZE * scale, ink)
            frame.set_gid(f"{cell_type}-label-{number}")
            text.set_gid(f"{cell_type}-text-{number}")
    for number, (node, box) in enumerate(zip(graph.nodes, layout.nodes, strict=True)):
        frame = _draw_box(axes, box, NODE_FILLS[node.role], NODE_LINES[node.role], scale)
        text = _draw_text(axes, box.x, box.y, _formula(node.name), NAME_SIZE * scale, INK)
        text.set_parse_math(True)
        frame.set_gid(f"{cell_type}-node-{number}")
        text.set_gid(f"{cell_type}-name-{number}")


def _draw_arrow(axes: Axes, points: np.ndarray, colour: str, scale: float) -> FancyArrowPatch:
    codes = [Curve.MOVETO] + [Curve.CURVE4] * (len(points) - 1)
    head = f"-|>,head_length={0.45 * scale:.3f},head_width={0.2 * scale:.3f}"
    arrow = FancyArrowPatch(
        path=Curve(points, codes),
        arrowstyle=head,
        mutation_scale=10,
        color=colour,
        lw=1.1 * scale,
        zorder=2,
        clip_on=False,
    )
    axes.add_patch(arrow)
    return arrow


def _draw_box(axes: Axes, box: Box, fill: str, line: str, scale: float) -> FancyBboxPatch:
    style = "round,pad=0,rounding_size=0.06"
    corner = (box.left, box.top)
    frame = FancyBboxPatch(
        corner,
        box.width,
        box.height,
        boxstyle=style,
        facecolor=fill,
        edgecolor=line,
        lw=0.8 * scale,
        zorder=3,
        clip_on=False,
    )
    axes.add_patch(frame)
    return frame


def _draw_text(axes: Axes, x: float, y: float, content: str, size: float, colour: str) -> Text:
    return axes.text(
        x,
        y,
        content,
        family=FONTS,
        math_fontfamily="dejavusans",
        fontsize=size,
        color=colour,
        ha="center",
        va="center_baseline",
        parse_math=False,
        zorder=4,
    )


def _label_width(operation: str) -> float:
    return _printed_width(operation, LABEL_SIZE, formula=False)


def _name_width(name: str) -> float:
    return _printed_width(_formula(name), NAME_SIZE, formula=not name.isdecimal())


@cache
def _printed_width(content: str, size: float, *, formula: bool) -> float:
    font = FontProperties(family=FONTS, size=size, math_fontfamily="dejavusans")
    width, _, _ = text_to_path.get_text_width_height_descent(content, font, formula)
    return float(width) / 72


def _formula(name: str) -> str:
    return name if name.isdecimal() else f"${name}$"


def _blend(colour: str, other: str, fraction: float) -> str:
    """`colour` mixed with `fraction` of `other`."""
    red, green, blue = ((1 - fraction) * a + fraction * b for a, b in zip(to_rgb(colour), to_rgb(other), strict=True))
    return to_hex((red, green, blue))
