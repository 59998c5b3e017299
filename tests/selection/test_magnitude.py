"""The strongest candidates of a supernet's mixing weights."""

import copy

import pytest
import torch

from darts_pl.genotype import Pair
from darts_pl.selection import RULES, magnitude
from darts_pl.selection.magnitude import strongest
from darts_pl.spaces import CellSpace, SearchSpace, build_space
from tests.bare import Bare

CANDIDATES = ("none", "skip_connect", "max_pool_3x3", "sep_conv_3x3")
NONE, SKIP, POOL, CONV = range(4)


def cell_of(weights, nodes=2):
    """The normal cell of given mixing weights."""
    space = build_space("cnn", CANDIDATES, nodes)
    weights = torch.as_tensor(weights, dtype=torch.float64)
    return strongest(space, {"normal": weights, "reduce": torch.full_like(weights, 0.25)}).cells["normal"]


def test_the_pairs_of_a_node_are_listed_strongest_first_and_the_weakest_edge_is_left_out():
    cell = cell_of(
        [
            [0.1, 0.5, 0.2, 0.2],
            [0.1, 0.1, 0.7, 0.1],
            [0.1, 0.2, 0.1, 0.6],
            [0.2, 0.3, 0.2, 0.3],
            [0.0, 0.1, 0.2, 0.7],
        ]
    )
    assert cell.nodes == (
        (Pair("max_pool_3x3", 1), Pair("skip_connect", 0)),
        (Pair("sep_conv_3x3", 2), Pair("sep_conv_3x3", 0)),
    )
    assert cell.concat == (2, 3)


@pytest.mark.parametrize("candidates", [CANDIDATES, CANDIDATES[::-1]])
def test_a_tie_goes_to_the_first_candidate_and_to_the_lowest_source(candidates):
    space, equal = build_space("cnn", candidates, 3), torch.full((9, 4), 0.25)
    first = next(name for name in candidates if name != "none")
    for cell in strongest(space, {"normal": equal, "reduce": equal}).cells.values():
        assert cell.nodes == ((Pair(first, 0), Pair(first, 1)),) * 3


def test_of_three_edges_the_two_strongest_that_tie_are_kept():
    tied = torch.full((9, 4), 0.25)
    tied[[5, 7], 3] = 0.4  # node 4, sources 0 and 2
    assert cell_of(tied, nodes=3).nodes[2] == (Pair("sep_conv_3x3", 0), Pair("sep_conv_3x3", 2))


def test_none_is_never_chosen_but_weakens_its_edge_through_the_softmax():
    supernet = Bare(build_space("cnn", CANDIDATES, 2))
    with torch.no_grad():
        for alphas in supernet.alphas.values():
            alphas.zero_()
            alphas[2, CONV] = 3.0  # the largest alpha of all: weight e^3 / (e^3 + 2 + e^5) = 0.12
            alphas[2, NONE] = 5.0
            alphas[3, POOL] = 0.1  # weight 0.27
            alphas[4, SKIP] = 0.2  # weight 0.29
    for cell in magnitude(supernet).cells.values():
        assert cell.nodes[1] == (Pair("skip_connect", 2), Pair("max_pool_3x3", 1))
        assert "none" not in {pair.operation for pair in cell.pairs}


def test_an_edge_is_judged_by_the_candidates_that_it_has():
    of_node_2, of_node_3 = (
        (("skip_connect",), ("none", "max_pool_3x3")),
        (("none",), ("sep_conv_3x3",), ("none", "skip_connect")),
    )
    cell = CellSpace(2, 2, 2, of_node_2 + of_node_3)
    supernet = Bare(SearchSpace("cnn", {"normal": cell, "reduce": cell}))
    with torch.no_grad():
        supernet.alphas["normal"][2:, :] = torch.tensor([[9.0, 9.0], [-5.0, 9.0], [0.0, 1.0]])
    assert magnitude(supernet).cells["normal"].nodes == (
        (Pair("skip_connect", 0), Pair("max_pool_3x3", 1)),
        (Pair("sep_conv_3x3", 1), Pair("skip_connect", 2)),
    )


@pytest.mark.parametrize("seed", range(5))
def test_the_genotype_is_that_of_every_alpha_moved_by_the_same_number_per_edge(seed):
    torch.manual_seed(seed)
    supernet = Bare(build_space("cnn", CANDIDATES, 4)).double()
    torch.nn.init.normal_(supernet.alphas["normal"])
    before = magnitude(supernet)
    with torch.no_grad():
        supernet.alphas["normal"] += torch.randn(14, 1)
    assert magnitude(supernet) == before


def test_selecting_changes_nothing():
    supernet = Bare(build_space("cnn", CANDIDATES, 4), alpha_scale=1e-3)
    before = copy.deepcopy(supernet.state_dict())
    magnitude(supernet)
    after = supernet.state_dict()
    assert all(torch.equal(values, before[name]) for name, values in after.items())
    assert all(parameter.grad is None for parameter in supernet.parameters())


def test_rules_are_found_by_name():
    assert RULES.get("magnitude")() is magnitude
    assert "magnitude" in RULES
    message = "unknown selection rule 'magnitud'; did you mean 'magnitude'\\? known: magnitude"
    with pytest.raises(ValueError, match=message) as caught:
        RULES.get("magnitud")
    assert len(str(caught.value).splitlines()) <= 3
