"""The gradient of a whole sequence against the same cells, differentiated step by step by autograd."""

from itertools import product

import pytest
import torch

from darts_pl.ops import activation_function
from darts_pl.spaces import Dropouts, LanguageModel, RnnSupernet, build_space, fix_weights
from darts_pl.spaces.rnn import sequence
from darts_pl.zoo import published

DROPOUTS = Dropouts(dropout=0.5, dropouth=0.25, dropoutx=0.5, dropouti=0.2)
CANDIDATES = ("none", "tanh", "relu", "sigmoid", "identity")


def supernet(candidates=CANDIDATES):
    torch.set_default_dtype(torch.float64)
    net = RnnSupernet(build_space("rnn", candidates, 4), vocabulary=9, units=5, dropouts=DROPOUTS)
    return scattered(net)


def scattered(net):
    with torch.no_grad():
        for weight in net.parameters():
            weight.uniform_(-1, 1)
    return net


def language_model(name="darts_v2_rnn"):
    torch.set_default_dtype(torch.float64)
    return scattered(LanguageModel(published(name), vocabulary=9, units=5, dropouts=DROPOUTS))


def outputs(net, hidden, *mixing):
    torch.manual_seed(1)  # the masks
    network = net.network if isinstance(net, RnnSupernet) else net
    return network(torch.arange(18).reshape(6, 3) % 9, hidden, *mixing).logits


def gradients(net, hidden, mixing, create_graph=False):
    """Of a scalar that weights every logit differently, for all that it depends on."""
    logits = outputs(net, hidden, *mixing)
    loss = (logits * torch.linspace(-1, 2, logits.numel()).view_as(logits)).sum()
    return torch.autograd.grad(loss, [hidden, *net.parameters()], allow_unused=True, create_graph=create_graph)


def step_by_step(monkeypatch):
    """Cells from now on leave the gradient to autograd."""
    for module in ("supernet", "language_model"):
        monkeypatch.setattr(f"darts_pl.spaces.rnn.{module}.slope_is_known", lambda name: False)


def same(found, expected):
    assert [one is None for one in found] == [one is None for one in expected]
    for one, other in zip(found, expected, strict=True):
        if one is not None:
            torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("masked", [False, True])
def test_the_gradients_of_a_mixed_cell_are_those_of_autograd(monkeypatch, masked):
    net, hidden = supernet(), torch.randn(3, 5, dtype=torch.float64, requires_grad=True)
    mixing = net.mixing()["recurrent"]
    if masked:  # a dead candidate, and a source of which only one activation lives
        dead = {(0, 1): 0.0, **dict.fromkeys(product((6, 7, 8), (1, 3, 4)), 0.0)}
        mixing = fix_weights(mixing, dead)
    statistics = net.network.cell.norm.running_mean
    before = statistics.clone()
    found = gradients(net, hidden, [mixing])
    after = statistics.clone()
    statistics.copy_(before)
    step_by_step(monkeypatch)
    again = fix_weights(net.mixing()["recurrent"], dead) if masked else net.mixing()["recurrent"]
    same(found, gradients(net, hidden, [again]))
    torch.testing.assert_close(after, statistics)


@pytest.mark.parametrize("name", ["darts_v1_rnn", "darts_v2_rnn"])
def test_the_gradients_of_a_derived_cell_are_those_of_autograd(monkeypatch, name):
    net, hidden = language_model(name), torch.randn(3, 5, dtype=torch.float64, requires_grad=True)
    found = gradients(net, hidden, [])
    step_by_step(monkeypatch)
    same(found, gradients(net, hidden, []))


@pytest.mark.parametrize("make", [supernet, language_model])
def test_gradients_are_differentiated_once_more_as_autograd_does(monkeypatch, make):
    net, hidden = make(), torch.randn(3, 5, dtype=torch.float64, requires_grad=True)

    def twice():
        mixing = [net.mixing()["recurrent"]] if make is supernet else []
        first = gradients(net, hidden, mixing, create_graph=True)
        total = sum((one * one).sum() for one in first if one is not None)
        return torch.autograd.grad(total, [hidden, *net.parameters()], allow_unused=True)

    found = twice()
    step_by_step(monkeypatch)
    same(found, twice())


def test_an_activation_of_unknown_derivative_is_left_to_autograd(monkeypatch):
    net, hidden = supernet(("tanh", "relu")), torch.randn(3, 5, dtype=torch.float64, requires_grad=True)
    calls = []

    def counted(name):
        calls.append(name)
        return activation_function(name)

    monkeypatch.setattr("darts_pl.spaces.rnn.supernet.activation_function", counted)
    gradients(net, hidden, [net.mixing()["recurrent"]])
    assert calls == []
    step_by_step(monkeypatch)
    gradients(net, hidden, [net.mixing()["recurrent"]])
    assert calls


def test_a_sequence_keeps_no_activation_per_step_and_edge():
    # Counted by hand, in numbers of H per stream and step: 2 K pre-activations and 2 K of what gates let
    # through and tanh, over the 10 edges; node 0 and 4 nodes before and after BatchNorm; pre-activations of
    # node 0; the output.
    net = supernet()
    saved = {}

    def pack(tensor):
        saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    cell = net.network.cell
    inputs, hidden = torch.randn(7, 3, 5, requires_grad=True), torch.zeros(3, 5)
    mask = sequence.dropout_mask(inputs, (3, 5), 0.5, True)
    part = inputs @ cell.first[:5]
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        cell.run(part, hidden, cell.first[5:], mask, net.mixing()["recurrent"])
    by_step = 4 * 10 + 2 * 5 + 2 + 1
    statistics, inputs_of_it = 2 * 5, 2  # per step; the argument `part`
    most = 8 * (7 * 3 * 5 * (by_step + inputs_of_it) + 7 * 5 * statistics) + 8 * 1000
    assert sum(saved.values()) <= most
