"""The alpha gradient of a bilevel problem that is solved on paper.

With a the alphas, flattened, the losses are

    L_train(w, a) = |w - A a|^2 / 2        grad_w L_train = w - A a
    L_val(w, a)   = |w - b|^2 / 2 + c.a    grad_w L_val   = w - b,   grad_a L_val = c

The step is w' = w - xi (mu m + k (w - A a) + lambda w) with k = min(1, clip / (|w - A a| + 1e-6)),
or 1 without clipping. Its derivative with respect to a (k being held) is xi k A, so that

    grad_a L_val(w'(a), a) = c + xi k A^T v,   v = w' - b,

where v is clipped in the same way.
"""

import pytest
import torch
from torch import nn

from darts_pl.bilevel import InnerStep, first_order, second_order, second_order_exact
from darts_pl.spaces import Outcome, Relaxation, Supernet, build_space

VARIANTS = {
    "plain": {},
    "momentum": {"momentum": 0.9},
    "weight_decay": {"weight_decay": 0.3},
    "clip": {"clip": 0.5},
    "clip_that_does_not_reach": {"clip": 1e3},
    "everything": {"momentum": 0.9, "weight_decay": 0.3, "clip": 0.5},
}


class Alphas(Relaxation):
    """Mixing weights that are the alphas themselves."""

    def expected(self, alphas, live):
        return alphas


class Quadratic(Supernet):
    """The losses above; a batch is "train" or "valid". Every w that a loss was asked at is kept."""

    def __init__(self):
        super().__init__(build_space("cnn", ("max_pool_3x3", "skip_connect"), nodes=1), Alphas())
        self.one = nn.Parameter(torch.randn(3))
        self.two = nn.Parameter(torch.randn(2, 2))
        sizes = sum(alphas.numel() for alphas in self.alphas.values())
        self.matrix, self.target, self.slope = torch.randn(7, sizes), torch.randn(7), torch.randn(sizes)
        for alphas in self.alphas.values():
            nn.init.normal_(alphas)
        self.asked = []

    def flat(self):
        return torch.cat([self.one, self.two.flatten()]), torch.cat([a.flatten() for a in self.alphas.values()])

    def loss(self, batch, mixing):
        w, _ = self.flat()
        a = torch.cat([values.weights.flatten() for values in mixing.values()])
        self.asked.append((batch, w.detach().clone()))
        if batch == "train":
            loss = (w - self.matrix @ a).square().sum() / 2
        else:
            loss = (w - self.target).square().sum() / 2 + self.slope @ a
        return Outcome(loss, w)


@pytest.fixture
def problem():
    torch.manual_seed(5)
    torch.set_default_dtype(torch.float64)
    try:
        yield Quadratic(), [torch.randn(3), torch.randn(2, 2)]
    finally:
        torch.set_default_dtype(torch.float32)


def clipped(gradient, clip):
    if clip is None:
        return gradient, 1.0
    coefficient = min(1.0, clip / (gradient.norm().item() + 1e-6))
    return coefficient * gradient, coefficient


def on_paper(net, buffers, lr, momentum=0.0, weight_decay=0.0, clip=None):
    """w', v, the first-order and the second-order term, flattened."""
    with torch.no_grad():
        w, a = net.flat()
    gradient, k = clipped(w - net.matrix @ a, clip)
    moved = w - lr * (momentum * torch.cat([buffer.flatten() for buffer in buffers]) + gradient + weight_decay * w)
    v, _ = clipped(moved - net.target, clip)
    return moved, v, net.slope, lr * k * net.matrix.T @ v


def flat(gradient):
    return torch.cat([gradient["alphas.normal"].flatten(), gradient["alphas.reduce"].flatten()])


