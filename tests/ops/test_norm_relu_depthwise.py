"""BatchNorm, ReLU and depthwise convolution as one function, against torch's three layers one after the other."""

from copy import deepcopy

import pytest
import torch
from torch import nn

from darts_pl.ops import BatchNorm
from darts_pl.ops.depthwise import DepthwiseConv2d
from darts_pl.ops.norm_relu_depthwise import is_norm_relu_depthwise, norm_relu_depthwise

CHANNELS = 6


def both(kernel, stride, dilation, dtype):
    """Our norm and convolution, and torch's layers with the same filters."""
    norm, convolution = BatchNorm(CHANNELS, affine=False), DepthwiseConv2d(CHANNELS, kernel, stride, dilation)
    padding = dilation * (kernel // 2)
    plain = nn.Conv2d(CHANNELS, CHANNELS, kernel, stride, padding, dilation, groups=CHANNELS, bias=False)
    plain.load_state_dict(convolution.state_dict())
    layers = nn.Sequential(nn.BatchNorm2d(CHANNELS, affine=False), nn.ReLU(), plain)
    return norm.to(dtype), convolution.to(dtype), layers.to(dtype)


def maps(dtype):
    x = 3 * torch.randn(4, CHANNELS, 8, 8, dtype=dtype) + 1
    return x.contiguous(memory_format=torch.channels_last).requires_grad_()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize(("kernel", "stride", "dilation"), [(3, 1, 1), (5, 1, 1), (3, 2, 2), (5, 1, 2)])
def test_values_gradients_and_statistics_are_those_of_three_layers(kernel, stride, dilation, dtype):
    norm, convolution, layers = both(kernel, stride, dilation, dtype)
    x, close = maps(dtype), {"rtol": 1e-4, "atol": 1e-5} if dtype == torch.float32 else {"rtol": 1e-10, "atol": 1e-10}
    ours, theirs = norm_relu_depthwise(norm, convolution, x), layers(x)
    torch.testing.assert_close(ours, theirs, **close)
    gradient = torch.randn_like(ours)
    found = torch.autograd.grad(ours, [x, convolution.weight], gradient)
    expected = torch.autograd.grad(theirs, [x, layers[2].weight], gradient)
    torch.testing.assert_close(found, expected, **close)
    torch.testing.assert_close(norm.running_mean, layers[0].running_mean)
    torch.testing.assert_close(norm.running_var, layers[0].running_var)


def test_a_second_derivative_is_that_of_three_layers():
    norm, convolution, layers = both(3, 1, 1, torch.float64)
    x, twice = maps(torch.float64), []
    for output, weight in (
        (norm_relu_depthwise(norm, convolution, x), convolution.weight),
        (layers(x), layers[2].weight),
    ):
        first = torch.autograd.grad(output.pow(2).sum(), [x, weight], create_graph=True)
        twice.append(torch.autograd.grad(sum(part.pow(2).sum() for part in first), [x, weight]))
    torch.testing.assert_close(*twice, rtol=1e-9, atol=1e-9)


def test_only_what_enters_is_kept():
    norm, convolution, _ = both(3, 1, 1, torch.float32)
    x, saved = maps(torch.float32), []
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: saved.append(tensor) or tensor, lambda tensor: tensor):
        norm_relu_depthwise(norm, convolution, x)
    assert [tensor.data_ptr() for tensor in saved if tensor.numel() >= x.numel()] == [x.data_ptr()]


def test_other_layers_and_evaluation_stay_as_they_are():
    norm, convolution, _ = both(3, 1, 1, torch.float32)
    x = maps(torch.float32)
    layers = (norm, nn.ReLU(), convolution)
    assert is_norm_relu_depthwise(layers, x)
    assert not is_norm_relu_depthwise(layers[:2], x)
    assert not is_norm_relu_depthwise((norm, nn.SiLU(), convolution), x)
    assert not is_norm_relu_depthwise((BatchNorm(CHANNELS, affine=True), *layers[1:]), x)
    assert not is_norm_relu_depthwise((deepcopy(norm).eval(), *layers[1:]), x)
    with torch.no_grad():
        assert not is_norm_relu_depthwise(layers, x)
