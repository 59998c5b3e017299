"""The second order by central differences against exact derivatives, in float64."""

import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from darts_pl.bilevel import InnerStep, first_order, second_order, second_order_exact
from darts_pl.spaces import CnnSupernet, build_space
from tests.paper import CANDIDATES

RADIUS = 0.01  # the paper's, section 2.3
RELU = {torch.relu, torch.relu_, torch.Tensor.relu, torch.Tensor.relu_, nn.functional.relu, nn.functional.relu_}


class SoftplusForReLU(TorchFunctionMode):
    """Within it every ReLU, in place or not, is a softplus."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function in RELU:
            return nn.functional.softplus(args[0])
        return function(*args, **(kwargs or {}))


def inner_steps(buffers):
    return {
        "plain": InnerStep(lr=0.1, radius=RADIUS),
        "momentum": InnerStep(lr=0.1, momentum=0.9, buffers=buffers, radius=RADIUS),
        "weight_decay": InnerStep(lr=0.1, weight_decay=0.05, radius=RADIUS),
        "all": InnerStep(lr=0.025, momentum=0.9, weight_decay=0.05, buffers=buffers, radius=RADIUS),
    }


def exact_gradients(net, pure_loss, train, valid, inner):
    """grad_alpha of L_val after one differentiable SGD step, and of L_val alone, by torch.func."""
    weights = {name: weight.detach() for name, weight in net.weights().items()}
    alphas = {name: alpha.detach() for name, alpha in net.architecture().items()}
    buffers = inner.buffers or [torch.zeros_like(weight) for weight in weights.values()]

    def loss(weights, alphas, batch):
        return pure_loss({**weights, **alphas}, batch)

    def after_one_step(alphas):
        gradient = torch.func.grad(loss)(weights, alphas, train)
        moved = {
            name: weight - inner.lr * (inner.momentum * buffer + gradient[name] + inner.weight_decay * weight)
            for (name, weight), buffer in zip(weights.items(), buffers, strict=True)
        }
        return loss(moved, alphas, valid)

    return torch.func.grad(after_one_step)(alphas), torch.func.grad(loss, argnums=1)(weights, alphas, valid)


@pytest.mark.parametrize("variant", ["plain", "momentum", "weight_decay", "all"])
def test_all_orders_agree_with_the_derivative_of_one_differentiable_sgd_step(
    smooth_net, pure_loss, smooth_batch, distance, variant
):
    net, train, valid = smooth_net(), smooth_batch(1), smooth_batch(2)
    torch.manual_seed(3)
    inner = inner_steps([torch.randn_like(weight) for weight in net.weights().values()])[variant]
    expected, first = exact_gradients(net, pure_loss, train, valid, inner)
    assert distance(expected, first) > 1e-2  # the second-order term matters here
    assert distance(second_order(net, train, valid, inner).gradient, expected) <= 1e-4
    assert distance(second_order_exact(net, train, valid, inner).gradient, expected) <= 1e-12
    assert distance(first_order(net, train, valid, inner).gradient, first) <= 1e-12


def test_the_error_of_the_difference_falls_with_the_square_of_the_radius(smooth_net, pure_loss, smooth_batch, distance):
    net, train, valid = smooth_net(), smooth_batch(1), smooth_batch(2)
    expected, _ = exact_gradients(net, pure_loss, train, valid, InnerStep(lr=0.1))
    errors = [
        distance(second_order(net, train, valid, InnerStep(lr=0.1, radius=radius)).gradient, expected)
        for radius in (0.08, 0.04, 0.02)
    ]
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.1)
    assert errors[1] / errors[2] == pytest.approx(4, rel=0.1)


def test_a_step_of_length_zero_leaves_the_first_order(smooth_net, smooth_batch, distance):
    net, train, valid = smooth_net(), smooth_batch(1), smooth_batch(2)
    first = first_order(net, train, valid, InnerStep(lr=0.0, radius=RADIUS)).gradient
    for order in (second_order, second_order_exact):
        found = order(net, train, valid, InnerStep(lr=0.0, radius=RADIUS))
        assert distance(found.gradient, first) <= 1e-14
        assert found.ratio.item() == 0


def test_the_difference_through_the_whole_smooth_supernet_is_the_exact_product(distance, monkeypatch):
    # The function of BatchNorm, ReLU and convolutions has a derivative of its own, which knows only a ReLU.
    monkeypatch.setattr("darts_pl.ops.separable.is_norm_relu", lambda layers, x: False)
    torch.manual_seed(0)
    candidates = [name for name in CANDIDATES if name != "max_pool_3x3"]  # which is not smooth
    net = CnnSupernet(build_space("cnn", candidates, 4), init_channels=2, layers=3, classes=3).double()
    for alphas in net.alphas.values():
        nn.init.normal_(alphas)
    train, valid = ((torch.randn(4, 3, 8, 8).double(), torch.randint(3, (4,))) for _ in range(2))
    buffers = [0.1 * torch.randn_like(weight) for weight in net.weights().values()]
    settings = {"lr": 0.025, "momentum": 0.9, "weight_decay": 3e-4, "buffers": buffers}
    with SoftplusForReLU():
        found = second_order(net, train, valid, InnerStep(**settings, radius=1e-4)).gradient
        exact = second_order_exact(net, train, valid, InnerStep(**settings)).gradient
        first = first_order(net, train, valid, InnerStep(**settings)).gradient
    assert distance(exact, first) > 1e-2
    assert distance(found, exact) <= 1e-3
