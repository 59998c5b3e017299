"""Genotypes as integers: which there are, which differ by one decision, and how likely each is drawn."""

import itertools
import math
import random
from collections import Counter

import pytest
from scipy.stats import chisquare

from darts_pl.errors import UserError
from darts_pl.genotype import CellGenotype, Genotype, Pair
from darts_pl.selection import random_genotype
from darts_pl.spaces import CellSpace, SearchSpace, build_space
from darts_pl.strategies import Encoding
from darts_pl.zoo import published
from tests.strategies.conftest import ENCODINGS, TABLE_OPERATIONS, fully_connected

PAPER = ("none", "max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3")


def every(encoding):
    """All valid integers, by trying every combination."""
    return [one for one in itertools.product(*map(range, encoding.sizes)) if encoding.is_valid(one)]


def pairs_of(genotype):
    return [
        {(name, index, pair) for index, node in enumerate(cell.nodes) for pair in node}
        for name, cell in genotype.cells.items()
    ]


def test_the_paper_s_space_has_as_many_cells_as_the_paper_says():
    encoding = Encoding(build_space("cnn", (*PAPER, "dil_conv_5x5"), 4))
    sizes = dict(zip((decision.name for decision in encoding.decisions), encoding.sizes, strict=True))
    normal = math.prod(size for name, size in sizes.items() if name.startswith("normal"))
    # Liu et al. 2019, appendix A.2.2: prod over k = 1..4 of (k + 1) k / 2 * 7^2, about 10^9 per cell type.
    assert normal == math.prod((k + 1) * k // 2 * 49 for k in range(1, 5)) == 1_037_664_180
    assert sizes["normal/node4/inputs"] == 6
    assert encoding.decisions[1].name == "normal/node2/op0"


def test_nas_bench_201_has_15625_cells():
    assert math.prod(fully_connected().sizes) == 15_625
    assert fully_connected().decisions[3].choices == TABLE_OPERATIONS


def test_every_genotype_of_a_small_space_has_integers_of_its_own():
    encoding = Encoding(build_space("rnn", ("none", "tanh", "relu"), 3))
    genotypes = {encoding.decode(one): one for one in every(encoding)}
    assert len(genotypes) == (1 * 2) * (2 * 2) * (3 * 2)
    assert all(encoding.encode(genotype) == one for genotype, one in genotypes.items())


def test_the_order_of_a_node_s_pairs_does_not_matter(encoding):
    for seed in range(20):
        integers = encoding.draw(random.Random(seed))
        genotype = encoding.decode(integers)
        turned = {
            name: CellGenotype(tuple(node[::-1] for node in cell.nodes), cell.concat[::-1])
            for name, cell in genotype.cells.items()
        }
        assert encoding.encode(Genotype(genotype.kind, turned)) == integers


def test_published_cells_are_in_the_space():
    encoding = Encoding(build_space("cnn", (*PAPER, "dil_conv_5x5"), 4))
    for name in ("darts_v1", "darts_v2"):
        genotype = published(name)
        assert pairs_of(encoding.decode(encoding.encode(genotype))) == pairs_of(genotype)


def test_random_genotypes_are_in_the_space_and_equally_likely():
    space = build_space("cnn", ("none", "skip_connect", "sep_conv_3x3"), 2)
    encoding = Encoding(space)
    drawn = Counter(encoding.draw(random.Random(seed)) for seed in range(4000))
    assert {encoding.encode(random_genotype(space, seed)) for seed in range(200)} <= set(every(encoding))
    for index, size in enumerate(encoding.sizes):
        counts = Counter()
        for integers, count in drawn.items():
            counts[integers[index]] += count
        assert size == 1 or chisquare([counts[value] for value in range(size)]).pvalue > 1e-3


def test_neighbours_differ_by_one_operation_or_by_the_sources_of_one_node(encoding):
    integers = encoding.draw(random.Random(3))
    before = encoding.decode(integers)
    found = encoding.neighbours(integers)
    assert len(set(found)) == len(found)
    assert integers not in found
    for one in found:
        after = encoding.decode(one)
        changed = [
            (old, new)
            for name in before.cells
            for old, new in zip(before.cells[name].nodes, after.cells[name].nodes, strict=True)
            if old != new
        ]
        assert len(changed) == 1
        old, new = changed[0]
        if {pair.source for pair in old} == {pair.source for pair in new}:
            assert sum(one != other for one, other in zip(old, new, strict=True)) == 1
        else:  # operations stay with their sources, and those of dropped sources go to the new ones
            assert Counter(pair.operation for pair in old) == Counter(pair.operation for pair in new)
            kept = {pair.source for pair in old} & {pair.source for pair in new}
            assert {pair for pair in old if pair.source in kept} == {pair for pair in new if pair.source in kept}


@pytest.mark.parametrize(
    ("name", "count"),
    # cnn: sources 0 + 2 + 5 other pairs, 2 x 3 operations with 2 others each, two cell types;
    # rnn: 0 + 1 + 2 + 3 other sources, 4 x 2 other activations; fully connected: 6 edges with 4 others.
    [("cnn", 2 * (7 + 6 * 2)), ("rnn", 6 + 4 * 2), ("fully_connected", 6 * 4)],
)
def test_the_number_of_neighbours_is_that_of_other_choices(name, count):
    encoding = ENCODINGS[name]
    assert len(encoding.neighbours(encoding.draw(random.Random(0)))) == count


def test_being_a_neighbour_is_mutual_and_reaches_the_whole_space():
    encoding = Encoding(build_space("cnn", ("none", "skip_connect", "sep_conv_3x3"), 2))
    whole = every(encoding)
    neighbours = {one: set(encoding.neighbours(one)) for one in whole}
    assert all(one in neighbours[other] for one in whole for other in neighbours[one])
    reached = {whole[0]}
    while new := {other for one in reached for other in neighbours[one]} - reached:
        reached |= new
    assert reached == set(whole)


def test_a_mutation_is_a_neighbour_and_changes_sources_as_often_as_wanted():
    encoding = ENCODINGS["cnn"]
    integers = encoding.draw(random.Random(0))
    allowed = set(encoding.neighbours(integers))
    inputs = [index for index, decision in enumerate(encoding.decisions) if decision.is_inputs]
    children = [encoding.mutate(integers, random.Random(seed), 0.25) for seed in range(2000)]
    assert set(children) <= allowed
    changed = sum(any(child[index] != integers[index] for index in inputs) for child in children)
    assert abs(changed / 2000 - 0.25) < 4 * math.sqrt(0.25 * 0.75 / 2000)


def test_candidates_may_differ_per_edge():
    of_edges = (("skip_connect",), ("none", "max_pool_3x3"), ("sep_conv_3x3",), ("none", "skip_connect"), ("none",))
    cell = CellSpace(2, 2, 2, of_edges)
    encoding = Encoding(SearchSpace("cnn", {"normal": cell, "reduce": cell}))
    only = ((Pair("skip_connect", 0), Pair("max_pool_3x3", 1)), (Pair("sep_conv_3x3", 0), Pair("skip_connect", 1)))
    found = {encoding.decode(encoding.draw(random.Random(seed))).cells["normal"].nodes for seed in range(20)}
    assert found == {only}
    assert encoding.neighbours(encoding.draw(random.Random(0))) == []
    assert encoding.mutate(encoding.draw(random.Random(0)), random.Random(0)) == encoding.draw(random.Random(0))


def test_an_operation_that_a_new_edge_lacks_becomes_one_that_it_has():
    of_edges = (("tanh",), ("relu", "tanh"), ("sigmoid",))
    encoding = Encoding(SearchSpace("rnn", {"recurrent": CellSpace(1, 2, 1, of_edges)}))
    integers = encoding.encode(
        Genotype("rnn", {"recurrent": CellGenotype(((Pair("tanh", 0),), (Pair("tanh", 0),)), (1, 2))})
    )
    found = {encoding.decode(one).cells["recurrent"].nodes[1] for one in encoding.neighbours(integers)}
    assert found == {(Pair("relu", 0),), (Pair("sigmoid", 1),)}


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([("tanh", 0), ("relu", 1), ("relu", 0)], "has 3 nodes; cells of this space 4"),
        ([("tanh", 0), ("softplus", 1), ("relu", 0), ("tanh", 2)], "'softplus' is no candidate of the edge"),
        ([("tanh", 0), ("none", 1), ("relu", 0), ("tanh", 2)], "'none' is no candidate of the edge"),
    ],
)
def test_a_genotype_of_another_space_is_refused_by_name(nodes, message):
    cell = CellGenotype(tuple((Pair(*pair),) for pair in nodes), tuple(range(1, len(nodes) + 1)))
    if len(nodes) == 4:
        with pytest.raises(UserError, match=message):
            ENCODINGS["rnn"].encode(Genotype("rnn", {"recurrent": cell}))
    else:
        with pytest.raises(UserError, match="concatenates"):
            ENCODINGS["rnn"].encode(Genotype("rnn", {"recurrent": cell}))


def test_a_node_cannot_read_one_source_twice():
    encoding = ENCODINGS["cnn"]
    genotype = encoding.decode(encoding.draw(random.Random(0)))
    nodes = genotype.cells["normal"].nodes
    twice = CellGenotype(((Pair("skip_connect", 0), Pair("sep_conv_3x3", 0)), *nodes[1:]), (2, 3, 4))
    with pytest.raises(UserError, match=r"node 2 of the normal cell reads nodes \[0, 0\]"):
        encoding.encode(Genotype("cnn", {"normal": twice, "reduce": genotype.cells["reduce"]}))


def test_a_node_without_enough_edges_is_refused():
    cell = CellSpace(2, 1, 2, (("none",), ("skip_connect",)))
    with pytest.raises(UserError, match="node 2 of the normal cell has 1 edges"):
        Encoding(SearchSpace("cnn", {"normal": cell, "reduce": cell}))
