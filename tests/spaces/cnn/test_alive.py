"""Which candidates one pass computes: those that are alive, edge by edge, and no others."""

import itertools

import pytest
import torch
from torch import nn

from darts_pl.interop import export_supernet
from darts_pl.ops import candidate, names, registry
from darts_pl.spaces import CellSpace, CnnSupernet, Mixing, SearchSpace, build_space
from tests.paper import CANDIDATES as PAPER
from tests.registrations import keep_registrations
from tests.spaces.cnn.two_forms import assert_same, both


def supernet_of(space, **sizes):
    return CnnSupernet(space, **{"init_channels": 2, "layers": 3, "classes": 3, "alpha_scale": 1.0, **sizes}).double()


def drawn_alive(space, seed):
    """By cell type, of every edge and candidate whether it is alive: about half of them."""
    generator = torch.Generator().manual_seed(seed)
    return {
        name: tuple(tuple(row) for row in (torch.rand(cell.shape, generator=generator) < 0.5).tolist())
        for name, cell in space.cells.items()
    }


def with_alive(net, alive):
    """The mixing with weights that say nothing about who is alive: all are above 0."""
    return {name: mixing._replace(alive=alive[name]) for name, mixing in net.mixing().items()}


def ragged_space():
    candidates = (
        ("skip_connect", "sep_conv_3x3", "dil_conv_3x3"),
        ("dil_conv_3x3", "sep_conv_3x3"),
        ("avg_pool_3x3", "skip_connect"),
        ("sep_conv_3x3", "none", "max_pool_3x3"),
        ("avg_pool_3x3", "sep_conv_3x3"),
    )
    return SearchSpace("cnn", {name: CellSpace(2, 2, 2, candidates) for name in ("normal", "reduce")})


@pytest.mark.parametrize("space", [build_space("cnn", PAPER, 3), ragged_space()], ids=["uniform", "ragged"])
@pytest.mark.parametrize("seed", range(3))
def test_what_is_dead_on_an_edge_counts_nothing_there_though_it_is_alive_on_another_of_the_node(
    space, seed, edge_by_edge
):
    net, alive = supernet_of(space), drawn_alive(space, seed)
    images = torch.randn(3, 3, 8, 8, dtype=torch.float64)
    # Edge by edge every candidate is computed, and a dead one gets the constant 0 as its mixing weight.
    weights = {name: mixing.weights.where(torch.tensor(alive[name]), 0.0) for name, mixing in net.mixing().items()}
    assert_same(both(net, images, edge_by_edge, mixing=with_alive(net, alive), edgewise_weights=weights))


def test_a_dead_edge_leaves_its_rows_of_weights_and_statistics_as_they_are():
    space = build_space("cnn", ("sep_conv_3x3",), 2)
    net = supernet_of(space)
    dead = space.cells["normal"].leaving(0)[1]
    alive = {
        "normal": tuple((edge != dead,) for edge in range(5)),
        "reduce": ((True,),) * 5,
    }
    statistics = {name: values.clone() for name, values in net.named_buffers()}
    logits = net(torch.randn(3, 3, 8, 8, dtype=torch.float64), with_alive(net, alive))
    operation = "cells.0.mixed.0.operations.sep_conv_3x3.op"
    names = [f"{operation}.{layer}.weight" for layer in (1, 2, 5, 6)]
    for gradient in torch.autograd.grad(logits.sum(), [net.get_parameter(name) for name in names]):
        first, second = gradient.chunk(2)
        assert first.abs().max() > 0
        assert not second.any()
    for layer in (3, 7):
        for kind in ("running_mean", "running_var"):
            name = f"{operation}.{layer}.{kind}"
            (first, second), (old, still) = net.get_buffer(name).chunk(2), statistics[name].chunk(2)
            assert torch.equal(second, still)
            assert not torch.equal(first, old)


@pytest.fixture
def own(monkeypatch):
    """A candidate without a form for K edges."""
    keep_registrations(monkeypatch, [registry.CANDIDATES])

    @candidate("own")
    def own(channels, stride, affine):
        return nn.Conv2d(channels, channels, 3, stride, padding=1)

    assert names()[-1] == "own"
    return "own"


def test_a_candidate_that_runs_edge_by_edge_is_called_for_living_edges_alone(own):
    space = build_space("cnn", ("skip_connect", own), 2)
    net = supernet_of(space)
    called = []
    for source, mixed in enumerate(net.cells[0].mixed):
        for position, module in enumerate(mixed.operations[own].each):
            module.register_forward_hook(lambda *_, key=(source, position): called.append(key))
    cell = space.cells["normal"]
    chosen = {cell.leaving(0)[1], cell.leaving(1)[0]}
    net.fix("normal", {(edge, 1): 0.0 for edge in range(len(cell.edges)) if edge not in chosen})
    net(torch.randn(2, 3, 8, 8, dtype=torch.float64), net.mixing())
    assert called == [(0, 1), (1, 0)]


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("nodes", [1, 2, 4])
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_a_supernet_of_few_channels_gives_what_it_gives_edge_by_edge(
    channels, nodes, training, edge_by_edge, monkeypatch
):
    # With one channel the map that is repeated for K edges is a view of the node's output itself.
    net = supernet_of(build_space("cnn", PAPER, nodes), init_channels=channels).train(training)
    if not training:  # the running statistics are those of the start: mean 0, variance 1
        monkeypatch.setitem(edge_by_edge.__globals__, "norm", lambda x: x / (1 + 1e-5) ** 0.5)
    assert_same(both(net, torch.randn(3, 3, 8, 8, dtype=torch.float64), edge_by_edge))


def test_edge_weights_multiply_what_an_edge_gives(edge_by_edge):
    net = supernet_of(build_space("cnn", PAPER, 2))
    images = torch.randn(3, 3, 8, 8, dtype=torch.float64)
    drawn = {name: torch.rand(5, dtype=torch.float64) for name in ("normal", "reduce")}
    mixing = {name: Mixing(values.weights, drawn[name]) for name, values in net.mixing().items()}
    joint = {name: values.weights * drawn[name].unsqueeze(1) for name, values in net.mixing().items()}
    state = export_supernet(net, net.state_dict(keep_vars=True))
    candidates = {name: cell.candidates for name, cell in net.space.cells.items()}
    expected = edge_by_edge(images, state, len(net.cells), candidates, joint)
    torch.testing.assert_close(net(images, mixing), expected, rtol=1e-9, atol=1e-9)


def test_every_choice_of_one_living_candidate_per_edge_is_that_candidate_alone():
    """The one-path form: the output is the chosen candidate's times its mixing weight."""
    names = ("skip_connect", "avg_pool_3x3", "dil_conv_3x3")
    space = build_space("cnn", names, 1)
    net, outputs = supernet_of(space), []
    net.cells[0].register_forward_hook(lambda _, __, out: outputs.append(out))
    images = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    stem, _ = net.stem(images)
    states = net.cells[0].preprocess0(stem), net.cells[0].preprocess1(stem)
    weights = net.mixing()["normal"].weights
    for choice in itertools.product(range(3), repeat=2):
        alive = tuple(tuple(column == chosen for column in range(3)) for chosen in choice)
        net(images, {"normal": Mixing(weights, None, alive), "reduce": net.mixing()["reduce"]})
        expected = sum(
            weights[edge, column] * net.cells[0].mixed[edge].operations[names[column]](states[edge])
            for edge, column in enumerate(choice)
        )
        torch.testing.assert_close(outputs[-1], expected, rtol=1e-9, atol=1e-9)
