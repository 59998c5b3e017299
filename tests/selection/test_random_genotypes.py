"""Random genotypes: what they are drawn from, and that each is as likely as any other."""

from collections import Counter
from itertools import combinations

import pytest
from scipy.stats import chisquare

from darts_pl.errors import UserError
from darts_pl.selection import random_genotype
from darts_pl.spaces import CellSpace, SearchSpace, build_space

CANDIDATES = ("none", "skip_connect", "max_pool_3x3", "sep_conv_3x3")
DRAWS = 2000


@pytest.fixture(scope="module")
def drawn():
    space = build_space("cnn", CANDIDATES, 3)
    return [random_genotype(space, seed) for seed in range(DRAWS)]


@pytest.mark.parametrize("cell_type", ["normal", "reduce"])
@pytest.mark.parametrize("node", [0, 1, 2])
def test_every_pair_of_sources_is_equally_likely(drawn, cell_type, node):
    seen = Counter(tuple(pair.source for pair in genotype.cells[cell_type].nodes[node]) for genotype in drawn)
    possible = list(combinations(range(node + 2), 2))
    assert set(seen) <= set(possible)
    if len(possible) > 1:
        assert chisquare([seen[sources] for sources in possible]).pvalue > 1e-3


@pytest.mark.parametrize("place", range(6))
def test_every_operation_but_none_is_equally_likely_everywhere(drawn, place):
    for cell_type in ("normal", "reduce"):
        seen = Counter(genotype.cells[cell_type].pairs[place].operation for genotype in drawn)
        assert set(seen) == set(CANDIDATES[1:])
        assert chisquare([seen[name] for name in CANDIDATES[1:]]).pvalue > 1e-3


def test_the_cells_of_one_genotype_are_drawn_independently(drawn):
    seen = Counter((g.cells["normal"].pairs[0].operation, g.cells["reduce"].pairs[0].operation) for g in drawn)
    assert chisquare([seen[a, b] for a in CANDIDATES[1:] for b in CANDIDATES[1:]]).pvalue > 1e-3


def test_a_seed_gives_one_genotype_and_other_seeds_others(drawn):
    space = build_space("cnn", CANDIDATES, 3)
    assert [random_genotype(space, seed) for seed in range(20)] == drawn[:20]
    assert len(set(drawn)) > 0.99 * DRAWS


def test_only_candidates_that_an_edge_has_are_drawn_for_it():
    of_node_2 = {(2, 0): ("skip_connect",), (2, 1): ("none", "max_pool_3x3")}
    of_node_3 = {(3, 0): ("sep_conv_3x3",), (3, 1): ("none", "skip_connect"), (3, 2): ("max_pool_3x3",)}
    cell = CellSpace(2, 2, 2, tuple((of_node_2 | of_node_3).values()))
    space = SearchSpace("cnn", {"normal": cell, "reduce": cell})
    allowed = {edge: candidates[-1] for edge, candidates in (of_node_2 | of_node_3).items()}
    for seed in range(50):
        for node, pairs in enumerate(random_genotype(space, seed).cells["normal"].nodes, start=2):
            for pair in pairs:
                assert pair.operation == allowed[node, pair.source]


def test_an_edge_with_none_alone_is_never_drawn_and_too_few_others_are_refused():
    def space(*candidates):
        cell = CellSpace(2, 2, 2, candidates)
        return SearchSpace("cnn", {"normal": cell, "reduce": cell})

    skip, none = ("none", "skip_connect"), ("none",)
    for seed in range(30):
        nodes = random_genotype(space(skip, skip, none, skip, skip), seed).cells["reduce"].nodes
        assert [pair.source for pair in nodes[1]] == [1, 2]
    with pytest.raises(UserError, match="node 2 of the normal cell has 1 edges with a candidate besides 'none'"):
        random_genotype(space(skip, none, skip, skip, skip), 0)
