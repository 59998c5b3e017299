"""What one pass through the paper's search network costs, counted (seconds are for `make benchmark`)."""

import pytest
import torch
from torch import nn

from counting import cost
from darts_pl.interop import export_supernet
from steps import Ours, PerEdge, both_networks, random_batch


@pytest.fixture(scope="module")
def networks():
    return both_networks()


def test_the_paper_network_stays_within_its_operations_and_saved_bytes(networks):
    ours, _ = networks
    spent = cost(Ours(ours, random_batch(), random_batch()).forward_backward)
    print(f"{spent.operations:,} operations, {spent.saved / 1e6:,.1f} MB saved")
    assert spent.operations <= 5_300
    assert spent.saved <= 1_210e6


def test_the_per_edge_yardstick_costs_what_the_authors_form_does(networks):
    # Counted on the published code: 14,500 operations, 2,017 MB.
    _, per_edge = networks
    spent = cost(PerEdge(per_edge, random_batch(), random_batch()).forward_backward)
    print(f"{spent.operations:,} operations, {spent.saved / 1e6:,.1f} MB saved")
    assert spent.operations == pytest.approx(14_500, rel=0.03)
    assert spent.saved == pytest.approx(2_017e6, rel=0.03)


def test_both_forms_compute_the_same_logits(networks):
    images, _ = random_batch()
    with torch.no_grad():
        supernet, per_edge = networks
        ours, theirs = supernet(images[:4], supernet.mixing()), per_edge(images[:4])
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("order", "channels"), [("first", 4), ("second", 4), ("first", 3)])
def test_both_forms_take_the_same_steps(order, channels):
    torch.set_default_dtype(torch.float64)
    network, yardstick = both_networks(channels=channels, layers=3)
    batches = random_batch(4, side=8), random_batch(4, side=8)
    ours, theirs = Ours(network, *batches), PerEdge(yardstick, *batches)
    for _ in range(2):  # the second with momentum
        ours.step(order)
        theirs.step(order)
    for name, alpha in zip(("normal", "reduce"), yardstick.alphas, strict=True):
        torch.testing.assert_close(network.alphas[name].detach(), alpha.detach(), rtol=1e-7, atol=1e-9)
    weights = export_supernet(network, network.weights())
    for name, weight in yardstick.named_parameters():
        torch.testing.assert_close(weights[name].detach(), weight.detach(), rtol=1e-7, atol=1e-9)


def test_views_are_not_operations_and_writes_are():
    x = torch.ones(2, 3)
    assert cost(lambda: x.t().reshape(6)[1:].detach().unbind(0)).operations == 1  # reshape copies
    assert cost(lambda: x.add_(1).relu()).operations == 2


def test_a_storage_saved_twice_counts_once_and_only_while_it_is_held():
    x = torch.ones(1000, requires_grad=True)

    def twice():
        (x * x).sum().backward()

    def one_after_the_other():
        twice()
        twice()

    assert cost(twice).saved == x.untyped_storage().nbytes()
    assert cost(one_after_the_other).saved == x.untyped_storage().nbytes()


def test_no_storage_is_still_held_after_the_backward_pass():
    layers = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))
    images = torch.ones(2, 3)
    first = cost(lambda: layers(images).sum().backward())
    assert cost(lambda: [layers(images).sum().backward() for _ in range(3)]).saved == first.saved
