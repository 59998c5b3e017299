"""Masked candidates have no part in a pass; their weights get gradient zero, not an error."""

import pytest
import torch

from darts_pl.bilevel import ORDERS, InnerStep, identity_mean
from darts_pl.spaces import CnnSupernet, build_space


@pytest.mark.parametrize("order", ORDERS)
def test_an_order_gives_the_same_gradient_without_a_candidate_as_with_it_masked(order: str) -> None:
    torch.set_default_dtype(torch.float64)
    names = ["skip_connect", "avg_pool_3x3", "sep_conv_3x3"]
    supernet = CnnSupernet(build_space("cnn", names, 2), init_channels=2, layers=3, classes=3)
    for cell in supernet.space.cells:
        values = torch.full(supernet.space.cells[cell].shape, float("nan"))
        values[:, 2] = 0
        supernet.mask(cell, values)
    batches = [(torch.randn(4, 3, 8, 8), torch.randint(3, (4,))) for _ in range(2)]
    result = ORDERS[order](supernet, *batches, InnerStep(lr=0.1), identity_mean)
    with torch.no_grad():  # what is never computed cannot matter
        for name, weight in supernet.weights().items():
            if "sep_conv" in name:
                weight.add_(1.0)
    again = ORDERS[order](supernet, *batches, InnerStep(lr=0.1), identity_mean)
    for name, gradient in result.gradient.items():
        assert bool(gradient.isfinite().all())
        assert gradient.abs().max() > 0
        torch.testing.assert_close(gradient, again.gradient[name])
