"""Features and distances of genotypes against counting and enumeration."""

import itertools
import random

import numpy as np
import pytest

from darts_pl.genotype import parse
from darts_pl.spaces import build_space
from darts_pl.strategies import Encoding, Features
from darts_pl.strategies.models.distances import (
    FAMILY_COST,
    POSITION_WEIGHT,
    UNMATCHED_COST,
    EditDistance,
    TransportDistance,
)
from tests.strategies.conftest import fully_connected


def pairs_of(encoding, integers):
    genotype = encoding.decode(integers)
    return {
        (name, index, pair)
        for name, cell in genotype.cells.items()
        for index, node in enumerate(cell.nodes)
        for pair in node
    }


def draws(encoding, count):
    return [encoding.draw(random.Random(seed)) for seed in range(count)]


def test_a_feature_is_one_for_each_pair(encoding):
    points = draws(encoding, 30)
    matrix = Features(encoding).matrix(points)
    assert set(np.unique(matrix)) == {0.0, 1.0}
    assert (matrix.sum(1) == sum(node.edges for node in encoding.nodes)).all()
    for one, other in itertools.combinations(range(30), 2):
        shared = len(pairs_of(encoding, points[one]) & pairs_of(encoding, points[other]))
        assert matrix[one] @ matrix[other] == shared


def test_the_edit_distance_counts_the_pairs_that_differ(encoding):
    points = draws(encoding, 15)
    found = EditDistance(encoding).between(points, points)
    expected = [[len(pairs_of(encoding, a) - pairs_of(encoding, b)) for b in points] for a in points]
    assert found.tolist() == expected


def test_undecided_nodes_have_the_mean_of_a_uniform_genotype():
    encoding = Encoding(build_space("rnn", ("none", "tanh", "relu"), 3))
    whole = [one for one in itertools.product(*map(range, encoding.sizes)) if encoding.is_valid(one)]
    features = Features(encoding)
    for nodes in range(4):
        stop = encoding.nodes[nodes - 1].stop if nodes else 0
        same = [one for one in whole if one[:stop] == whole[-1][:stop]]
        assert features.matrix([whole[-1]], nodes)[0] == pytest.approx(features.matrix(same).mean(0))


def test_transport_is_symmetric_and_zero_for_equal_cells_only(encoding):
    points = list(dict.fromkeys(draws(encoding, 12)))
    found = TransportDistance(encoding).between(points, points)
    assert found == pytest.approx(found.T)
    assert (np.diag(found) == 0).all()
    assert (found + np.eye(len(points)) > 0).all() or encoding.every_edge  # "none" may leave equal graphs


def test_transport_costs_what_its_cheapest_matching_costs():
    encoding = Encoding(build_space("rnn", ("tanh", "relu", "identity"), 2))
    one, same_graph, other_graph = (
        encoding.encode(parse(f"Genotype(recurrent={pairs}, concat=[1, 2])"))
        for pairs in (
            "[('tanh', 0), ('relu', 1)]",
            "[('relu', 0), ('tanh', 1)]",
            "[('tanh', 0), ('relu', 0)]",
        )
    )
    distance = TransportDistance(encoding)
    # Exchanged operations: change both labels (2), or move both. Moving the first one: it has 0 instead of
    # 1 operations before it, fewest and most, and 1 instead of 0 after it (mean difference 1), and another
    # origin (0.5); the second one likewise.
    assert distance.between([one], [same_graph])[0, 0] == pytest.approx(min(2, 2 * POSITION_WEIGHT * 1.5))
    # The second node reads the input: tanh has 0 instead of 1 operations after it (1/3); relu has 0 instead of
    # 1 before it, fewest and most (2/3), and another origin.
    expected = POSITION_WEIGHT * (1 / 3 + 2 / 3 + 0.5)
    assert distance.between([one], [other_graph])[0, 0] == pytest.approx(expected)


def test_transport_counts_what_has_no_partner_and_knows_families():
    encoding = fully_connected(("none", "nor_conv_1x1", "nor_conv_3x3", "skip_connect"), nodes=1)
    none, small, large, skip = ((index,) for index in range(4))
    found = TransportDistance(encoding).between([none, small], [none, small, large, skip])
    assert found.tolist() == [[0, *[UNMATCHED_COST] * 3], [UNMATCHED_COST, 0, FAMILY_COST, 1]]
