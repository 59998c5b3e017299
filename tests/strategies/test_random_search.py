"""Random search: in every kind of space each genotype is as likely as any other, and a seed fixes the questions."""

from collections import Counter
from itertools import combinations, product

import pytest
from scipy.stats import chisquare

from darts_pl.spaces import build_space
from darts_pl.strategies import Encoding, build_strategy
from tests.strategies.conftest import TABLE_OPERATIONS, settings_of

DRAWS = 4000
ENCODINGS = {
    "cnn": Encoding(build_space("cnn", ("none", "skip_connect", "sep_conv_3x3"), 2)),
    "rnn": Encoding(build_space("rnn", ("none", "tanh", "relu", "identity"), 3)),
    "nasbench201": Encoding(build_space("nasbench201", TABLE_OPERATIONS[:3], 2), every_edge=True),
}


def drawn(name: str, seed: int, count: int, distinct: bool = False) -> list:
    strategy = build_strategy("random", ENCODINGS[name], settings_of("random") | {"distinct": distinct}, seed)
    found = []
    for _ in range(count):
        question = strategy.ask()
        strategy.tell(question, (0.0,))
        found.append(question.genotype)
    return found


def written(genotype) -> tuple:
    return tuple(tuple(map(tuple, node)) for cell in genotype.cells.values() for node in cell.nodes)


def nodes(operations, sources_of_nodes) -> list:
    """Every choice for every node, counted out by hand: sources, and an operation for each."""
    return [
        [
            tuple(zip(kept, chosen, strict=True))
            for chosen in sources
            for kept in product(operations, repeat=len(chosen))
        ]
        for sources in sources_of_nodes
    ]


#: All genotypes of a cell: two distinct earlier nodes, one earlier node, or every earlier node.
POSSIBLE = {
    "cnn": nodes(("skip_connect", "sep_conv_3x3"), [[(0, 1)], list(combinations(range(3), 2))]),
    "rnn": nodes(("tanh", "relu", "identity"), [[(0,)], [(0,), (1,)], [(0,), (1,), (2,)]]),
    "nasbench201": nodes(TABLE_OPERATIONS[:3], [[(0,)], [(0, 1)]]),
}
CELLS = {"cnn": 2, "rnn": 1, "nasbench201": 1}


@pytest.mark.parametrize("name", list(ENCODINGS))
def test_every_genotype_of_a_space_is_equally_likely(name):
    seen = Counter(map(written, drawn(name, seed=1, count=DRAWS)))
    possible = list(product(*(POSSIBLE[name] * CELLS[name])))
    assert set(seen) <= set(possible)
    assert chisquare([seen[one] for one in possible]).pvalue > 1e-3


def test_none_is_drawn_where_a_cell_keeps_all_its_edges_and_nowhere_else():
    operations = {
        name: {pair[0] for one in drawn(name, 0, 200) for node in written(one) for pair in node} for name in ENCODINGS
    }
    assert operations == {
        "cnn": {"skip_connect", "sep_conv_3x3"},
        "rnn": {"tanh", "relu", "identity"},
        "nasbench201": {"none", "skip_connect", "nor_conv_1x1"},
    }


@pytest.mark.parametrize("name", list(ENCODINGS))
def test_a_seed_fixes_the_genotypes_and_another_seed_gives_others(name):
    assert drawn(name, 5, 20) == drawn(name, 5, 20)
    assert drawn(name, 5, 20) != drawn(name, 6, 20)


def test_distinct_draws_see_each_of_27_cells_once():
    assert len(set(map(written, drawn("nasbench201", 0, 27, distinct=True)))) == 27
