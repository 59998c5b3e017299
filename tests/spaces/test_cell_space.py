"""Search spaces as data."""

import pytest
import torch

from darts_pl.errors import UserError
from darts_pl.spaces import CellSpace, SearchSpace, Supernet, build_space, relaxation
from darts_pl.spaces.space import uniform_cell
from tests.paper import CANDIDATES as PAPER


def test_edges_are_numbered_node_by_node_and_inside_a_node_by_source():
    space = build_space("cnn", PAPER, 4)
    for cell in space.cells.values():
        assert cell.edges == (
            (0, 2), (1, 2),
            (0, 3), (1, 3), (2, 3),
            (0, 4), (1, 4), (2, 4), (3, 4),
            (0, 5), (1, 5), (2, 5), (3, 5), (4, 5),
        )  # fmt: skip
        assert cell.shape == (14, 8)
        assert cell.leaving(0) == (0, 2, 5, 9)
        assert cell.leaving(4) == (13,)
        assert cell.entering(2) == (0, 1)
        assert cell.entering(5) == (9, 10, 11, 12, 13)
        assert cell.candidates == (PAPER,) * 14


@pytest.mark.parametrize("nodes", [1, 2, 3, 7])
@pytest.mark.parametrize("input_nodes", [1, 2])
def test_leaving_and_entering_each_hold_every_edge_once(nodes, input_nodes):
    cell = uniform_cell(input_nodes, nodes, 1, ("skip_connect",))
    everything = list(range(nodes * input_nodes + nodes * (nodes - 1) // 2))
    last = input_nodes + nodes - 1
    assert [edge for target in range(input_nodes, last + 1) for edge in cell.entering(target)] == everything
    assert sorted(edge for source in range(last) for edge in cell.leaving(source)) == everything
    for source in range(last):
        targets = [cell.edges[edge][1] for edge in cell.leaving(source)]
        assert targets == list(range(max(source + 1, input_nodes), last + 1))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: build_space("cnn", PAPER, 0), "at least 1 intermediate node, not 0"),
        (lambda: build_space("cmm", PAPER, 4), "unknown search space 'cmm'; known: cnn"),
        (lambda: build_space("cnn", ("none",), 4), "hold no operation"),
        (lambda: build_space("cnn", ("sep_conv_3x4",), 4), "unknown operation 'sep_conv_3x4'"),
        (lambda: uniform_cell(1, 4, 2, PAPER), "a node can keep 1 to 1 inputs, not 2"),
        (lambda: relaxation("softmaxx"), "unknown relaxation 'softmaxx'; did you mean 'softmax'"),
    ],
)
def test_an_impossible_space_is_refused_with_the_value_in_at_most_three_lines(build, message):
    with pytest.raises(UserError, match=message) as caught:
        build()
    assert len(str(caught.value).splitlines()) <= 3


@pytest.fixture
def ragged():
    """Two nodes; the edges of the normal cell have 1 to 3 candidates."""
    normal = CellSpace(2, 2, 2, (
        ("none", "skip_connect", "sep_conv_3x3"), ("skip_connect",), ("max_pool_3x3", "skip_connect"),
        ("none", "max_pool_3x3"), ("sep_conv_3x3",),
    ))  # fmt: skip
    return SearchSpace("cnn", {"normal": normal, "reduce": uniform_cell(2, 2, 2, ("none", "skip_connect"))})


def test_mixing_weights_are_exponentials_over_their_sum_on_the_candidates_that_an_edge_has(ragged):
    net = Supernet(ragged)
    for name, cell in ragged.cells.items():
        torch.nn.init.normal_(net.alphas[name])
        alphas, weights = net.alphas[name].detach().double().exp(), net.mixing_weights()[name]
        assert weights.shape == cell.shape
        torch.testing.assert_close(weights.sum(1), torch.ones(len(cell.edges)))
        for edge, candidates in enumerate(cell.candidates):
            expected = alphas[edge, : len(candidates)] / alphas[edge, : len(candidates)].sum()
            torch.testing.assert_close(weights[edge, : len(candidates)].double(), expected, rtol=1e-6, atol=0)
            assert not weights[edge, len(candidates) :].any()


def test_an_absent_candidate_gets_no_gradient(ragged):
    net = Supernet(ragged)
    net.mixing_weights()["normal"].square().sum().backward()
    gradient = net.alphas["normal"].grad
    present = torch.tensor([[o < len(names) for o in range(3)] for names in ragged.cells["normal"].candidates])
    assert not gradient[~present].any()
    assert gradient[0].all()


def test_a_mask_fixes_numbers_leaves_nan_relaxed_and_does_not_renormalise():
    net = Supernet(build_space("cnn", PAPER, 2))
    relaxed = {name: weights.detach() for name, weights in net.mixing_weights().items()}
    values = torch.full((5, 8), torch.nan)
    values[0, 3], values[1, 2], values[4] = 0, 1, 0.25
    net.mask("normal", values)
    weights = net.mixing_weights()
    assert torch.equal(weights["normal"], torch.where(values.isnan(), relaxed["normal"], values))
    assert torch.equal(weights["reduce"], relaxed["reduce"])
    gradient = torch.autograd.grad(weights["normal"].square().sum(), net.alphas["normal"])[0]
    assert not gradient[4].any()
    assert gradient[:4].all()
    net.mask("normal", None)
    assert torch.equal(net.mixing_weights()["normal"], relaxed["normal"])


def test_alphas_are_parameters_and_in_the_state_dict_but_are_no_weights():
    net = Supernet(build_space("cnn", PAPER, 4))
    net.extra = torch.nn.Linear(2, 3)
    assert {"alphas.normal", "alphas.reduce"} <= dict(net.named_parameters()).keys()
    assert {"alphas.normal", "alphas.reduce"} <= net.state_dict().keys()
    assert list(net.weights()) == net.weight_names() == ["extra.weight", "extra.bias"]
    assert list(net.weights().values()) == list(net.extra.parameters())


def test_initial_alphas_are_a_thousandth_of_the_normal_distribution():
    torch.manual_seed(1)
    alphas = torch.cat([Supernet(build_space("cnn", PAPER, 12)).alphas["normal"].detach() for _ in range(10)])
    assert len(alphas) == 900
    assert alphas.std().item() == pytest.approx(1e-3, rel=0.05)
    assert abs(alphas.mean().item()) < 5e-3 / len(alphas.flatten()) ** 0.5


def test_given_alphas_are_copied_into_the_parameters():
    net = Supernet(build_space("cnn", PAPER, 2))
    parameter, given = net.alphas["normal"], torch.randn(5, 8)
    net.load_alphas({"normal": given})
    assert net.alphas["normal"] is parameter
    assert torch.equal(parameter, given)
    assert parameter.requires_grad
