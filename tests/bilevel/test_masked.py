"""Candidates of fixed weight 0 have no part in a pass; their weights get gradient zero, not an error."""

import pytest
import torch

from darts_pl.bilevel import ORDERS, InnerStep, gradients, identity_mean
from darts_pl.spaces import CnnSupernet, build_space


@pytest.mark.parametrize("order", ORDERS.list())
def test_an_order_gives_the_same_gradient_whatever_the_weights_of_a_candidate_fixed_at_zero(order: str) -> None:
    torch.set_default_dtype(torch.float64)
    names = ["skip_connect", "avg_pool_3x3", "sep_conv_3x3"]
    supernet = CnnSupernet(build_space("cnn", names, 2), init_channels=2, layers=3, classes=3, alpha_scale=1e-3)
    for name, cell in supernet.space.cells.items():
        supernet.fix(name, {(edge, 2): 0.0 for edge in range(len(cell.edges))})
    batches = [(torch.randn(4, 3, 8, 8), torch.randint(3, (4,))) for _ in range(2)]
    inner = InnerStep(lr=0.1, radius=0.01)
    result = ORDERS.get(order)()(supernet, *batches, inner, identity_mean)
    with torch.no_grad():  # what is never computed cannot matter
        for name, weight in supernet.weights().items():
            if "sep_conv" in name:
                weight.add_(1.0)
    again = ORDERS.get(order)()(supernet, *batches, inner, identity_mean)
    for name, gradient in result.gradient.items():
        assert bool(gradient.isfinite().all())
        assert gradient.abs().max() > 0
        torch.testing.assert_close(gradient, again.gradient[name])


def test_the_gradient_of_a_pass_that_used_no_tensor_is_zero() -> None:
    # as where a drawn path leads through "none" only
    alphas, weights = torch.randn(2, 3, requires_grad=True), torch.randn(4, requires_grad=True)
    found = gradients(torch.tensor(1.5), [alphas, weights])
    assert [tuple(one.shape) for one in found] == [(2, 3), (4,)]
    assert all(bool((one == 0).all()) for one in found)
