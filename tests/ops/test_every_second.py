"""Every second row and column, against slices of torch."""

import pytest
import torch

from darts_pl.ops.every_second import every_second


@pytest.mark.parametrize("start", [0, 1])
@pytest.mark.parametrize("sides", [(6, 8), (5, 7), (2, 3)])
def test_values_and_two_derivatives_are_those_of_slices(sides, start):
    x = torch.randn(2, 3, *sides, dtype=torch.float64).contiguous(memory_format=torch.channels_last).requires_grad_()
    found, expected = every_second(x, start), x[:, :, start::2, start::2]
    assert found.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
    twice = []
    for y in (found, expected):
        (first,) = torch.autograd.grad(y.pow(3).sum(), x, create_graph=True)
        twice.append((first, *torch.autograd.grad(first.pow(2).sum(), x)))
    torch.testing.assert_close(*twice, rtol=1e-12, atol=1e-12)


def test_transforms_of_functions_take_it():
    x = torch.randn(2, 3, 4, 4, dtype=torch.float64)
    found = [torch.func.vmap(torch.func.grad(f))(x) for f in (total_of_ours, total_of_slices)]
    torch.testing.assert_close(*found, rtol=1e-12, atol=1e-12)


def total_of_ours(x):
    return every_second(x[None], 1).pow(2).sum()


def total_of_slices(x):
    return x[:, 1::2, 1::2].pow(2).sum()


def test_the_smallest_map_is_copied_too():
    x = torch.randn(2, 3, 1, 1)
    assert every_second(x).data_ptr() != x.data_ptr()


def test_a_map_without_a_gradient_is_picked_too():
    x = torch.arange(16.0).view(1, 1, 4, 4)
    assert every_second(x).flatten().tolist() == [0, 2, 8, 10]
    assert every_second(x, 1).flatten().tolist() == [5, 7, 13, 15]
