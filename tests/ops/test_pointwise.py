"""The 1x1 convolution of several edges."""

import pytest
import torch
from torch.nn.functional import conv2d

from darts_pl.ops.pointwise import block_diagonal


@pytest.mark.parametrize(("groups", "outputs", "inputs"), [(1, 3, 2), (2, 2, 3), (5, 4, 4)])
def test_the_block_diagonal_filter_is_the_convolution_with_groups(groups: int, outputs: int, inputs: int) -> None:
    torch.manual_seed(0)
    weight = torch.randn(groups * outputs, inputs, 1, 1, dtype=torch.float64, requires_grad=True)
    x = torch.randn(2, groups * inputs, 3, 4, dtype=torch.float64, requires_grad=True)
    dense, grouped = conv2d(x, block_diagonal(weight, groups)), conv2d(x, weight, groups=groups)
    torch.testing.assert_close(dense, grouped, rtol=0, atol=1e-13)
    upstream = torch.randn_like(grouped)
    for ours, library in zip(
        torch.autograd.grad(dense, [x, weight], upstream),
        torch.autograd.grad(grouped, [x, weight], upstream),
        strict=True,
    ):
        torch.testing.assert_close(ours, library, rtol=0, atol=1e-13)
