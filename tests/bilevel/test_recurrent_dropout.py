"""The second-order gradient of a recurrent search with the paper's dropouts (section A.1.2)."""

import pytest
import torch

from darts_pl.bilevel import Draws, InnerStep, evaluate, second_order, second_order_exact
from darts_pl.bilevel.inner import clip_by_norm
from darts_pl.spaces import Dropouts, RnnSupernet, build_space

DRAWS = Draws(7)
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
    weights = net.weights()
    with DRAWS.seeding("train", torch.device("cpu")):
        loss = net.loss(train, net.mixing()).loss
    gradient, _ = clip_by_norm(list(torch.autograd.grad(loss, list(weights.values()))), INNER.clip)
    moved = {
        name: (weight - INNER.lr * (step + INNER.weight_decay * weight)).detach()
        for (name, weight), step in zip(weights.items(), gradient, strict=True)
    }
    with DRAWS.seeding("valid", torch.device("cpu")):
        loss = evaluate(net, valid, net.mixing(), moved).loss
    return torch.autograd.grad(loss, list(net.architecture().values()))[0]


def implicit_term(order, net, train, valid, draws=DRAWS):
    return direct_term(net, train, valid) - order(net, train, valid, INNER, draws=draws).gradient["alphas.recurrent"]


def cosine(one, other):
    return float((one * other).sum() / (one.norm() * other.norm()))


def test_with_shared_masks_the_difference_agrees_with_the_exact_product(search):
    exact, difference = (implicit_term(order, *search) for order in (second_order_exact, second_order))
    print(f"cosine {cosine(exact, difference):.4f}, norms {difference.norm() / exact.norm():.3f}")
    assert cosine(exact, difference) > 0.97
    assert 0.8 < difference.norm() / exact.norm() < 1.25


class DifferentSides(Draws):
    """As `DRAWS`, but both sides of the difference draw numbers of their own."""

    asked = 0

    def seed(self, split):
        if split == "train":
            self.asked += 1
        # Every pass asks twice, for the mixing and for everything else; the first pass is the virtual step's.
        return super().seed(split) + (self.asked - 1) // 2 if split == "train" else super().seed(split)


def test_with_fresh_masks_it_would_be_noise(search):
    exact = implicit_term(second_order_exact, *search)
    noise = implicit_term(second_order, *search, draws=DifferentSides(7))
    assert noise.norm() > 5 * exact.norm()
