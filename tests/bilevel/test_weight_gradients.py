"""Weight gradients are computed only where one is needed: seen in the calls that reach the backend."""

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from darts_pl.bilevel import InnerStep, first_order, second_order
from darts_pl.spaces import CnnSupernet, build_space

aten = torch.ops.aten


class Calls(TorchDispatchMode):
    """Counts the convolutions' backward passes that were asked for a weight gradient, and all of them."""

    def __init__(self):
        super().__init__()
        self.backward = self.for_weights = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function is aten.convolution_backward.default:
            _, for_weights, for_bias = args[10]
            self.backward += 1
            self.for_weights += for_weights or for_bias
        return function(*args, **(kwargs or {}))


@pytest.fixture
def search():
    """A supernet, two batches, the passes made through it, and what one pass of an ordinary step asks for."""
    net = CnnSupernet(
        build_space("cnn", ("none", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "dil_conv_5x5"), 2),
        init_channels=2,
        layers=3,
        classes=3,
    )
    train, valid = ((torch.randn(4, 3, 8, 8), torch.randint(3, (4,))) for _ in range(2))
    with Calls() as ordinary:
        net.loss(train, net.mixing()).loss.backward()
    assert ordinary.for_weights >= sum(isinstance(module, nn.Conv2d) for module in net.modules()) > 50
    passes = []
    net.stem.register_forward_hook(lambda *_: passes.append(1))
    return net, train, valid, passes, ordinary.for_weights


def test_the_first_order_makes_one_pass_and_asks_for_no_weight_gradient(search):
    net, train, valid, passes, _ = search
    with Calls() as calls:
        first_order(net, train, valid, InnerStep(lr=0.1))
    assert len(passes) == 1
    assert calls.backward > 0
    assert calls.for_weights == 0


def test_the_second_order_makes_four_passes_and_asks_two_of_them_for_weight_gradients(search):
    net, train, valid, passes, ordinary = search
    with Calls() as calls:
        second_order(net, train, valid, InnerStep(lr=0.1, radius=0.01))
    assert len(passes) == 4
    assert calls.for_weights == 2 * ordinary