@pytest.mark.parametrize("order", [second_order, second_order_exact])
@pytest.mark.parametrize("settings", VARIANTS.values(), ids=VARIANTS.keys())
def test_the_second_order_is_the_one_on_paper(problem, order, settings):
    net, buffers = problem
    moved, _, first, second = on_paper(net, buffers, 0.4, **settings)
    found = order(net, "train", "valid", InnerStep(lr=0.4, buffers=buffers, radius=0.01, **settings))
    torch.testing.assert_close(flat(found.gradient), first + second, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(found.ratio, second.norm() / first.norm(), rtol=1e-9, atol=0)
    torch.testing.assert_close(found.valid.outputs, moved, rtol=1e-12, atol=0)
    torch.testing.assert_close(
        found.valid.loss,
        (moved - net.target).square().sum() / 2 + net.slope @ net.flat()[1].detach(),
        rtol=1e-12,
        atol=0,
    )


def test_the_first_order_is_the_direct_term(problem):
    net, buffers = problem
    found = first_order(net, "train", "valid", InnerStep(lr=0.4, momentum=0.9, buffers=buffers))
    assert torch.equal(flat(found.gradient), net.slope)
    assert found.ratio is None
    assert [batch for batch, _ in net.asked] == ["valid"]


@pytest.mark.parametrize("radius", [0.003, 0.01, 0.1, 2.0])
def test_the_difference_is_divided_by_twice_eps_at_every_radius(problem, radius):
    net, buffers = problem
    _, v, first, second = on_paper(net, buffers, 0.4)
    eps = (radius / v.norm()).item()
    multiplied = first + second * (2 * eps) ** 2  # the difference times 2 eps
    divided_by_eps = first + 2 * second
    found = flat(second_order(net, "train", "valid", InnerStep(lr=0.4, radius=radius)).gradient)
    torch.testing.assert_close(found, first + second, rtol=1e-8, atol=1e-8)
    for wrong in (multiplied, divided_by_eps):
        assert (found - wrong).norm() / found.norm() > 1e-2


def test_the_passes_are_made_at_w_then_w_moved_then_w_plus_and_minus_the_radius_along_v(problem):
    net, buffers = problem
    moved, v, _, _ = on_paper(net, buffers, 0.4, momentum=0.9)
    w = net.flat()[0].detach().clone()
    second_order(net, "train", "valid", InnerStep(lr=0.4, momentum=0.9, buffers=buffers, radius=0.25))
    offset = 0.25 * v / v.norm()
    expected = [("train", w), ("valid", moved), ("train", w + offset), ("train", w - offset)]
    assert [batch for batch, _ in net.asked] == [batch for batch, _ in expected]
    for (_, asked), (_, point) in zip(net.asked, expected, strict=True):
        torch.testing.assert_close(asked, point, rtol=1e-12, atol=1e-12)


def test_momentum_buffers_are_not_read_without_momentum_and_stay_as_they_are(problem):
    net, buffers = problem
    before = [buffer.clone() for buffer in buffers]
    with_buffers = second_order_exact(net, "train", "valid", InnerStep(lr=0.4, buffers=buffers)).gradient
    without = second_order_exact(net, "train", "valid", InnerStep(lr=0.4, momentum=0.9)).gradient
    assert torch.equal(flat(with_buffers), flat(without))
    second_order(net, "train", "valid", InnerStep(lr=0.4, momentum=0.9, weight_decay=0.1, buffers=buffers, radius=0.01))
    assert all(torch.equal(*pair) for pair in zip(buffers, before, strict=True))


@pytest.mark.parametrize("order", [second_order, second_order_exact])
def test_where_the_moved_weights_are_optimal_only_the_direct_term_is_left(problem, order):
    net, _ = problem
    net.target = order(
        net, "train", "valid", InnerStep(lr=0.4, radius=0.01)
    ).valid.outputs  # now v = w' - b is exactly 0
    found = order(net, "train", "valid", InnerStep(lr=0.4, radius=0.01))
    torch.testing.assert_close(flat(found.gradient), net.slope, rtol=1e-12, atol=0)
    assert found.ratio.item() == 0


def test_a_step_is_that_of_torch_sgd(problem):
    net, _ = problem
    settings = {"lr": 0.4, "momentum": 0.9, "weight_decay": 0.3}
    optimizer = torch.optim.SGD(net.weights().values(), **settings)
    for step in range(3):
        net.asked.clear()
        optimizer.zero_grad()
        net.loss("train", net.mixing()).loss.backward()
        buffers = [optimizer.state[weight].get("momentum_buffer") for weight in net.weights().values()]
        inner = InnerStep(**settings, radius=0.01, buffers=None if step == 0 else buffers)
        virtual = second_order(net, "train", "valid", inner).valid.outputs
        optimizer.step()
        torch.testing.assert_close(virtual, net.flat()[0].detach(), rtol=1e-12, atol=1e-12)
