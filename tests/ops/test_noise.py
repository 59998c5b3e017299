"""The candidate that ignores its input."""

import pytest
import torch

from darts_pl.ops import NodeOutput, build, build_edges


@pytest.mark.parametrize(("stride", "shape"), [(1, (64, 8, 9, 7)), (2, (64, 8, 5, 4))])
def test_noise_is_standard_normal_of_the_shape_of_the_output_and_of_every_edge_its_own(stride, shape):
    batch = torch.full((64, 8, 9, 7), 3.0, dtype=torch.float64)
    maps = build_edges("noise", 8, stride, 2).on_edges(NodeOutput(batch))
    first, second = maps.chunk(2, dim=1)
    assert first.shape == second.shape == build("noise", 8, stride)(batch).shape == shape
    for drawn in (first, second):
        count = drawn.numel()
        assert abs(drawn.mean()) < 5 / count**0.5
        assert abs(drawn.var() - 1) < 5 * (2 / count) ** 0.5
    assert abs((first * second).mean()) < 5 / first.numel() ** 0.5


def test_noise_is_what_the_global_generator_draws_next():
    torch.manual_seed(4)
    found = build("noise", 2, 1)(torch.zeros(1, 2, 3, 3))
    torch.manual_seed(4)
    assert torch.equal(found, torch.randn(1, 2, 3, 3))
