"""Depthwise and pointwise convolution as one function, against torch's layers one after the other."""

from functools import partial

import pytest
import torch
from torch import nn

from benchmarks.counting import cost
from darts_pl.ops import BatchNorm, cudnn
from darts_pl.ops.depthwise import DepthwiseConv2d
from darts_pl.ops.pointwise import PointwiseConv2d
from darts_pl.ops.separable import is_separable, separable

EDGES, CHANNELS = 3, 6


def layers(kernel, stride, dilation, normalised):
    """Ours, and torch's with the same filters, in float64."""
    ours = [DepthwiseConv2d(CHANNELS, kernel, stride, dilation), PointwiseConv2d(CHANNELS, EDGES)]
    padding = dilation * (kernel // 2)
    plain = [
        nn.Conv2d(CHANNELS, CHANNELS, kernel, stride, padding, dilation, groups=CHANNELS, bias=False),
        nn.Conv2d(CHANNELS, CHANNELS, 1, groups=EDGES, bias=False),
    ]
    for one, other in zip(ours, plain, strict=True):
        other.load_state_dict(one.state_dict())
    if normalised:
        ours = [BatchNorm(CHANNELS, affine=False), nn.ReLU(), *ours]
        plain = [nn.BatchNorm2d(CHANNELS, affine=False), nn.ReLU(), *plain]
    return nn.Sequential(*ours).double(), nn.Sequential(*plain).double()


def maps(side=8):
    x = 3 * torch.randn(4, CHANNELS, side, side, dtype=torch.float64) + 1
    return x.contiguous(memory_format=torch.channels_last).requires_grad_()


@pytest.fixture(params=["cpu", "form of a GPU"])
def _form(request, monkeypatch):
    monkeypatch.setattr(cudnn, "on_gpu", lambda x: request.param != "cpu")
    monkeypatch.setattr(cudnn, "_agrees", {})


@pytest.mark.usefixtures("_form")
@pytest.mark.parametrize("normalised", [False, True])
@pytest.mark.parametrize(("kernel", "stride", "dilation"), [(3, 1, 1), (5, 2, 1), (3, 2, 2), (5, 1, 2)])
def test_values_gradients_and_statistics_are_those_of_the_layers(kernel, stride, dilation, normalised):
    ours, plain = layers(kernel, stride, dilation, normalised)
    x = maps()
    assert is_separable(tuple(ours), x)
    found, expected = separable(tuple(ours), x), plain(x)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
    upstream = torch.randn_like(expected)
    gradients = [
        torch.autograd.grad(y, [x, *module.parameters()], upstream) for y, module in ((found, ours), (expected, plain))
    ]
    torch.testing.assert_close(*gradients, rtol=1e-9, atol=1e-9)
    for one, other in zip(ours.buffers(), (b for b in plain.buffers() if b.dim()), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("normalised", [False, True])
def test_a_second_derivative_is_that_of_the_layers(normalised):
    ours, plain = layers(3, 1, 1, normalised)
    x, twice = maps(4), []
    for output, module in ((separable(tuple(ours), x), ours), (plain(x), plain)):
        inputs = [x, *module.parameters()]
        first = torch.autograd.grad(output.pow(2).sum(), inputs, create_graph=True)
        twice.append(torch.autograd.grad(sum(part.pow(2).sum() for part in first), inputs))
    torch.testing.assert_close(*twice, rtol=1e-8, atol=1e-8)


def test_the_map_between_the_convolutions_is_not_kept():
    ours, plain = layers(3, 1, 1, normalised=False)
    x = maps(16)
    kept, apart = (cost(partial(backward, run, x)).saved for run in (partial(separable, tuple(ours)), plain))
    assert apart - kept == x.untyped_storage().nbytes()


def backward(run, x):
    run(x).sum().backward()


@pytest.mark.parametrize(("kernel", "stride", "dilation"), [(5, 1, 1), (3, 1, 2), (5, 2, 2), (3, 2, 1)])
def test_gradients_under_autocast_are_near_those_in_full_precision(kernel, stride, dilation):
    layer = DepthwiseConv2d(CHANNELS, kernel, stride, dilation).double()
    x = maps()
    exact = torch.autograd.grad(layer(x).pow(2).sum(), [x, layer.weight])
    layer.float()
    low = x.detach().float().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(low)
    assert y.dtype == torch.bfloat16
    found = torch.autograd.grad(y.float().pow(2).sum(), [low, layer.weight])
    for one, other in zip(found, exact, strict=True):
        assert one.dtype == torch.float32
        assert (one - other).norm() < 0.01 * other.norm()  # bfloat16 has 8 bits: 0.004
