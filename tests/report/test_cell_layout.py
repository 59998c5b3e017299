"""The layout as numbers: order, levels, determinism."""

from functools import cache
from itertools import permutations, product

import numpy as np
import pytest

from darts_pl.genotype import Genotype, from_pairs
from darts_pl.report import CellLayout, cell_graph, layout_cell
from darts_pl.report.layout import _isotonic, _links, _slots
from darts_pl.report.ordering import crossings, order_columns


@cache
def layout(genotype: Genotype, cell_type: str, min_width: float = 0.0) -> CellLayout:
    return layout_cell(cell_graph(genotype, cell_type), lambda name: 0.07 * len(name), lambda name: 0.2, min_width)


def test_every_edge_runs_from_left_to_right(genotype: Genotype) -> None:
    for cell_type in genotype.cells:
        drawn = layout(genotype, cell_type)
        graph = cell_graph(genotype, cell_type)
        assert len(drawn.curves) == len(graph.edges)
        assert len(drawn.nodes) == len(graph.nodes)
        for edge, curve in zip(graph.edges, drawn.curves, strict=True):
            assert (np.diff(curve.points[:, 0]) >= 0).all()
            source, target = drawn.nodes[edge.source], drawn.nodes[edge.target]
            assert curve.points[0, 0] == pytest.approx(source.x + source.width / 2)
            assert curve.points[-1, 0] == pytest.approx(target.x - target.width / 2)
            assert abs(curve.points[0, 1] - source.y) < source.height / 2
            assert abs(curve.points[-1, 1] - target.y) < target.height / 2


def test_a_layout_lies_within_its_size(genotype: Genotype) -> None:
    for cell_type in genotype.cells:
        drawn = layout(genotype, cell_type)
        points = np.concatenate([curve.points for curve in drawn.curves])
        for box in (*drawn.nodes, *(curve.label for curve in drawn.curves if curve.label is not None)):
            corners = [[box.left, box.top], [box.left + box.width, box.top + box.height]]
            points = np.concatenate([points, corners])
        assert (points >= -1e-9).all()
        assert (points <= np.array([drawn.width, drawn.height]) + 1e-9).all()


def test_a_long_edge_runs_level_between_its_first_and_its_last_bend(darts_v2: Genotype) -> None:
    skip = layout(darts_v2, "normal").curves[6]  # skip_connect from c_{k-2} to node 3, past nodes 0 to 2
    assert skip.label is not None
    assert len(skip.points) > 1 + 3 * 5
    assert np.ptp(skip.points[3:-3, 1]) < 1e-3
    assert skip.points[3, 1] == pytest.approx(skip.label.y, abs=1e-3)


def test_a_node_between_two_equal_inputs_lies_in_their_middle() -> None:
    cell = ([("skip_connect", 0), ("skip_connect", 1)], [2])
    drawn = layout(from_pairs("cnn", {"normal": cell, "reduce": cell}), "normal")
    first, second, node, output = drawn.nodes
    assert first.y < second.y
    assert node.y == pytest.approx((first.y + second.y) / 2, abs=1e-3)
    assert output.y == pytest.approx(node.y, abs=1e-3)


def test_a_wider_drawing_keeps_its_boxes_and_heights(darts_v2: Genotype) -> None:
    natural = layout(darts_v2, "normal")
    wide = layout(darts_v2, "normal", min_width=natural.width + 1)
    assert wide.width == pytest.approx(natural.width + 1)
    assert wide.height == natural.height
    assert [box.width for box in wide.nodes] == [box.width for box in natural.nodes]
    assert [box.y for box in wide.nodes] == [box.y for box in natural.nodes]


def test_the_same_cell_always_gets_the_same_layout(nasnet_a: Genotype) -> None:
    first, second = layout.__wrapped__(nasnet_a, "reduce"), layout.__wrapped__(nasnet_a, "reduce")
    assert first.nodes == second.nodes
    assert all(np.array_equal(a.points, b.points) for a, b in zip(first.curves, second.curves, strict=True))


@pytest.mark.parametrize("seed", range(8))
def test_small_columns_get_an_order_with_the_fewest_possible_crossings(seed: int) -> None:
    rng = np.random.default_rng(seed)
    columns = [[0, 1], [2, 3, 4, 5], [6, 7, 8, 9]]
    links = [np.stack([rng.choice(a, 6), rng.choice(b, 6)], axis=1) for a, b in (columns[:2], columns[1:])]
    orders = product(*(permutations(column) for column in columns))
    fewest = min(crossings([list(column) for column in order], links) for order in orders)
    found = order_columns(columns, links)
    assert [sorted(column) for column in found] == columns
    assert crossings(found, links) == fewest


@pytest.mark.parametrize("nodes", [3, 5, 7])
def test_a_deep_planar_cell_is_drawn_without_crossings(nodes: int) -> None:
    pairs = [pair for node in range(nodes) for pair in (("tanh", node + 1), ("relu", 0))]
    cell = (pairs, [nodes + 1])
    graph = cell_graph(from_pairs("cnn", {"normal": cell, "reduce": cell}), "normal")
    slots = _slots(graph, lambda name: 0.5, lambda name: 0.2, False)
    links = _links(slots)
    assert crossings(order_columns(slots.columns, links), links) == 0


def test_crossings_of_a_complete_bipartite_graph_are_those_of_the_closed_form() -> None:
    links = np.array(list(product(range(4), range(4, 9))))
    assert crossings([list(range(4)), list(range(4, 9))], [links]) == (4 * 3 // 2) * (5 * 4 // 2)


def test_isotonic_regression_is_the_min_max_formula() -> None:
    wanted = np.random.default_rng(0).normal(size=12)
    expected = [
        max(min(wanted[i : j + 1].mean() for j in range(k, 12)) for i in range(k + 1)) for k in range(12)
    ]  # Barlow et al., 1972
    np.testing.assert_allclose(_isotonic(wanted), expected, atol=1e-12)
