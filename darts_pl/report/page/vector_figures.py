"""The plots of a page as figures for a paper: one column wide, text as text, in a vector format or as pixels."""

from __future__ import annotations

import io
import math
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from darts_pl import atomic
from darts_pl.genotype import NONE
from darts_pl.report.cells import draw_cell_in_column
from darts_pl.report.page.blocks import Block, Cells, Curves, EdgeHistory, Intervals, Matrix, MixingHistory, Section
from darts_pl.report.page.mixing_board import ends_of
from darts_pl.report.page.plots import two_lines

#: Width of a column of text in the usual two-column papers, in inches.
COLUMN = 3.35
HEIGHT = 2.1
#: A line of at most so many points shows them; one of a single point would be invisible.
VERY_FEW = 8
#: The colours of the page on white paper, in the same order, and the dashes that go with them.
COLOURS = ("#0072b2", "#d55e00", "#007a58", "#b0508a", "#8a6a00", "#3c9bd6", "#5f5f5f", "#6a3d9a")
DASHES = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (7, 2, 1.5, 2)))
MUTED = "#5b6775"
SHADES = LinearSegmentedColormap.from_list("shades", ["#ffffff", "#0b5cad"])
FORMATS = ("pdf", "svg", "png")
STYLE: dict[Any, Any] = {
    "font.size": 7,
    "axes.titlesize": 7.5,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "lines.linewidth": 1.1,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "legend.fontsize": 6.5,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
    "svg.hashsalt": "figures",
}


