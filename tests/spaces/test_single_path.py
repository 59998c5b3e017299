"""Drawn operations: the distribution, the temperature, the gradient, and that nothing else is computed."""

import math

import pytest
import torch
from torch import nn

from counting import cost
from darts_pl.errors import UserError
from darts_pl.settings import check
from darts_pl.spaces import (
    CnnSupernet,
    Gumbel,
    GumbelSettings,
    MixedEdges,
    Parts,
    PlainEdges,
    SinglePath,
    SinglePathSettings,
    Skip,
    build_space,
)
from tests.paper import CANDIDATES

NAMES = ("none", "max_pool_3x3", "skip_connect", "sep_conv_3x3", "dil_conv_5x5")
SETTINGS = GumbelSettings(tau_max=10.0, tau_min=0.1)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_operations_are_drawn_as_often_as_the_softmax_says_whatever_the_temperature():
    alphas = torch.tensor([[0.0, 1.0, -1.0, 0.5]]).expand(20_000, 4)
    for tau in (10.0, 0.1):
        relaxation = Gumbel(SETTINGS)
        relaxation.tau = tau
        weights, alive = relaxation.sampled(alphas, None, generator())
        frequency = weights.round().mean(0)
        # The standard error of a frequency of 20,000 draws is at most 0.0036.
        torch.testing.assert_close(frequency, torch.softmax(alphas[0], 0), rtol=0, atol=0.012)
        assert torch.equal(torch.tensor(alive), weights > 0.5)


@pytest.mark.parametrize("epochs", [1, 2, 7, 50, 250])
def test_the_temperature_falls_in_equal_steps_to_exactly_its_least_value(epochs):
    relaxation = Gumbel(SETTINGS)
    found = []
    for epoch in range(epochs):
        relaxation.start_epoch(epoch, epochs)
        found.append(relaxation.metrics()["temperature"])
    assert found[-1] == 0.1
    assert min(found) == 0.1
    if epochs > 1:
        expected = [10 - 9.9 * epoch / (epochs - 1) for epoch in range(epochs)]
        assert found == pytest.approx(expected, rel=1e-12)
    relaxation.start_epoch(epochs + 5, epochs)
    assert relaxation.tau == 0.1


def test_the_gradient_of_the_alphas_is_that_of_the_softmax_at_the_temperature():
    alphas = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    relaxation = Gumbel(SETTINGS)
    relaxation.tau = 0.7
    noise = relaxation.draw(alphas, generator(4))
    weights, _ = relaxation.sampled(alphas, None, generator(4))
    cotangent = torch.randn_like(weights)
    (found,) = torch.autograd.grad(weights, alphas, cotangent)
    p = torch.softmax((torch.log_softmax(alphas, -1) + noise) / 0.7, -1).detach()
    torch.testing.assert_close(found, p * (cotangent - (p * cotangent).sum(-1, keepdim=True)) / 0.7)


class FirstInfinite(Gumbel):
    """The first noise that it draws holds an infinity."""

    def __init__(self):
        super().__init__(SETTINGS)
        self.drawn = 0

    def draw(self, like, generator):
        self.drawn += 1
        noise = super().draw(like, generator)
        if self.drawn == 1:
            noise[1, 2] = math.inf
        return noise


def test_infinite_noise_is_drawn_again_as_a_whole():
    relaxation, source = FirstInfinite(), generator(2)
    weights, _ = relaxation.sampled(torch.zeros(3, 4), None, source)
    plain, other = Gumbel(SETTINGS), generator(2)
    plain.draw(torch.zeros(3, 4), other)
    assert relaxation.drawn == 2
    assert torch.equal(weights, plain.sampled(torch.zeros(3, 4), None, other)[0])


def test_a_removed_candidate_is_never_drawn_and_gets_no_gradient():
    alphas = torch.zeros(500, 3, requires_grad=True)
    live = torch.tensor([True, False, True]).expand(500, 3)
    weights, alive = Gumbel(SETTINGS).sampled(alphas, live, generator())
    assert not any(row[1] for row in alive)
    assert any(row[0] for row in alive)
    assert any(row[2] for row in alive)
    (found,) = torch.autograd.grad(weights, alphas, torch.randn(500, 3))
    assert found.isfinite().all()
    assert not found[:, 1].any()
    torch.testing.assert_close(
        Gumbel(SETTINGS).expected(alphas, live).detach(), torch.tensor([0.5, 0.0, 0.5]).expand(500, 3)
    )


def test_expected_weights_draw_nothing():
    state = torch.get_rng_state()
    torch.testing.assert_close(Gumbel(SETTINGS).expected(torch.zeros(2, 4), None), torch.full((2, 4), 0.25))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (GumbelSettings(tau_max=10.0, tau_min=0.0), r"^relaxation\.tau_min=0\.0: must be above 0"),
        (GumbelSettings(tau_max=-1.0, tau_min=0.1), r"^relaxation\.tau_max=-1\.0: must be above 0"),
        (GumbelSettings(tau_max=1.0, tau_min=2.0), r"^relaxation\.tau_min=2\.0: must be at most tau_max=1\.0"),
    ],
)
def test_temperatures_of_0_and_rising_ones_are_refused(settings, message):
    with pytest.raises(UserError, match=message):
        check(settings, "relaxation")


