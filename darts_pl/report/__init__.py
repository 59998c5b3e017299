"""What people look at: cells and mixing weights as figures, cells as text.

Functions of plain data; nothing here needs a model, a run or a system program.
"""

from darts_pl.report.cells import draw_cells, operation_colour, save_cells
from darts_pl.report.comparison import accuracy_interval, compare_accuracies, compare_networks, compare_perplexities
from darts_pl.report.correlation import MEASURES, bootstrap_interval, save_scatter
from darts_pl.report.graph import CellGraph, cell_graph
from darts_pl.report.heat_maps import draw_mixing_weights, pixels
from darts_pl.report.layout import CellLayout, layout_cell
from darts_pl.report.text import cell_text

__all__ = [
    "MEASURES",
    "CellGraph",
    "CellLayout",
    "accuracy_interval",
    "bootstrap_interval",
    "cell_graph",
    "cell_text",
    "compare_accuracies",
    "compare_networks",
    "compare_perplexities",
    "draw_cells",
    "draw_mixing_weights",
    "layout_cell",
    "operation_colour",
    "pixels",
    "save_cells",
    "save_scatter",
]
