"""The extra passes leave nothing behind, and draw the random numbers of the pass they are compared with."""

import copy

import pytest
import torch
from torch import nn

from darts_pl.bilevel import ORDERS, Draws, InnerStep, reduced_precision, second_order, second_order_exact
from darts_pl.bilevel.precision import SWITCHES
from darts_pl.ops import EdgeOperation
from darts_pl.spaces import CnnSupernet, Parts, Skip, build_space


class NoisyOperation(EdgeOperation):
    """A candidate whose maps go through dropout: a pass that draws random numbers."""

    def __init__(self, operation):
        super().__init__(operation.edges)
        self.inner = operation

    @property
    def shared(self):
        return self.inner.shared

    def on_edges(self, node, scale=None):
        return nn.functional.dropout(self.inner.on_edges(node, scale), 0.3, self.training)


class Noisy(Skip):
    """Makes every candidate one whose maps go through dropout."""

    def wrap(self, name, operation, stride):
        return NoisyOperation(operation)


@pytest.fixture
def trained():
    """A supernet, its optimizers after two steps (momentum, Adam's moments, gradients left over), two batches."""
    net = CnnSupernet(
        build_space("cnn", ("none", "max_pool_3x3", "skip_connect", "sep_conv_3x3"), 2),
        init_channels=2,
        layers=3,
        classes=3,
        parts=Parts(skip=Noisy()),
    )
    optimizers = [
        torch.optim.SGD(net.weights().values(), lr=0.1, momentum=0.9),
        torch.optim.Adam(net.architecture().values(), lr=0.1),
    ]
    train, valid = ((torch.randn(4, 3, 8, 8), torch.randint(3, (4,))) for _ in range(2))
    for _ in range(2):
        for optimizer in optimizers:
            optimizer.zero_grad()
        net.loss(train, net.mixing()).loss.backward()
        for optimizer in optimizers:
            optimizer.step()
    buffers = [optimizers[0].state[weight]["momentum_buffer"] for weight in net.weights().values()]
    inner = InnerStep(lr=0.1, momentum=0.9, weight_decay=3e-4, buffers=buffers, clip=1.0, radius=0.01)
    return net, optimizers, train, valid, inner


def everything(net, optimizers):
    """Copies of all that a pass could change."""
    return copy.deepcopy(
        {
            "state": net.state_dict(),
            "gradients": {name: parameter.grad for name, parameter in net.named_parameters()},
            "requires_grad": {name: parameter.requires_grad for name, parameter in net.named_parameters()},
            "identity": {name: id(parameter) for name, parameter in net.named_parameters()},
            "training": {name: module.training for name, module in net.named_modules()},
            "optimizers": [optimizer.state_dict() for optimizer in optimizers],
            "random": torch.get_rng_state(),
            "tf32": (torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32),
        }
    )


def same(one, other):
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def test_an_ordinary_pass_would_leave_a_trace(trained):
    net, optimizers, train, _, _ = trained
    before = everything(net, optimizers)
    net.loss(train, net.mixing())
    after = everything(net, optimizers)
    assert not same(before["state"], after["state"])
    assert not same(before["random"], after["random"])


@pytest.mark.parametrize("order", [ORDERS.get(name)() for name in ORDERS], ids=ORDERS.list())
def test_weights_buffers_optimizers_gradients_and_random_numbers_stay_bitwise_as_they_are(trained, order):
    net, optimizers, train, valid, inner = trained
    before = everything(net, optimizers)
    assert all(gradient is not None for gradient in before["gradients"].values())
    found = order(net, train, valid, inner)
    assert same(everything(net, optimizers), before)
    for tensor in (*found.gradient.values(), found.valid.loss, found.valid.outputs):
        assert not tensor.requires_grad


@pytest.mark.parametrize("order", [ORDERS.get(name)() for name in ORDERS], ids=ORDERS.list())
def test_a_pass_that_fails_half_way_leaves_no_trace_either(trained, order):
    net, optimizers, train, valid, inner = trained
    before = everything(net, optimizers)
    with pytest.raises(IndexError, match="Target 77"):
        order(net, train, (valid[0], torch.full_like(valid[1], 77)), inner)
    assert same(everything(net, optimizers), before)


@pytest.mark.parametrize("order", [ORDERS.get(name)() for name in ORDERS], ids=ORDERS.list())
def test_the_same_call_gives_bitwise_the_same_gradient(trained, order):
    net, _, train, valid, inner = trained
    assert same(order(net, train, valid, inner).gradient, order(net, train, valid, inner).gradient)


@pytest.fixture
def dropping(smooth_net):
    """The smooth network with dropout, and the masks that it draws."""
    net, masks = smooth_net(dropout=0.5), []
    net.dropout.register_forward_hook(lambda module, inputs, output: masks.append((output == 0).detach()))
    return net, masks


def test_the_three_passes_over_the_train_batch_drop_the_same_units(dropping, smooth_batch):
    net, masks = dropping
    second_order(net, smooth_batch(1), smooth_batch(2), InnerStep(lr=0.1, radius=0.01))
    virtual, valid, plus, minus = (torch.stack(masks[2 * number : 2 * number + 2]) for number in range(4))
    assert 0.2 < virtual.double().mean() < 0.8
    assert torch.equal(plus, virtual)
    assert torch.equal(minus, virtual)
    assert not torch.equal(valid, virtual)


class FreshDraws(Draws):
    """What a step must not draw from: other numbers in every pass."""

    passes = 0

    def seed(self, split):
        self.passes += 1
        return self.passes


def test_with_dropout_the_difference_is_still_the_exact_product_and_with_fresh_masks_it_would_not_be(
    dropping, smooth_batch, distance
):
    net, _ = dropping
    batches, inner = (smooth_batch(1), smooth_batch(2)), InnerStep(lr=0.1, radius=0.01)
    exact = second_order_exact(net, *batches, inner, draws=Draws(4)).gradient
    assert distance(second_order(net, *batches, inner, draws=Draws(4)).gradient, exact) <= 1e-4
    assert distance(second_order(net, *batches, inner, draws=FreshDraws(4)).gradient, exact) > 1


def test_products_of_the_alpha_gradient_are_full_float32_whatever_the_user_allows_elsewhere(smooth_net, smooth_batch):
    def switches():
        return [switch.read() for switch in SWITCHES]

    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")  # TF32 on CUDA
    try:
        net, seen, outside = smooth_net(), [], switches()
        loss = net.loss
        net.loss = lambda *arguments: (seen.append(switches()), loss(*arguments))[1]
        ORDERS.get("second")()(net, smooth_batch(1), smooth_batch(2), InnerStep(lr=0.1, radius=0.01))
        assert seen == [[switch.exact for switch in SWITCHES]] * 4
        assert switches() == outside
        assert outside not in seen
        assert reduced_precision()
        assert torch.backends.cuda.matmul.allow_tf32  # torch still knows the user's choice under its older name
    finally:
        torch.set_float32_matmul_precision(before)
