"""Candidates as one list for each edge."""

import json
import random

import pytest
import torch
import yaml

from darts_pl.cli import config_folder
from darts_pl.errors import UserError
from darts_pl.selection import magnitude, random_genotype
from darts_pl.spaces import CnnSupernet, RnnSupernet, build_space, cell_space
from tests.bare import Bare

LISTS = (
    ("none", "skip_connect", "sep_conv_3x3"),
    ("max_pool_3x3",),
    ("avg_pool_3x3", "skip_connect"),
    ("dil_conv_3x3", "none"),
    ("sep_conv_5x5",),
)


def test_every_edge_has_the_candidates_of_its_own_list():
    space = build_space("cnn", [list(names) for names in LISTS], 2)
    for cell in space.cells.values():
        assert cell.candidates == LISTS
        assert cell.shape == (5, 3)
    assert build_space("cnn", [["skip_connect"]] * 5, 2) == build_space("cnn", ["skip_connect"], 2)


def test_alphas_of_ragged_edges_are_as_wide_as_the_longest_list_and_absent_ones_mix_with_zero():
    net = Bare(build_space("cnn", LISTS, 2), alpha_scale=1.0)
    for name, mixing in net.mixing().items():
        assert net.alphas[name].shape == (5, 3)
        exponentials = net.alphas[name].detach().exp()
        for edge, names in enumerate(LISTS):
            present = exponentials[edge, : len(names)]
            torch.testing.assert_close(mixing.weights[edge, : len(names)].detach(), present / present.sum())
            assert mixing.weights[edge, len(names) :].tolist() == [0.0] * (3 - len(names))
            assert mixing.alive[edge] == tuple(column < len(names) for column in range(3))


def test_a_supernet_of_lists_moves_only_what_an_edge_has():
    net = CnnSupernet(build_space("cnn", LISTS, 2), init_channels=2, layers=3, classes=3, alpha_scale=1.0).double()
    batch = torch.randn(3, 3, 8, 8, dtype=torch.float64), torch.tensor([0, 1, 2])
    alphas = list(net.architecture().values())
    for gradient in torch.autograd.grad(net.loss(batch, net.mixing()).loss, alphas):
        for edge, names in enumerate(LISTS):
            moved = gradient[edge] != 0
            # The softmax of a single candidate is constant.
            assert moved.tolist() == [len(names) > 1 and column < len(names) for column in range(3)]


def test_a_genotype_takes_for_each_edge_the_strongest_of_its_own_list():
    net = Bare(build_space("cnn", LISTS, 2))
    with torch.no_grad():
        net.alphas["normal"].copy_(
            torch.tensor([[0.0, 1.0, 2.0], [0.0, 9.0, 9.0], [0.0, 1.0, 9.0], [1.0, 0.0, 9.0], [0.0, 9.0, 9.0]])
        )
    # Strengths: sep_conv_3x3 0.67 and max_pool_3x3 1; skip_connect 0.73, dil_conv_3x3 0.73, sep_conv_5x5 1.
    nodes = magnitude(net).cells["normal"].nodes
    assert [[(pair.operation, pair.source) for pair in node] for node in nodes] == [
        [("max_pool_3x3", 1), ("sep_conv_3x3", 0)],
        [("sep_conv_5x5", 2), ("skip_connect", 0)],
    ]


@pytest.mark.parametrize("seed", range(20))
def test_a_random_genotype_draws_for_each_edge_from_its_own_list(seed):
    space = build_space("cnn", LISTS, 2)
    edges = space.cells["normal"].edges
    for cell in random_genotype(space, random.Random(seed).randrange(1000)).cells.values():
        for node, pairs in enumerate(cell.nodes, start=2):
            for pair in pairs:
                assert pair.operation in set(LISTS[edges.index((pair.source, node))]) - {"none"}


def test_a_recurrent_space_takes_lists_too():
    space = build_space("rnn", [["tanh"], ["relu", "tanh"], ["identity", "none", "sigmoid"]], 2)
    net = RnnSupernet(space, vocabulary=7, units=3, alpha_scale=1.0)
    assert net.alphas["recurrent"].shape == (3, 3)
    assert net.mixing()["recurrent"].alive == ((True, False, False), (True, True, False), (True, True, True))


@pytest.mark.parametrize(
    ("name", "candidates", "nodes", "message"),
    [
        ("cnn", LISTS[:4], 2, "4 lists for a cell of 5 edges; give one list for each edge"),
        ("cnn", LISTS, 3, "5 lists for a cell of 9 edges; give one list for each edge"),
        ("cnn", (*LISTS[:4], "skip_connect"), 2, "either names for all edges, or one list of names for each edge"),
        ("cnn", (*LISTS[:4], ("sep_conv_3x4",)), 2, "unknown operation 'sep_conv_3x4'"),
        ("cnn", (*LISTS[:4], ("none",)), 2, "hold no operation"),
        ("cnn", (*LISTS[:4], ()), 2, "hold no operation"),
        ("cnn", (*LISTS[:4], ("skip_connect", "skip_connect")), 2, "twice"),
        ("rnn", (("tanh",), ("tanh",), ("swish",)), 2, "unknown activation 'swish'"),
    ],
)
def test_lists_that_fit_no_cell_are_refused_in_few_lines(name, candidates, nodes, message):
    with pytest.raises(UserError, match=message) as caught:
        build_space(name, candidates, nodes)
    assert len(str(caught.value).splitlines()) <= 2


def test_a_cell_that_keeps_all_inputs_is_a_cell_space_too():
    cell = cell_space(1, 3, None, ("skip_connect",), lambda names: None)
    assert cell.inputs_per_node == 3
    assert len(cell.edges) == 6


@pytest.mark.parametrize("name", ["s1", "s2", "s3", "s4"])
def test_the_restricted_spaces_are_those_that_were_recorded_from_the_authors_code(goldens, name):
    recorded = json.loads((goldens / "family" / "rdarts_genotypes.json").read_text())["spaces"][name]
    values = yaml.safe_load((config_folder() / "search" / f"cnn_{name}.yaml").read_text())["search"]
    cells = build_space("cnn", values["candidates"], 4).cells
    assert {kind: [list(one) for one in cell.candidates] for kind, cell in cells.items()} == recorded


def test_lists_for_the_edges_of_both_cells_are_given_one_cell_after_the_other():
    normal, reduce = [["skip_connect"]] * 5, [["sep_conv_3x3", "noise"]] * 5
    cells = build_space("cnn", [*normal, *reduce], 2).cells
    assert cells["normal"].candidates == (("skip_connect",),) * 5
    assert cells["reduce"].candidates == (("sep_conv_3x3", "noise"),) * 5
    with pytest.raises(UserError, match="9 lists for a cell of 5 edges"):
        build_space("cnn", [*normal, *reduce[1:]], 2)
