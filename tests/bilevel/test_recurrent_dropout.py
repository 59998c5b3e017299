"""The second-order gradient of a recurrent search with the paper's dropouts (section A.1.2)."""

import pytest
import torch

from darts_pl.bilevel import InnerStep, evaluate, passes, second_order, second_order_exact
from darts_pl.bilevel.inner import clip_by_norm
from darts_pl.spaces import Dropouts, RnnSupernet, build_space

INNER = InnerStep(lr=20.0, weight_decay=5e-7, clip=0.25, radius=0.01)


@pytest.fixture(params=range(3))
def search(request):
    """A supernet with the paper's dropouts, and batches."""
    torch.manual_seed(request.param)
    space = build_space("rnn", ("none", "tanh", "relu", "sigmoid", "identity"), 8)
    net = RnnSupernet(space, vocabulary=40, units=16, dropouts=Dropouts(0.75, 0.25, 0.75, 0.2, 0.0)).double()
    tokens = torch.randint(40, (2, 13, 8))
    hidden = 0.1 * torch.randn(2, 8, 16, dtype=torch.float64)
    train, valid = ((tokens[i, :-1], tokens[i, 1:], hidden[i]) for i in range(2))
    return net, train, valid


def direct_term(net, train, valid):
    """grad_alpha L_val at the virtually moved weights, step by step."""
    torch.manual_seed(7)
    weights = net.weights()
    gradient, _ = clip_by_norm(list(torch.autograd.grad(net.loss(train).loss, list(weights.values()))), INNER.clip)
    moved = {
        name: (weight - INNER.lr * (step + INNER.weight_decay * weight)).detach()
        for (name, weight), step in zip(weights.items(), gradient, strict=True)
    }
    return torch.autograd.grad(evaluate(net, valid, moved).loss, list(net.alphas.values()))[0]


def implicit_term(order, net, train, valid):
    direct = direct_term(net, train, valid)
    torch.manual_seed(7)
    return direct - order(net, train, valid, INNER).gradient["recurrent"]


def cosine(one, other):
    return float((one * other).sum() / (one.norm() * other.norm()))


def test_with_shared_masks_the_difference_agrees_with_the_exact_product(search):
    exact, difference = (implicit_term(order, *search) for order in (second_order_exact, second_order))
    print(f"cosine {cosine(exact, difference):.4f}, norms {difference.norm() / exact.norm():.3f}")
    assert cosine(exact, difference) > 0.97
    assert 0.8 < difference.norm() / exact.norm() < 1.25


def test_with_fresh_masks_it_would_be_noise(search, monkeypatch):
    exact = implicit_term(second_order_exact, *search)
    monkeypatch.setattr(passes.RandomState, "rewind", lambda self: None)
    noise = implicit_term(second_order, *search)
    assert noise.norm() > 5 * exact.norm()
