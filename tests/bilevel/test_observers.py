"""What watches a step: the order of its calls, what it is given, and weights that it freezes."""

import copy

import pytest
import torch

from darts_pl.bilevel import ORDERS, InnerStep
from tests.on_paper import CLIP, SGD, OnPaper, Recorder, assert_same, batches_of, optimizers_of, step_of
from tests.smooth import smooth_loss


def test_observers_see_every_part_of_a_step_in_turn_before_anything_has_moved_by_it(smooth_net, smooth_batch):
    net, calls = smooth_net(), []
    first, second = (Recorder(net, calls=calls, label=label) for label in ("first", "second"))
    start = {name: values.detach().clone() for name, values in net.named_parameters()}
    step = step_of(net, observers=[first, second])
    (train, valid), (later, _) = batches_of(smooth_batch, 2)
    step(train, valid, 4)
    parts = ("alpha gradient", "weight gradient", "stepped")
    assert calls == [(label, part, 4) for part in parts for label in ("first", "second")]
    before, alphas_moved, all_moved = first.at
    assert all(torch.equal(before[name], start[name]) for name in start)
    for name in start:
        searched = name.startswith("arch.")
        assert torch.equal(alphas_moved[name], start[name]) != searched
        assert torch.equal(all_moved[name], alphas_moved[name]) == searched
    calls.clear()
    step(later, None, 5, move_alphas=False)
    assert calls == [(label, part, 5) for part in parts[1:] for label in ("first", "second")]


def test_observers_are_given_the_averaged_gradients_before_clipping(smooth_net, smooth_batch):
    net, seen = smooth_net(), Recorder()
    paper = OnPaper(net)
    ((train, valid),) = batches_of(smooth_batch, 1)
    _, alpha_gradient = paper.gradient(lambda t: smooth_loss(t, *valid, lambda x: x), paper.alphas)
    result = step_of(net, observers=[seen], mean=lambda tensors: [3 * values for values in tensors])(train, valid, 0)
    for name, values in alpha_gradient.items():
        torch.testing.assert_close(seen.alpha_gradients[0][name], 3 * values, rtol=1e-10, atol=1e-14)
    paper.tensors |= {name: values.detach().clone() for name, values in net.architecture().items()}
    _, gradient = paper.gradient(lambda t: smooth_loss(t, *train, lambda x: x), paper.weights)
    for name, values in gradient.items():
        torch.testing.assert_close(seen.weight_gradients[0][name], 3 * values, rtol=1e-10, atol=1e-14)
    norm = torch.cat([3 * values.flatten() for values in gradient.values()]).norm()
    assert norm > CLIP
    torch.testing.assert_close(result.norm, norm, rtol=1e-10, atol=0)


@pytest.mark.parametrize("order", ORDERS.list())
def test_an_observer_that_asks_gets_the_gradient_of_the_weights_on_the_valid_batch(smooth_net, smooth_batch, order):
    net, asking, other = smooth_net(), Recorder(valid_weights=True), Recorder()
    ((train, valid),) = batches_of(smooth_batch, 1)
    paper = OnPaper(net)
    if order not in ("first", "neumann"):  # there it is that at the virtually moved weights
        _, gradient = paper.gradient(lambda t: smooth_loss(t, *train, lambda x: x), paper.weights)
        for name, part in gradient.items():
            paper.tensors[name] = paper.tensors[name] - SGD["lr"] * (part + SGD["weight_decay"] * paper.tensors[name])
    _, expected = paper.gradient(lambda t: smooth_loss(t, *valid, lambda x: x), paper.weights)
    plain = copy.deepcopy(net)
    step_of(net, order=ORDERS.get(order)(), observers=[asking])(train, valid, 0)
    for name, values in expected.items():
        torch.testing.assert_close(asking.results[0].weights[name], values, rtol=1e-9, atol=1e-12)
    step_of(plain, order=ORDERS.get(order)(), observers=[other])(train, valid, 0)
    assert other.results[0].weights is None
    for name, values in plain.named_parameters():  # asking changes nothing
        torch.testing.assert_close(net.get_parameter(name), values, rtol=1e-12, atol=1e-14)


def test_a_frozen_weight_truly_stays_under_momentum_and_decay_and_does_not_count_in_the_norm(smooth_net, smooth_batch):
    net = smooth_net()
    paper, observer = OnPaper(net), Recorder()
    optimizers = optimizers_of(net)
    step = step_of(net, observers=[observer], **optimizers)
    for number, (train, valid) in enumerate(batches_of(smooth_batch, 4)):
        observer.frozen = ("second",) if number in (1, 2) else ()  # with a momentum buffer of the first step
        before = net.second.detach().clone()
        buffers = optimizers["weights"].state[net.second].get("momentum_buffer")
        buffers = None if buffers is None else buffers.clone()
        result = step(train, valid, number)
        paper.move_alphas(valid)
        _, norm = paper.move_weights(train, observer.frozen)
        torch.testing.assert_close(result.norm, norm, rtol=1e-10, atol=0)
        assert_same(net, paper)
        assert torch.equal(net.second, before) == bool(observer.frozen)
        if observer.frozen:
            assert torch.equal(optimizers["weights"].state[net.second]["momentum_buffer"], buffers)


def test_a_weight_that_is_frozen_from_the_start_has_no_buffer_and_the_virtual_step_takes_it_as_zero(
    smooth_net, smooth_batch
):
    net, observer = smooth_net(), Recorder(frozen=("first",))
    step = step_of(net, order=ORDERS.get("second")(), observers=[observer])
    (train, valid), (later, _) = batches_of(smooth_batch, 2)
    assert step.inner_step() == InnerStep(**SGD, buffers=None, clip=None, radius=0.01)
    step(train, valid, 0)
    found = step.inner_step().buffers
    own = list(net.weights())
    assert not found[own.index("first")].any()
    assert all(buffer.any() for name, buffer in zip(own, found, strict=True) if name != "first")
    observer.frozen = ()
    step(later, valid, 1)
    assert net.first.isfinite().all()
