"""Depthwise and pointwise convolution as one function, against torch's layers one after the other."""

import weakref
from copy import deepcopy
from functools import partial

import pytest
import torch
from torch import nn

from benchmarks.counting import cost
from darts_pl.ops import BatchNorm, cudnn
from darts_pl.ops import separable as module
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


@pytest.fixture(params=[0, 64], ids=["computed again", "kept"])
def _map_between(request, monkeypatch):
    monkeypatch.setattr(module, "SMALL_MAP", request.param)


@pytest.mark.usefixtures("_form", "_map_between")
@pytest.mark.parametrize("normalised", [False, True])
@pytest.mark.parametrize(("kernel", "stride", "dilation"), [(3, 1, 1), (5, 2, 1), (3, 2, 2), (5, 1, 2)])
def test_values_gradients_and_statistics_are_those_of_the_layers(kernel, stride, dilation, normalised):
    ours, plain = layers(kernel, stride, dilation, normalised)
    x = maps()
    assert is_separable(tuple(ours), x)
    found, expected = separable(tuple(ours), x), plain(x)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
    upstream = torch.randn_like(expected)
    # In a search some passes need the gradient of the maps alone, and some also those of the filters.
    for with_filters in (False, True):
        gradients = [
            torch.autograd.grad(y, [x, *(net.parameters() if with_filters else ())], upstream, retain_graph=True)
            for y, net in ((found, ours), (expected, plain))
        ]
        torch.testing.assert_close(*gradients, rtol=1e-9, atol=1e-9)
    for one, other in zip(ours.buffers(), (b for b in plain.buffers() if b.dim()), strict=True):
        torch.testing.assert_close(one, other)


def test_filters_without_a_gradient_get_none():
    ours, plain = layers(3, 1, 1, normalised=True)
    x = maps()
    gradients = []
    for y in (separable(tuple(ours.requires_grad_(False)), x), plain.requires_grad_(False)(x)):
        gradients.append(torch.autograd.grad(y.pow(2).sum(), x))
    torch.testing.assert_close(*gradients, rtol=1e-9, atol=1e-9)
    assert all(weight.grad is None for weight in ours.parameters())


@pytest.mark.parametrize("normalised", [False, True])
def test_a_second_derivative_is_that_of_the_layers(normalised):
    ours, plain = layers(3, 1, 1, normalised)
    x, twice = maps(4), []
    for output, net in ((separable(tuple(ours), x), ours), (plain(x), plain)):
        inputs = [x, *net.parameters()]
        first = torch.autograd.grad(output.pow(2).sum(), inputs, create_graph=True)
        twice.append(torch.autograd.grad(sum(part.pow(2).sum() for part in first), inputs))
    torch.testing.assert_close(*twice, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("normalised", [False, True])
def test_a_large_map_between_the_convolutions_is_not_kept(normalised, monkeypatch):
    ours, plain = layers(3, 1, 1, normalised)
    x = maps(16)
    size = x.untyped_storage().nbytes()
    rectified = size if normalised else 0  # of BatchNorm's input and ReLU's output the layers keep both
    run = partial(separable, tuple(ours))
    apart = cost(partial(backward, plain, x)).saved
    for largest, saved in ((16 * 16 - 1, size + rectified), (16 * 16, rectified)):
        monkeypatch.setattr(module, "SMALL_MAP", largest)
        assert abs(apart - cost(partial(backward, run, x)).saved - saved) < size / 100


def test_a_result_that_is_not_used_leaves_nothing():
    ours, _ = layers(3, 1, 1, normalised=True)
    y = separable(tuple(ours), maps())
    node = weakref.ref(y.grad_fn)
    del y
    assert node() is None  # no circle of references, which only the garbage collector would find


def backward(run, x):
    run(x).sum().backward()


def test_other_layers_and_evaluation_stay_as_they_are():
    ours, _ = layers(3, 1, 1, normalised=True)
    norm, relu, *convolutions = ours
    x = maps()
    assert is_separable((norm, relu, *convolutions), x)
    assert not is_separable((norm, nn.SiLU(), *convolutions), x)
    assert not is_separable((BatchNorm(CHANNELS, affine=True), relu, *convolutions), x)
    assert not is_separable((deepcopy(norm).eval(), relu, *convolutions), x)
    assert not is_separable((norm, relu, convolutions[0]), x)
    assert not is_separable((*convolutions,), x.detach())
    with torch.no_grad():
        assert not is_separable((*convolutions,), x)


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
