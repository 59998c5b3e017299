"""Each operation of a convolutional search alone: values and gradients in float32 beside float64 on the CPU.

Run on the CPU too, where the float32 forms are checked; on a GPU a failure names the operation at fault.
"""

import pytest
import torch
from torch import nn

from darts_pl.bilevel import full_precision, reduced_precision
from darts_pl.ops import BatchNorm, NodeOutput, build_edges
from darts_pl.ops.depthwise import DepthwiseConv2d
from darts_pl.ops.pointwise import PointwiseConv2d
from darts_pl.ops.separable import separable

#: Of the paper's search: a batch of 16 maps of 16 channels, 3 edges side by side.
BATCH, CHANNELS, SIDE, EDGES = 4, 16, 16, 3
WIDE = EDGES * CHANNELS
NO_CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device is visible")
pytestmark = pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=[pytest.mark.gpu, NO_CUDA])])


class Fused(nn.Module):
    """BatchNorm, ReLU, a depthwise and a pointwise convolution as one function."""

    def __init__(self, kernel, dilation):
        super().__init__()
        depthwise = DepthwiseConv2d(WIDE, kernel, 1, dilation)
        self.layers = nn.Sequential(BatchNorm(WIDE, affine=False), nn.ReLU(), depthwise, PointwiseConv2d(WIDE, EDGES))

    def forward(self, x):
        return separable(tuple(self.layers), x)


class Scaled(nn.Module):
    """BatchNorm that carries mixing weights."""

    def __init__(self):
        super().__init__()
        self.norm = BatchNorm(EDGES * CHANNELS, affine=False)
        self.scale = nn.Parameter(torch.rand(EDGES * CHANNELS))

    def forward(self, x):
        return self.norm(x, self.scale)


LAYERS = {
    **{
        f"depthwise k{kernel} s{stride} d{dilation}": (
            lambda kernel=kernel, stride=stride, dilation=dilation: DepthwiseConv2d(WIDE, kernel, stride, dilation)
        )
        for kernel in (3, 5)
        for stride in (1, 2)
        for dilation in (1, 2)
    },
    "pointwise": lambda: PointwiseConv2d(WIDE, EDGES),
    "dense 1x1": lambda: nn.Conv2d(WIDE, CHANNELS, 1, bias=False),
    "dense 3x3": lambda: nn.Conv2d(WIDE, CHANNELS, 3, padding=1, bias=False),
    "norm": lambda: BatchNorm(WIDE, affine=False),
    "norm with scale": Scaled,
    **{
        f"fused k{kernel} d{dilation}": (lambda k=kernel, d=dilation: Fused(k, d))
        for kernel in (3, 5)
        for dilation in (1, 2)
    },
    **{f"max pool s{stride}": (lambda s=stride: nn.MaxPool2d(3, s, 1)) for stride in (1, 2)},
    **{
        f"average pool s{stride}": (lambda s=stride: nn.AvgPool2d(3, s, 1, count_include_pad=False))
        for stride in (1, 2)
    },
}
CANDIDATES = (
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)


def close_to_float64(module, x, run, device):
    """Value and gradients on the device in float32, beside those on the CPU in float64, in relative norm."""
    results = []
    for dtype, place in ((torch.float64, "cpu"), (torch.float32, device)):
        module.to(place, dtype)
        leaf = x.to(place, dtype).contiguous(memory_format=torch.channels_last).requires_grad_()
        y = run(module, leaf)
        torch.manual_seed(1)
        upstream = torch.randn(y.shape, dtype=torch.float64).to(place, dtype)
        upstream = upstream.contiguous(memory_format=torch.channels_last)
        found = torch.autograd.grad(y, [leaf, *module.parameters()], upstream)
        results.append([part.detach().cpu().double() for part in (y, *found)])
    names = ["value", "input", *(name for name, _ in module.named_parameters())]
    errors = {
        name: float((part - exact).norm() / exact.norm()) for name, exact, part in zip(names, *results, strict=True)
    }
    assert max(errors.values()) < 2e-5, errors


@pytest.fixture(autouse=True)
def _full_float32(device):
    with full_precision(device):
        assert reduced_precision() == {}
        yield


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_in_float32_is_that_in_float64(device, layer):
    torch.manual_seed(0)
    close_to_float64(LAYERS[layer](), torch.randn(BATCH, WIDE, SIDE, SIDE), lambda module, x: module(x), device)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("name", CANDIDATES)
def test_a_candidate_on_three_edges_in_float32_is_that_in_float64(device, name, stride):
    torch.manual_seed(0)
    operation = build_edges(name, CHANNELS, stride, EDGES)
    x = torch.randn(BATCH, CHANNELS, SIDE, SIDE)
    close_to_float64(operation, x, lambda module, leaf: module.on_edges(NodeOutput(leaf * 1.0)), device)
