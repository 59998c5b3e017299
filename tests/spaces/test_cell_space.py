"""Search spaces as data."""

import pytest
import torch

from darts_pl.errors import UserError
from darts_pl.spaces import RELAXATIONS, CellSpace, SearchSpace, build_space, cell_space, fix_weights
from tests.bare import Bare
from tests.paper import CANDIDATES as PAPER


def anything(candidates):
    """Refuses no candidate."""


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
    cell = cell_space(input_nodes, nodes, 1, ("skip_connect",), anything)
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
        (lambda: cell_space(1, 4, 2, PAPER, anything), "a node can keep 1 to 1 inputs, not 2"),
        (
            lambda: RELAXATIONS.get("softmaxx"),
            "unknown relaxation 'softmaxx'; did you mean 'softmax'\\? known: softmax",
        ),
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
    return SearchSpace("cnn", {"normal": normal, "reduce": cell_space(2, 2, 2, ("none", "skip_connect"), anything)})


def test_mixing_weights_are_exponentials_over_their_sum_on_the_candidates_that_an_edge_has(ragged):
    net = Bare(ragged, alpha_scale=1.0)
    for name, cell in ragged.cells.items():
        alphas, weights = net.alphas[name].detach().double().exp(), net.mixing()[name].weights
        assert weights.shape == cell.shape
        torch.testing.assert_close(weights.sum(1), torch.ones(len(cell.edges)))
        for edge, candidates in enumerate(cell.candidates):
            expected = alphas[edge, : len(candidates)] / alphas[edge, : len(candidates)].sum()
            torch.testing.assert_close(weights[edge, : len(candidates)].double(), expected, rtol=1e-6, atol=0)
            assert not weights[edge, len(candidates) :].any()


def test_an_absent_candidate_gets_no_gradient_and_is_not_alive(ragged):
    net = Bare(ragged, alpha_scale=1.0)
    mixing = net.mixing()["normal"]
    mixing.weights.square().sum().backward()
    gradient = net.alphas["normal"].grad
    present = torch.tensor([[o < len(names) for o in range(3)] for names in ragged.cells["normal"].candidates])
    assert not gradient[~present].any()
    assert gradient[0].all()
    assert mixing.alive == tuple(map(tuple, present.tolist()))
    assert net.mixing()["reduce"].alive is None


def test_fixed_weights_are_set_leave_the_others_relaxed_and_are_not_renormalised():
    net = Bare(build_space("cnn", PAPER, 2), alpha_scale=1e-3)
    relaxed = {name: mixing.weights.detach() for name, mixing in net.mixing().items()}
    values = {(0, 3): 0.0, (1, 2): 1.0, **{(4, column): 0.25 for column in range(8)}}
    expected = relaxed["normal"].clone()
    for (edge, column), value in values.items():
        expected[edge, column] = value
    net.fix("normal", values)
    mixing = net.mixing()
    assert torch.equal(mixing["normal"].weights, expected)
    assert torch.equal(mixing["reduce"].weights, relaxed["reduce"])
    assert [(e, o) for e, row in enumerate(mixing["normal"].alive) for o, alive in enumerate(row) if not alive] == [
        (0, 3)
    ]
    gradient = torch.autograd.grad(mixing["normal"].weights.square().sum(), net.alphas["normal"])[0]
    assert not gradient[4].any()
    assert gradient[:4].all()
    net.fix("normal", None)
    assert torch.equal(net.mixing()["normal"].weights, relaxed["normal"])
    assert net.mixing()["normal"].alive is None
    of_one_pass = fix_weights(net.mixing()["normal"], values)
    assert torch.equal(of_one_pass.weights, expected)
    assert of_one_pass.alive == mixing["normal"].alive
    assert torch.equal(net.mixing()["normal"].weights, relaxed["normal"])


def test_alphas_are_parameters_and_in_the_state_dict_but_are_no_weights():
    net = Bare(build_space("cnn", PAPER, 4))
    net.extra = torch.nn.Linear(2, 3)
    assert net.architecture() == {f"alphas.{name}": net.alphas[name] for name in ("normal", "reduce")}
    assert {"arch.alphas.normal", "arch.alphas.reduce"} <= dict(net.named_parameters()).keys()
    assert {"arch.alphas.normal", "arch.alphas.reduce"} <= net.state_dict().keys()
    assert list(net.weights()) == ["extra.weight", "extra.bias"]
    assert list(net.weights().values()) == list(net.extra.parameters())


@pytest.mark.parametrize("scale", [1e-3, 0.5])
def test_initial_alphas_are_normally_distributed_with_the_given_deviation(scale):
    torch.manual_seed(1)
    space = build_space("cnn", PAPER, 12)
    alphas = torch.cat([Bare(space, alpha_scale=scale).alphas["normal"].detach() for _ in range(10)])
    assert len(alphas) == 900
    assert alphas.std().item() == pytest.approx(scale, rel=0.05)
    assert abs(alphas.mean().item()) < 5 * scale / len(alphas.flatten()) ** 0.5
    assert not Bare(space).alphas["normal"].any()


def test_given_alphas_are_copied_into_the_parameters():
    net = Bare(build_space("cnn", PAPER, 2))
    parameter, given = net.alphas["normal"], torch.randn(5, 8)
    net.load_alphas({"normal": given})
    assert net.alphas["normal"] is parameter
    assert torch.equal(parameter, given)
    assert parameter.requires_grad
