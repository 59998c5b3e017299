"""Dropout behind skip connections: what it drops, where, and at which rate."""

import math

import pytest
import torch

from counting import cost
from darts_pl.bilevel import Draws, InnerStep, first_order
from darts_pl.ops import Identity
from darts_pl.spaces import (
    CnnSupernet,
    DropoutSkip,
    DropoutSkipSettings,
    DroppedIdentity,
    NasBench201Supernet,
    Parts,
    PlainEdges,
    Skip,
    build_space,
)

NAMES = ("none", "skip_connect", "max_pool_3x3")
EDGES = 3


def dropout(*rates, warmup=0, decay=0.0):
    return DropoutSkip(DropoutSkipSettings(rates=list(rates), warmup_epochs=warmup, decay=decay))


def edges_of(skip, stride=1):
    return PlainEdges().build([NAMES] * EDGES, 4, stride, skip).double().train()


def skips_alone(alive=None, rate=0.4):
    """The maps of three edges with mixing weights 1, 2, 3 of the skip connection and 0 of the others."""
    torch.manual_seed(3)
    weights = torch.zeros(EDGES, 3, dtype=torch.float64)
    weights[:, 1] = torch.tensor([1.0, 2.0, 3.0])
    node = torch.rand(8, 4, 20, 20, dtype=torch.float64) + 0.5
    return node, edges_of(dropout(rate))(node, weights, alive)


def test_each_edge_drops_elements_of_its_own_and_enlarges_the_others_so_that_the_mean_stays():
    node, parts = skips_alone()
    kept = [part != 0 for part in parts]
    for factor, part, mask in zip((1, 2, 3), parts, kept, strict=True):
        torch.testing.assert_close(part[mask], (factor * node / 0.6)[mask])
        deviation = math.sqrt(0.4 * 0.6 / mask.numel())
        assert abs(mask.double().mean().item() - 0.6) < 4 * deviation
    for one, other in ((0, 1), (0, 2), (1, 2)):  # drawn apart: both are kept with 0.6 * 0.6
        together = (kept[one] & kept[other]).double().mean().item()
        assert abs(together - 0.36) < 4 * math.sqrt(0.36 * 0.64 / kept[0].numel())


def test_where_some_edges_are_computed_these_drop_elements_and_the_others_add_nothing():
    alive = [(False, True, False), (False, False, False), (False, True, False)]
    node, parts = skips_alone(alive)
    assert parts[1] is None
    for factor, part in ((1, parts[0]), (3, parts[2])):
        mask = part != 0
        assert 0.55 < mask.double().mean() < 0.65
        torch.testing.assert_close(part[mask], (factor * node / 0.6)[mask])


def test_the_gradient_of_a_mixing_weight_is_the_kept_part_of_the_input():
    torch.manual_seed(4)
    weights = torch.zeros(EDGES, 3, dtype=torch.float64, requires_grad=True)
    node = torch.randn(4, 4, 5, 5, dtype=torch.float64, requires_grad=True)
    leaving = edges_of(dropout(0.5))
    masks = torch.randint(2, (4, EDGES * 4, 5, 5)).double()
    (operation,) = (one for one in leaving.modules() if isinstance(one, DroppedIdentity))
    operation.keep = lambda like: masks
    parts = leaving(node, weights + torch.tensor([0.0, 1.0, 0.0]))
    cotangent = torch.randn(4, 4, 5, 5, dtype=torch.float64)
    of_weights, of_node = torch.autograd.grad(sum((part * cotangent).sum() for part in parts), [weights, node])
    by_edge = masks.unflatten(1, (EDGES, 4))
    expected = torch.stack([(2 * by_edge[:, edge] * node * cotangent).sum() for edge in range(EDGES)])
    torch.testing.assert_close(of_weights[:, 1], expected.detach())
    torch.testing.assert_close(of_node, 2 * by_edge.sum(1) * cotangent)


@pytest.mark.parametrize("case", ["rate 0", "evaluation"])
def test_without_dropout_all_edges_share_one_map_at_the_plain_cost(case):
    plain, with_rate = edges_of(Skip()), edges_of(dropout(0.0 if case == "rate 0" else 0.5))
    if case == "evaluation":
        plain.eval()
        with_rate.eval()
    node, weights = torch.randn(2, 4, 6, 6, dtype=torch.float64), torch.rand(EDGES, 3, dtype=torch.float64)
    both = [edges(node, weights) for edges in (plain, with_rate)]
    assert all(torch.equal(*pair) for pair in zip(*both, strict=True))
    assert cost(lambda: plain(node, weights)) == cost(lambda: with_rate(node, weights))


def test_a_skip_connection_of_stride_2_is_not_touched():
    assert not any(isinstance(one, DroppedIdentity) for one in edges_of(dropout(0.5), 2).modules())
    assert dropout(0.5).wrap("skip_connect", Identity(2), 1).edges == 2


def supernet(skip):
    torch.manual_seed(5)
    space = build_space("cnn", NAMES, 2)
    return CnnSupernet(space, init_channels=4, layers=3, classes=2, parts=Parts(skip=skip), alpha_scale=1.0).double()


def test_the_rate_falls_linearly_in_the_warm_up_starts_again_and_falls_exponentially():
    net = supernet(dropout(0.2, 0.8, warmup=2, decay=0.5))
    for stage, rate in ((0, 0.2), (1, 0.8)):
        net.enter_stage(stage)
        found = []
        for epoch in range(5):
            net.start_epoch(epoch, 5)
            found.append(net.metrics()["skip_dropout"])
            rates = {one.rate.now for one in net.modules() if isinstance(one, DroppedIdentity)}
            assert rates == {found[-1]}
        assert found == pytest.approx([rate * 0.8, rate * 0.6, rate, rate * math.exp(-0.5), rate * math.exp(-1)])
    net.end_search()
    assert net.metrics() == {"skip_dropout": 0.0}


def test_an_alpha_pass_draws_the_masks_of_its_step_and_leaves_the_random_state_as_it_was():
    net = supernet(dropout(0.5)).train()
    batch = torch.randn(4, 3, 8, 8, dtype=torch.float64), torch.tensor([0, 1, 0, 1])
    inner = InnerStep(lr=0.1, momentum=0.9, weight_decay=0.0, buffers=None, radius=None)
    before = torch.get_rng_state()
    losses = [first_order(net, batch, batch, inner, draws=Draws(0, step)).valid.loss.item() for step in (1, 1, 2)]
    assert torch.equal(torch.get_rng_state(), before)
    assert losses[0] == losses[1] != losses[2]


def test_nasbench201_drops_elements_of_its_identities():
    space = build_space("nasbench201", ["none", "skip_connect"], 2)
    net = NasBench201Supernet(space, channels=4, cells=1, classes=2, parts=Parts(skip=dropout(0.5))).train()
    assert sum(isinstance(one, DroppedIdentity) for one in net.modules()) == 3 * 2
    images = torch.randn(3, 3, 8, 8)
    one, other = (net(images, net.mixing()) for _ in range(2))
    assert not torch.equal(one, other)
