"""Heat maps show the numbers that they are given, at the edge and candidate that they belong to."""

from __future__ import annotations

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure

from darts_pl.report import draw_mixing_weights, pixels
from darts_pl.spaces import CellSpace, SearchSpace, build_space
from tests.paper import CANDIDATES


def shown(figure: Figure, panel: int, row: int, column: int) -> np.ndarray:
    """The colour [3] at the middle of a square, in 0 to 1."""
    image = pixels(figure)
    x, y = figure.axes[panel].transData.transform((column, row))
    return image[image.shape[0] - 1 - int(y), int(x)] / 255


def test_every_square_has_the_colour_of_its_weight() -> None:
    draw = np.random.default_rng(0)
    weights = {name: draw.dirichlet(np.ones(8), 14) for name in ("normal", "reduce")}
    figure = draw_mixing_weights(build_space("cnn", CANDIDATES, 4), weights)
    colours = matplotlib.colormaps["viridis"]
    largest = max(values.max() for values in weights.values())
    for panel, values in enumerate(weights.values()):
        for row, column in ((0, 0), (3, 5), (13, 7)):
            wanted = colours(values[row, column] / largest)[:3]
            assert shown(figure, panel, row, column) == pytest.approx(wanted, abs=2 / 255)


def test_rows_and_columns_are_named() -> None:
    weights = {name: np.full((14, 8), 1 / 8) for name in ("normal", "reduce")}
    axes = draw_mixing_weights(build_space("cnn", CANDIDATES, 4), weights).axes[0]
    assert axes.get_title() == "normal cell"
    assert [label.get_text() for label in axes.get_xticklabels()] == list(CANDIDATES)
    rows = [label.get_text() for label in axes.get_yticklabels()]
    assert [rows[0], rows[1], rows[4], rows[13]] == ["$c_{k-2}$ → 0", "$c_{k-1}$ → 0", "0 → 1", "2 → 3"]


def test_a_recurrent_cell_has_one_panel_and_counts_from_the_node_that_the_word_feeds() -> None:
    space = build_space("rnn", ["none", "tanh"], 2)
    figure = draw_mixing_weights(space, {"recurrent": np.full((3, 2), 0.5)})
    assert [axes.get_title() for axes in figure.axes] == ["recurrent cell", ""]  # the second is the colours' scale
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["0 → 1", "0 → 2", "1 → 2"]


def test_a_candidate_that_an_edge_lacks_is_white() -> None:
    cell = CellSpace(2, 1, 2, (("a", "b"), ("b",)))
    weights = np.array([[0.3, 0.7], [1.0, 0.0]])  # the second number of the second edge stands for nothing
    figure = draw_mixing_weights(SearchSpace("cnn", {"normal": cell}), {"normal": weights})
    assert shown(figure, 0, 1, 0) == pytest.approx(np.ones(3))
    assert shown(figure, 0, 1, 1) == pytest.approx(matplotlib.colormaps["viridis"](1.0)[:3], abs=2 / 255)


def test_an_edge_weight_stands_beside_the_name_of_its_edge() -> None:
    space = build_space("cnn", CANDIDATES, 2)
    weights = {name: np.full((5, 8), 1 / 8) for name in ("normal", "reduce")}
    edges = {"normal": np.array([0.25, 0.75, 0.1, 0.2, 0.7]), "reduce": np.full(5, 0.5)}
    figure = draw_mixing_weights(space, weights, edges)
    rows = [[label.get_text() for label in axes.get_yticklabels()] for axes in figure.axes[:2]]
    assert rows[0] == [
        "$c_{k-2}$ → 0: 0.25",
        "$c_{k-1}$ → 0: 0.75",
        "$c_{k-2}$ → 1: 0.10",
        "$c_{k-1}$ → 1: 0.20",
        "0 → 1: 0.70",
    ]
    assert rows[1][0] == "$c_{k-2}$ → 0: 0.50"
