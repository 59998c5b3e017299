"""The second order with fewer passes: a difference from one side, and the gradient of the virtual step used again."""

import copy

import pytest
import torch

from darts_pl.bilevel import InnerStep, SearchStep, SecondOrder, second_order_exact
from darts_pl.bilevel.virtual_step import FORWARD
from darts_pl.errors import UserError
from darts_pl.spaces import CnnSupernet, RnnSupernet, build_space
from tests.bilevel.test_search_step import Flatten


def distances(net, batches, distance, radii):
    exact = second_order_exact(net, *batches, InnerStep(lr=0.1)).gradient
    order = SecondOrder(difference=FORWARD)
    return [distance(order(net, *batches, InnerStep(lr=0.1, radius=radius)).gradient, exact) for radius in radii]


def test_the_error_of_the_difference_from_one_side_falls_with_the_radius(smooth_net, smooth_batch, distance):
    errors = distances(smooth_net(), (smooth_batch(1), smooth_batch(2)), distance, (0.08, 0.04, 0.02, 1e-6))
    assert errors[0] / errors[1] == pytest.approx(2, rel=0.15)
    assert errors[1] / errors[2] == pytest.approx(2, rel=0.15)
    assert errors[3] < 1e-6


def optimizers(net):
    sgd = torch.optim.SGD(net.weights().values(), 0.1, momentum=0.9, weight_decay=3e-4)
    return {"weights": sgd, "alphas": torch.optim.Adam(net.architecture().values(), 0.1)}


@pytest.mark.parametrize(
    ("settings", "passes"),
    [
        ({}, 5),
        ({"difference": FORWARD}, 4),
        ({"reuse_weight_gradient": True}, 4),
        ({"difference": FORWARD, "reuse_weight_gradient": True}, 3),
    ],
)
def test_each_option_saves_a_pass(smooth_net, smooth_batch, settings, passes):
    net, seen = smooth_net(), []
    loss = net.loss
    net.loss = lambda *arguments: (seen.append(1), loss(*arguments))[1]
    step = SearchStep(net, order=SecondOrder(**settings), radius=0.01, **optimizers(net))
    step(smooth_batch(1), smooth_batch(2), 0)
    assert len(seen) == passes


def test_the_weights_take_the_gradient_at_the_alphas_before_their_step(smooth_net, pure_loss, smooth_batch):
    net, train = smooth_net(), smooth_batch(1)
    before = {name: parameter.detach().clone() for name, parameter in net.named_parameters()}
    weights = {name: before[name] for name in net.weights()}
    tensors = {**weights, **{name: before[f"arch.{name}"] for name in net.architecture()}}
    expected = torch.func.grad(lambda own: pure_loss({**tensors, **own}, train))(weights)
    step = SearchStep(net, order=SecondOrder(reuse_weight_gradient=True), radius=0.01, **optimizers(net))
    result = step(train, smooth_batch(2), 0)
    assert float(result.train.loss) == pytest.approx(float(pure_loss(tensors, train)), rel=1e-12)
    for name, weight in net.weights().items():
        moved = before[name] - 0.1 * (expected[name] + 3e-4 * before[name])
        torch.testing.assert_close(weight.detach(), moved, rtol=1e-12, atol=1e-12)
    assert all(not torch.equal(alpha, before[f"arch.{name}"]) for name, alpha in net.architecture().items())


def test_running_statistics_are_those_of_one_pass_over_the_train_batch():
    torch.manual_seed(0)
    net = CnnSupernet(build_space("cnn", ("skip_connect", "sep_conv_3x3"), 2), init_channels=2, layers=3, classes=3)
    other = copy.deepcopy(net)
    train, valid = ((torch.randn(4, 3, 8, 8), torch.arange(4) % 3) for _ in range(2))
    other.loss(train, other.mixing())
    SearchStep(net, order=SecondOrder(reuse_weight_gradient=True), radius=0.01, **optimizers(net))(train, valid, 0)
    expected = dict(other.named_buffers())
    for name, buffer in net.named_buffers():
        torch.testing.assert_close(buffer, expected[name])


@pytest.mark.parametrize("case", ["perturbation", "slowness"])
def test_what_the_virtual_step_does_not_compute_is_refused(case, smooth_net, smooth_batch):
    if case == "perturbation":
        net, batches, options = smooth_net(), (smooth_batch(1), smooth_batch(2)), {"perturbation": Flatten()}
    else:
        net = RnnSupernet(build_space("rnn", ("tanh", "relu"), 2), vocabulary=5, units=3, slowness=1e-3)
        batches, options = [(torch.randint(5, (3, 4)), torch.randint(5, (3, 4))) for _ in range(2)], {}
    step = SearchStep(net, order=SecondOrder(reuse_weight_gradient=True), radius=0.01, **optimizers(net), **options)
    with pytest.raises(UserError, match=f"reuse_weight_gradient=true.*{case}"):
        step(*batches, 0)
