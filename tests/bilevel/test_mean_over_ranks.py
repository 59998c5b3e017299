"""Gradients of several ranks: what is averaged, and that the result is the gradient of the averaged loss."""

import copy

import pytest
import torch

from darts_pl.bilevel import (
    ORDERS,
    InnerStep,
    Neumann,
    NeumannSettings,
    Unrolled,
    UnrolledSettings,
    identity_mean,
    second_order,
    second_order_exact,
)


class UnknownMeanError(Exception):
    """A rank asks for a mean that is not known yet; it hands over what the rank would have sent."""

    def __init__(self, tensors):
        super().__init__()
        self.tensors = tensors


def on_ranks(order, net, trains, valids, inner):
    """The result on each rank, in one process.

    Everything is deterministic, so each rank is run again and again, each time one mean further:
    when all have said what they send to it, it is known.
    """
    known = []
    while True:
        sent, results = [], []
        for train, valid in zip(trains, valids, strict=True):
            answers = iter(known)

            def mean(tensors, answers=answers):
                answer = next(answers, None)
                if answer is None:
                    raise UnknownMeanError(copy.deepcopy(tensors))
                return [values.clone() for values in answer]

            try:
                results.append(order(net, train, valid, inner, mean))
            except UnknownMeanError as unknown:
                sent.append(unknown.tensors)
        if not sent:
            return results, known
        known.append([torch.stack(values).mean(0) for values in zip(*sent, strict=True)])


def inner_step(net, **settings):
    generator = torch.Generator().manual_seed(8)
    buffers = [torch.randn(w.shape, generator=generator, dtype=w.dtype) for w in net.weights().values()]
    return InnerStep(lr=0.1, momentum=0.9, weight_decay=0.01, buffers=buffers, radius=0.01, **settings)


SEVERAL = {
    "three terms": Neumann(NeumannSettings(terms=3, step_size=0.2)),
    "three steps": Unrolled(UnrolledSettings(steps=3)),
}


@pytest.mark.parametrize(
    "order", [*(ORDERS.get(name)() for name in ORDERS), *SEVERAL.values()], ids=[*ORDERS.list(), *SEVERAL]
)
@pytest.mark.parametrize("clip", [None, 0.2])
def test_ranks_together_find_the_gradient_of_the_averaged_loss(smooth_net, smooth_batch, distance, order, clip):
    net = smooth_net()
    inner = inner_step(net, clip=clip)
    trains, valids = [smooth_batch(1), smooth_batch(2)], [smooth_batch(3), smooth_batch(4)]
    results, _ = on_ranks(order, net, trains, valids, inner)
    # Ranks of equal batches: the mean over one large batch is the mean of the ranks' losses.
    together = [tuple(map(torch.cat, zip(*batches, strict=True))) for batches in (trains, valids)]
    expected = order(net, *together, inner)
    alone = order(net, trains[0], valids[0], inner)
    assert distance(alone.gradient, expected.gradient) > 0.1
    for result in results:
        assert distance(result.gradient, expected.gradient) <= 1e-9
        if expected.ratio is not None:
            torch.testing.assert_close(result.ratio, expected.ratio, rtol=1e-9, atol=0)
    assert all(torch.equal(results[0].gradient[name], results[1].gradient[name]) for name in net.architecture())


@pytest.mark.parametrize("order", [second_order, second_order_exact])
def test_the_mean_is_asked_once_each_for_the_step_for_v_and_for_the_result(smooth_net, smooth_batch, pure_loss, order):
    net, train, valid, calls = smooth_net(), smooth_batch(1), smooth_batch(2), []

    def mean(tensors):
        calls.append(list(tensors))
        return tensors

    inner = inner_step(net)
    found = order(net, train, valid, inner, mean)
    weights, alphas = list(net.weights().values()), list(net.architecture().values())
    step, v, terms = calls
    tensors = net.weights() | net.architecture()
    torch.testing.assert_close(step, list(torch.autograd.grad(pure_loss(tensors, train), weights)))
    moved = [
        (w - inner.lr * (inner.momentum * buffer + g + inner.weight_decay * w)).detach().requires_grad_()
        for w, buffer, g in zip(weights, inner.buffers, step, strict=True)
    ]
    tensors |= dict(zip(net.weights(), moved, strict=True))
    (*direct,) = torch.autograd.grad(pure_loss(tensors, valid), alphas + moved)
    torch.testing.assert_close(v, direct[len(alphas) :])
    torch.testing.assert_close(terms[: len(alphas)], direct[: len(alphas)])
    difference = [first - second for first, second in zip(terms[:2], terms[2:], strict=True)]
    torch.testing.assert_close(list(found.gradient.values()), difference)


def test_the_first_order_asks_for_one_mean(smooth_net, smooth_batch):
    net, calls = smooth_net(), []

    def mean(tensors):
        calls.append([values.shape for values in tensors])
        return [2 * values for values in tensors]

    arguments = (net, smooth_batch(1), smooth_batch(2), InnerStep(lr=0.1))
    doubled = ORDERS.get("first")()(*arguments, mean).gradient
    plain = ORDERS.get("first")()(*arguments, identity_mean).gradient
    assert calls == [[alphas.shape for alphas in net.alphas.values()]]
    assert all(torch.equal(doubled[name], 2 * plain[name]) for name in plain)
