"""Perturbed mixing weights against what they must be on paper: where they act, how far, which way, at what cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from counting import Operations
from darts_pl.bilevel import PERTURBATIONS, Draws, SearchStep, first_order, identity_mean
from darts_pl.methods import (
    AdversarialPerturbation,
    AdversarialPerturbationSettings,
    MixingPerturbation,
    RandomPerturbation,
    RandomPerturbationSettings,
)
from darts_pl.spaces import CnnSupernet, Mixing, Outcome, RnnSupernet, Supernet, build_space
from tests.bilevel.test_mean_over_ranks import on_ranks
from tests.methods.test_contracts import BATCH, search_step
from tests.on_paper import optimizers_of
from tests.smooth import CLASSES, FEATURES, SmoothNet


def random(epsilon: float) -> RandomPerturbation:
    return RandomPerturbation(RandomPerturbationSettings(epsilon_min=epsilon, epsilon_max=epsilon))


def adversarial(epsilon: float, steps: int = 7, random_start: bool = False) -> AdversarialPerturbation:
    return AdversarialPerturbation(
        AdversarialPerturbationSettings(
            epsilon_min=epsilon, epsilon_max=epsilon, steps=steps, random_start=random_start
        )
    )


BOTH = pytest.mark.parametrize("perturbation", [random(0.1), adversarial(0.1, random_start=True)], ids=["rs", "adv"])


class Linear(Supernet):
    """The loss is the inner product of the mixing weights with given slopes."""

    def __init__(self, slopes: Mapping[str, Tensor]) -> None:
        super().__init__(build_space("cnn", ("max_pool_3x3", "skip_connect"), nodes=1))
        self.slopes = slopes
        self.first = nn.Parameter(torch.zeros(1))

    def loss(self, batch: Any, mixing: Mapping[str, Mixing]) -> Outcome:
        total = sum((self.slopes[name] * values.weights).sum() for name, values in mixing.items())
        assert isinstance(total, Tensor)
        return Outcome(total, total.detach())


def applied(perturbation: MixingPerturbation, net: Supernet, batch: Any = None) -> Mapping[str, Mixing]:
    mixing = {name: values._replace(weights=values.weights.detach()) for name, values in net.mixing().items()}
    return perturbation(net, mixing, batch, torch.Generator().manual_seed(3), identity_mean)


def test_the_adversary_moves_by_epsilon_towards_the_larger_loss() -> None:
    slopes = torch.tensor([[1.0, -1.0], [-2.0, 5.0]])
    net = Linear({"normal": slopes, "reduce": -slopes})
    found = applied(adversarial(0.2), net)
    torch.testing.assert_close(found["normal"].weights, torch.tensor([[0.7, 0.3], [0.3, 0.7]]))
    torch.testing.assert_close(found["reduce"].weights, torch.tensor([[0.3, 0.7], [0.7, 0.3]]))


def test_a_step_of_the_adversary_has_length_two_epsilon_over_the_number_of_steps() -> None:
    slopes = torch.tensor([[1.0, -1.0], [1.0, -1.0]])
    visited: list[Tensor] = []

    class Watching(Linear):
        def loss(self, batch: Any, mixing: Mapping[str, Mixing]) -> Outcome:
            visited.append(mixing["normal"].weights.detach()[0, 0] - 0.5)
            return super().loss(batch, mixing)

    applied(adversarial(0.2, steps=8), Watching({"normal": slopes, "reduce": slopes}))
    # The start, the start again with a gradient, then steps of 0.05 that end at epsilon.
    torch.testing.assert_close(torch.stack(visited), torch.tensor([0, 0, 0.05, 0.1, 0.15, 0.2, 0.2, 0.2, 0.2, 0.2]))


def test_where_the_loss_does_not_grow_the_mixing_weights_stay_as_they_are() -> None:
    flat = torch.ones(2, 2)  # a mixing sums to 1, so every mixing has the same loss
    net = Linear({"normal": flat, "reduce": flat})
    for name, values in applied(adversarial(0.2, random_start=True), net).items():
        assert torch.equal(values.weights, net.mixing()[name].weights)


@BOTH
def test_a_perturbation_acts_on_the_mixing_weights_of_the_weight_step_and_is_undone_after_it(
    perturbation: MixingPerturbation,
) -> None:
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(2)
    nets = [SmoothNet(0.0), SmoothNet(0.0)]
    nets[1].load_state_dict(nets[0].state_dict())
    x, y = torch.randn(2, 6, FEATURES), torch.randint(CLASSES, (2, 6))
    train, valid = (x[0], y[0]), (x[1], y[1])
    seen: list[Mapping[str, Mixing]] = []
    loss = SmoothNet.loss
    for net, used in zip(nets, (None, perturbation), strict=True):
        step = SearchStep(net, order=first_order, perturbation=used, **optimizers_of(net))
        watched: Any = net
        watched.loss = lambda batch, mixing, net=net: (seen.append(mixing), loss(net, batch, mixing))[1]
        step(train, valid, 0)
    plain, moved = nets
    for name, alphas in plain.alphas.items():
        assert torch.equal(alphas, moved.alphas[name])  # the alphas of the step do not know of it
        softmax = torch.softmax(moved.alphas[name].detach(), dim=1)
        assert torch.equal(moved.mixing()[name].weights, softmax)  # and it is gone afterwards
        used_weights = seen[-1][name].weights
        assert 1e-3 < (used_weights - softmax).abs().max() <= 0.2
        torch.testing.assert_close(used_weights.sum(1), torch.ones(2))
    assert not torch.equal(plain.first, moved.first)


def test_noise_is_uniform_in_the_radius_and_added_before_the_rows_become_mixing_weights() -> None:
    perturbation = random(0.05)
    drawn: list[Tensor] = []
    draw = perturbation.draw
    watched: Any = perturbation
    watched.draw = lambda like, generator: (drawn.append(draw(like, generator)), drawn[-1])[1]
    net = Linear({})
    for alphas in net.alphas.values():
        nn.init.normal_(alphas)
    found = applied(perturbation, net)
    for noise, (name, values) in zip(drawn, found.items(), strict=True):
        assert 0.0 < noise.abs().max() <= 0.05
        moved = torch.softmax(net.alphas[name].detach(), dim=1) + noise
        torch.testing.assert_close(values.weights, moved / moved.sum(1, keepdim=True))
    many = draw(torch.empty(20_000), torch.Generator().manual_seed(1))
    assert many.min() < -0.0499
    assert many.max() > 0.0499
    torch.testing.assert_close(many.var().item(), 0.05**2 / 3, rtol=0.05, atol=0)  # of the uniform distribution


@pytest.mark.parametrize(("epochs", "expected"), [(1, [0.3]), (2, [0.03, 0.3]), (4, [0.03, 0.12, 0.21, 0.3])])
@pytest.mark.parametrize("name", ["random", "adversarial"])
def test_the_radius_grows_linearly_and_ends_at_its_largest_value(name: str, epochs: int, expected: list[float]) -> None:
    settings = type("Settings", (), {"epsilon_min": 0.03, "epsilon_max": 0.3, "steps": 7, "random_start": True})()
    perturbation = PERTURBATIONS.get(name)(settings)
    for epoch, radius in enumerate(expected):
        perturbation.start_epoch(epoch, epochs)
        assert perturbation.metrics()["epsilon"] == pytest.approx(radius, rel=1e-12)


@BOTH
def test_candidates_that_are_not_computed_stay_and_rows_keep_their_sums(perturbation: MixingPerturbation) -> None:
    weights = torch.tensor([[0.9, 0.4, 0.5], [0.0, 1.0, 0.0]])  # no distribution, and one drawn path
    alive = ((True, True, False), (False, True, False))
    net = Linear({"normal": torch.randn(2, 3), "reduce": torch.randn(2, 3)})
    mixing = {"normal": Mixing(weights, None, alive), "reduce": Mixing(weights, None, alive)}
    found = perturbation(net, mixing, None, torch.Generator().manual_seed(3), identity_mean)
    for values in found.values():
        assert values.alive == alive
        assert values.weights[0, 2] == 0.5
        assert torch.equal(values.weights[1], weights[1])
        torch.testing.assert_close(values.weights[0, :2].sum(), torch.tensor(1.3))
        assert not torch.equal(values.weights[0, :2], weights[0, :2])


def test_ranks_find_the_adversary_of_their_joint_batch() -> None:
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(4)
    net = SmoothNet(0.0)
    halves = [(torch.randn(4, FEATURES), torch.randint(CLASSES, (4,))) for _ in range(2)]
    joint = (torch.cat([x for x, _ in halves]), torch.cat([y for _, y in halves]))

    def attack(supernet: Supernet, train: Any, valid: Any, inner: Any, mean: Any) -> Mapping[str, Mixing]:
        mixing = {name: values._replace(weights=values.weights.detach()) for name, values in supernet.mixing().items()}
        return adversarial(0.1, random_start=True)(supernet, mixing, train, Draws(0, 1)("perturb", "cpu"), mean)

    results, _ = on_ranks(attack, net, halves, halves, None)
    together = attack(net, joint, None, None, identity_mean)
    for result in results:
        for name, values in together.items():
            torch.testing.assert_close(result[name].weights, values.weights, rtol=1e-12, atol=1e-14)


def convolutional() -> CnnSupernet:
    names = ("none", "skip_connect", "sep_conv_3x3", "noise")
    return CnnSupernet(build_space("cnn", names, 2), init_channels=4, layers=3, classes=3, alpha_scale=1.0).train()


@BOTH
def test_a_perturbation_leaves_no_trace_and_draws_the_same_when_the_step_is_repeated(
    perturbation: MixingPerturbation,
) -> None:
    net = convolutional()
    net.cells[0].eval()  # a mode of its own stays as well
    state = {name: values.clone() for name, values in net.state_dict().items()}
    modes, numbers = [module.training for module in net.modules()], torch.get_rng_state()
    found = [applied(perturbation, net, BATCH) for _ in range(2)]
    assert torch.equal(torch.get_rng_state(), numbers)
    assert [module.training for module in net.modules()] == modes
    assert all(torch.equal(values, state[name]) for name, values in net.state_dict().items())
    assert all(parameter.grad is None for parameter in net.parameters())
    for name in ("normal", "reduce"):
        assert torch.equal(found[0][name].weights, found[1][name].weights)


@BOTH
def test_mixing_weights_of_a_recurrent_cell_are_perturbed_too(perturbation: MixingPerturbation) -> None:
    net = RnnSupernet(build_space("rnn", ("none", "tanh", "relu", "identity"), 2), vocabulary=7, units=5).train()
    words = torch.randint(7, (6, 3))
    found = applied(perturbation, net, (words[:-1], words[1:]))["recurrent"].weights
    softmax = net.mixing()["recurrent"].weights
    assert 1e-3 < (found - softmax).abs().max() <= 0.2
    torch.testing.assert_close(found.sum(1), torch.ones(len(found)))


def test_a_random_perturbation_adds_at_most_a_twentieth_of_the_operations_of_a_step() -> None:
    counts = []
    for perturbation in (None, random(0.1)):
        torch.manual_seed(0)
        names = ("none", "max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "dil_conv_3x3")
        step = search_step(CnnSupernet(build_space("cnn", names, 4), init_channels=4, layers=8, classes=3), "first")
        step.perturbation = perturbation
        step(BATCH, BATCH, 0)
        operations = Operations()
        with operations:
            step(BATCH, BATCH, 1)
        counts.append(operations.count)
    assert counts[0] < counts[1] <= 1.05 * counts[0]


def test_an_adversary_computes_two_forward_passes_and_one_more_with_a_gradient_for_each_step() -> None:
    passes: list[bool] = []

    class Counting(Linear):
        def loss(self, batch: Any, mixing: Mapping[str, Mixing]) -> Outcome:
            passes.append(torch.is_grad_enabled())
            return super().loss(batch, mixing)

    slopes = torch.ones(2, 2)
    applied(adversarial(0.1, steps=5, random_start=True), Counting({"normal": slopes, "reduce": slopes}))
    assert passes == [False, *[True] * 5, False]