def save_figures(sections: Sequence[Section], folder: Path, form: str) -> list[Path]:
    """The files of all plots and cells of a page, written into `folder`.

    Args:
        sections: of the page.
        folder: made if missing.
        form: one of `FORMATS`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    metadata: dict[str, dict[str, None]] = {
        "pdf": {"CreationDate": None}, "svg": {"Date": None}, "png": {"Software": None}
    }  # fmt: skip
    written = []
    with matplotlib.rc_context(STYLE):
        for section in sections:
            for block in section.blocks:
                for name, figure in figures_of(block):
                    drawn = io.BytesIO()
                    figure.savefig(drawn, format=form, dpi=300, metadata=metadata[form])
                    path = folder / f"{name}.{form}"
                    atomic.write(path, drawn.getvalue())
                    written.append(path)
    return written


def figures_of(block: Block) -> Iterator[tuple[str, Figure]]:
    """The figures of a block, by name; none for text and tables."""
    if isinstance(block, Curves):
        yield block.name, _curves(block)
    elif isinstance(block, Intervals):
        yield block.name, _intervals(block)
    elif isinstance(block, Matrix):
        yield block.name, _matrix(block)
    elif isinstance(block, Cells):
        for cell_type in block.genotype.cells:
            suffix = _suffix(cell_type, block.genotype.cells)
            yield f"{block.name}{suffix}", draw_cell_in_column(block.genotype, cell_type, COLUMN, block.strengths)
    elif isinstance(block, MixingHistory):
        for cell_type, edges in block.cells.items():
            yield f"mixing{_suffix(cell_type, block.cells)}", _mixing(block, edges)


def _suffix(cell_type: str, cell_types: Collection[str]) -> str:
    return f"_{cell_type}" if len(cell_types) > 1 else ""


def _new(height: float = HEIGHT) -> Figure:
    figure = Figure(figsize=(COLUMN, height), dpi=150, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _curves(plot: Curves) -> Figure:
    figure = _new()
    axes = figure.add_subplot()
    alike = len(plot.series) > len(COLOURS)
    for index, one in enumerate(plot.series):
        colour = COLOURS[0] if alike else COLOURS[index % len(COLOURS)]
        dashes = "-" if alike else DASHES[index % len(DASHES)]
        y = [math.nan if value is None else value for value in one.y]
        label = one.name if one.name and not alike else None
        if one.style == "points":
            axes.plot(one.x, y, "o", color=colour, markersize=2.5, alpha=0.7, markeredgewidth=0, label=label)
        else:
            drawn = "steps-post" if one.style == "steps" else "default"
            axes.plot(one.x, y, color=colour, linestyle=dashes, label=label, drawstyle=drawn, alpha=0.5 if alike else 1)
            if len(one.x) <= VERY_FEW:
                axes.plot(one.x, y, "o", color=colour, markersize=2.5, markeredgewidth=0)
        if one.low is not None and one.high is not None:
            axes.fill_between(one.x, one.low, one.high, color=colour, alpha=0.18, linewidth=0)
    for label, value in plot.references:
        axes.axhline(value, color=MUTED, linewidth=0.8, linestyle=(0, (6, 3)))
        axes.annotate(label, (1, value), xycoords=("axes fraction", "data"), ha="right", va="bottom", color=MUTED)
    axes.set(xlabel=plot.x_label, ylabel=plot.y_label, title=_short(plot.title))
    axes.set_xscale("log" if plot.log_x else "linear")
    axes.set_yscale("log" if plot.log_y else "linear")
    if not plot.log_x:
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=plot.x_label == "epoch"))
    axes.grid(axis="y", alpha=0.25, linewidth=0.5)
    if not alike and any(one.name for one in plot.series):
        axes.legend(ncols=2 if len(plot.series) > 3 else 1)
    return figure


def _intervals(plot: Intervals) -> Figure:
    labels = ["\n".join(two_lines(row.label)) for row in plot.rows]
    figure = _new(0.75 + (0.28 if any("\n" in label for label in labels) else 0.2) * len(plot.rows))
    axes = figure.add_subplot()
    for index, row in enumerate(plot.rows):
        place = -index
        if row.low is not None and row.high is not None:
            axes.plot([row.low, row.high], [place, place], color=COLOURS[0], marker="|", markersize=4)
        axes.plot(row.points, [place] * len(row.points), "o", color=MUTED, markersize=2.5, fillstyle="none")
        axes.plot([row.value], [place], "o", color=COLOURS[0], markersize=4)
    axes.set_yticks([-index for index in range(len(plot.rows))], labels)
    axes.set(xlabel=plot.x_label, ylim=(-len(plot.rows) + 0.4, 0.6))
    axes.xaxis.set_major_locator(MaxNLocator(5))
    figure.suptitle(_short(plot.title), x=0.01, ha="left", fontsize=7.5)  # a title of the axes would leave the column
    axes.grid(axis="x", alpha=0.25, linewidth=0.5)
    return figure


def _matrix(plot: Matrix) -> Figure:
    rows, columns = len(plot.rows), len(plot.columns)
    figure = _new(min(1.0 + max(0.17, 2.2 / max(columns, 1)) * rows, 7.0))
    axes = figure.add_subplot()
    values = [[math.nan if value is None else value for value in row] for row in plot.values]
    axes.imshow(values, cmap=SHADES, vmin=0, aspect="auto", interpolation="nearest")
    slanted = max((len(name) for name in plot.columns), default=0) > 2
    turn: dict[str, Any] = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if slanted else {}
    axes.set_xticks(range(columns), plot.columns, **turn)
    axes.set_yticks(range(rows), plot.rows)
    axes.set(xlabel=plot.column_label, ylabel=plot.row_label)
    axes.tick_params(length=0)
    largest = max((value for row in plot.values for value in row if value is not None), default=1.0) or 1.0
    for row, column in plot.chosen:
        axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor=COLOURS[1], linewidth=1.2))
    if plot.digits is not None and columns <= 12:
        for row, of_row in enumerate(plot.values):
            for column, value in enumerate(of_row):
                if value is not None:
                    ink = "white" if value > 0.6 * largest else "black"
                    written = f"{value:.{plot.digits}f}"
                    axes.text(column, row, written, ha="center", va="center", color=ink, fontsize=5.5)
    return figure


def _mixing(block: MixingHistory, edges: Sequence[EdgeHistory]) -> Figure:
    """A panel per edge with equal axes."""
    across = 3 if len(edges) <= 9 else 4
    down = math.ceil(len(edges) / across)
    figure = _new(0.72 * down + 0.55)
    panels = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False).ravel()
    coloured = [name for name in block.candidates if name != NONE]
    for panel, edge in zip(panels, edges, strict=False):
        _edge(panel, edge, block, coloured)
    for panel in panels[len(edges) :]:
        panel.set_axis_off()
    handles = [
        matplotlib.lines.Line2D([], [], color=_colour(name, coloured)[0], linestyle=_colour(name, coloured)[1])
        for name in block.candidates
    ]
    figure.legend(handles, block.candidates, loc="outside lower center", ncols=4 if len(block.candidates) > 4 else 3,
                  fontsize=5, handlelength=1.6, columnspacing=0.8)  # fmt: skip
    for place, panel in enumerate(panels[: len(edges)]):
        if place + across >= len(edges):  # nothing is below it
            panel.set_xlabel("epoch", fontsize=6, labelpad=1)
            panel.tick_params(labelbottom=True)
    low, high = ends_of(block)
    panels[0].set_ylim(low, high + 0.05 * (high - low))
    figure.supylabel("mixing weight", fontsize=6)
    return figure


def _edge(axes: Axes, edge: EdgeHistory, block: MixingHistory, coloured: Sequence[str]) -> None:
    for column, name in enumerate(edge.candidates):
        colour, dashes = _colour(name, coloured)
        chosen = column == edge.chosen
        values = [math.nan if (value := row[column]) is None else value for row in edge.weights]
        axes.plot(block.epochs, values, color=colour, linestyle="-" if chosen else dashes, lw=1.8 if chosen else 0.6)
    axes.set_title(edge.label, fontsize=6, pad=2)
    axes.tick_params(labelsize=5, length=2)


def _colour(name: str, coloured: Sequence[str]) -> tuple[str, Any]:
    if name == NONE:
        return "#98a3af", (0, (1, 2))
    index = coloured.index(name)
    return COLOURS[index % len(COLOURS)], DASHES[index % len(DASHES)]


def _short(text: str, letters: int = 60) -> str:
    return text if len(text) <= letters else text[: letters - 1] + "\N{HORIZONTAL ELLIPSIS}"