def one_edge(leaving, position):
    """The module of one edge alone, with that edge's weights."""
    alone = MixedEdges([NAMES], leaving.channels, leaving.stride)
    own, edges = leaving.state_dict(), leaving.edges
    alone.load_state_dict(
        {
            name: own[name].chunk(edges)[position] if own[name].shape != tensor.shape else own[name]
            for name, tensor in alone.state_dict().items()
        }
    )
    return alone.double().train()


@pytest.mark.parametrize("undrawn", [False, True])
@pytest.mark.parametrize("drawn", [(3, 3, 3), (0, 2, 1), (0, 0, 0), (4, 3, 4)])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_node_and_its_gradients_are_those_of_the_definition(undrawn, drawn, stride):
    kind = SinglePath(SinglePathSettings(undrawn=undrawn))
    leaving = SinglePath(SinglePathSettings(undrawn=True)).build([NAMES] * 3, 4, stride, Skip()).double().train()
    if not undrawn:
        plain = kind.build([NAMES] * 3, 4, stride, Skip()).double().train()
        plain.load_state_dict(leaving.state_dict())
    node = torch.randn(2, 4, 7, 7, dtype=torch.float64, requires_grad=True)
    values = nn.functional.one_hot(torch.tensor(drawn), len(NAMES)).double()
    weights = values.clone().requires_grad_()
    alive = tuple(tuple(column == chosen for column in range(len(NAMES))) for chosen in drawn)
    parts = (leaving if undrawn else plain)(node, weights, alive, None)
    parts = [part for part in parts if part is not None]
    expected = torch.zeros(2, 4, *(((7 + stride - 1) // stride,) * 2), dtype=torch.float64)
    for position, chosen in enumerate(drawn):
        if NAMES[chosen] != "none":
            row = torch.zeros(len(NAMES), dtype=torch.float64)
            row[chosen] = 1.0
            expected = expected + weights[position, chosen] * one_edge(leaving, position)(node, row.unsqueeze(0))[0]
        if undrawn:
            expected = expected + sum(weights[position, column] for column in range(len(NAMES)) if column != chosen)
    if not parts:
        assert drawn == (0, 0, 0)
        return
    found = kind.finish(parts)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
    cotangent = torch.randn_like(expected)
    ours, theirs = (
        torch.autograd.grad(result, [node, weights], cotangent, allow_unused=True, materialize_grads=True)
        for result in (found, expected)
    )
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


def test_weights_of_what_was_not_drawn_get_no_gradient_and_the_others_do():
    torch.manual_seed(0)
    net = CnnSupernet(
        build_space("cnn", NAMES, 2),
        init_channels=2,
        layers=3,
        classes=3,
        parts=Parts(relaxation=Gumbel(SETTINGS), edges=SinglePath(SinglePathSettings(undrawn=False))),
    )
    mixing = net.mixing(generator(), sample=True)
    net.loss((torch.randn(4, 3, 8, 8), torch.tensor([0, 1, 2, 0])), mixing).loss.backward()
    for cell in net.cells:
        alive = mixing[cell.cell_type].alive
        for source, leaving in enumerate(cell.space.leaving_by_source()):
            for name, parameter in cell.mixed[source].operations.named_parameters():
                column = NAMES.index(name.split(".")[0])
                drawn = torch.tensor([alive[edge][column] for edge in leaving])
                rows = None if parameter.grad is None else parameter.grad.unflatten(0, (len(leaving), -1))
                moved = drawn.new_zeros(len(leaving)) if rows is None else rows.flatten(1).ne(0).any(1)
                assert torch.equal(moved, drawn), name


def test_a_drawn_path_saves_at_most_0_27_of_the_plain_bytes():
    # The paper's size; a batch of 4 images is enough for a ratio, and the mean of some draws for its cost.
    images, labels = torch.randn(4, 3, 32, 32), torch.zeros(4, dtype=torch.long)
    space = build_space("cnn", CANDIDATES, 4)
    plain, drawn = (
        CnnSupernet(space, init_channels=16, layers=8, classes=10, parts=parts)
        for parts in (
            Parts(edges=PlainEdges()),
            Parts(relaxation=Gumbel(SETTINGS), edges=SinglePath(SinglePathSettings(undrawn=False))),
        )
    )
    whole = cost(lambda: plain.loss((images, labels), plain.mixing()).loss.backward())
    source = generator()
    paths = [
        cost(lambda: drawn.loss((images, labels), drawn.mixing(source, sample=True)).loss.backward()) for _ in range(4)
    ]
    saved = sum(path.saved for path in paths) / len(paths) / whole.saved
    operations = sum(path.operations for path in paths) / len(paths) / whole.operations
    print(f"saved {saved:.3f}, operations {operations:.2f}")
    assert saved <= 0.27
    assert operations <= 1.0
