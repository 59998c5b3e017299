"""The Neumann series and unrolled steps against a quadratic bilevel problem that is solved on paper.

With a the alphas, flattened, and H symmetric and positive, the losses are

    L_train(w, a) = (w - A a)^T H (w - A a) / 2        L_val(w, a) = |w - b|^2 / 2 + c.a

so that the best weights are w*(a) = A a and the gradient of L_val(w*(a), a) is c + A^T (A a - b).
"""

import pytest
import torch
from torch import nn

from darts_pl.bilevel import (
    Draws,
    InnerStep,
    Neumann,
    NeumannSettings,
    Unrolled,
    UnrolledSettings,
    second_order_exact,
)
from darts_pl.spaces import Outcome, Relaxation, Supernet, build_space
from tests.bilevel.test_finite_difference import inner_steps
from tests.bilevel.test_no_trace import everything, same, trained

assert trained  # a fixture

#: Eigenvalues of H.
EIGENVALUES = (0.5, 1.0, 1.5, 2.0, 2.5)


class Alphas(Relaxation):
    """Mixing weights that are the alphas themselves."""

    def expected(self, alphas, live):
        return alphas


class Quadratic(Supernet):
    """The losses above; a batch is "train" or "valid"."""

    def __init__(self):
        super().__init__(build_space("cnn", ("max_pool_3x3", "skip_connect"), nodes=1), Alphas())
        sizes = sum(alphas.numel() for alphas in self.alphas.values())
        self.one, self.two = nn.Parameter(torch.randn(3)), nn.Parameter(torch.randn(2, 1))
        basis, _ = torch.linalg.qr(torch.randn(5, 5))
        self.hessian = basis @ torch.diag(torch.tensor(EIGENVALUES)) @ basis.T
        self.matrix, self.target, self.slope = torch.randn(5, sizes), torch.randn(5), torch.randn(sizes)
        for alphas in self.alphas.values():
            nn.init.normal_(alphas)

    def flat(self):
        return torch.cat([self.one, self.two.flatten()]), torch.cat([a.flatten() for a in self.alphas.values()])

    def put(self, w):
        with torch.no_grad():
            self.one.copy_(w[:3])
            self.two.copy_(w[3:].view(2, 1))

    def loss(self, batch, mixing):
        w, _ = self.flat()
        a = torch.cat([values.weights.flatten() for values in mixing.values()])
        off = w - self.matrix @ a
        loss = (
            off @ self.hessian @ off / 2 if batch == "train" else (w - self.target).square().sum() / 2 + self.slope @ a
        )
        return Outcome(loss, w)


@pytest.fixture
def problem():
    torch.manual_seed(5)
    torch.set_default_dtype(torch.float64)
    return Quadratic()


def neumann(terms, step_size=None):
    return Neumann(NeumannSettings(terms=terms, step_size=step_size))


def unrolled(steps):
    return Unrolled(UnrolledSettings(steps=steps))


def flat(gradient):
    return torch.cat([gradient["alphas.normal"].flatten(), gradient["alphas.reduce"].flatten()])


def powers(net, base, count, damped=None):
    """sum over j < count of (I - base * (H + damped * I))^j, by its eigenvalues."""
    values, basis = torch.linalg.eigh(net.hessian + (0.0 if damped is None else damped) * torch.eye(5))
    series = sum((1 - base * values) ** j for j in range(count))
    return basis @ torch.diag(series * torch.ones(5)) @ basis.T


@pytest.mark.parametrize("terms", [1, 2, 5])
@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_the_neumann_gradient_is_the_truncated_series_on_paper(problem, terms, decay):
    with torch.no_grad():
        w, _ = problem.flat()
    found = neumann(terms, 0.3)(problem, "train", "valid", InnerStep(lr=0.1, weight_decay=decay))
    series = powers(problem, 0.3, terms, decay) @ (w - problem.target)
    second = 0.3 * problem.matrix.T @ problem.hessian @ series  # minus gamma * (d2 L_train / da dw) * series
    torch.testing.assert_close(flat(found.gradient), problem.slope + second, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(found.ratio, second.norm() / problem.slope.norm(), rtol=1e-10, atol=0)
    torch.testing.assert_close(found.valid.outputs, w, rtol=0, atol=0)


def test_at_the_best_weights_the_error_falls_by_one_minus_gamma_lambda_with_each_term(problem):
    best = problem.matrix @ problem.flat()[1].detach()
    problem.put(best)
    exact = problem.slope + problem.matrix.T @ (best - problem.target)
    gamma, errors = 0.2, []
    for terms in (20, 40, 41, 80):
        found = neumann(terms, gamma)(problem, "train", "valid", InnerStep(lr=0.1)).gradient
        errors.append((flat(found) - exact).norm().item())
    rate = 1 - gamma * min(EIGENVALUES)  # of the slowest direction, which is what is left after some terms
    assert errors[2] / errors[1] == pytest.approx(rate, rel=1e-3)
    assert errors[1] / errors[0] == pytest.approx(rate**20, rel=0.05)
    assert errors[3] / errors[1] == pytest.approx(rate**40, rel=0.05)
    assert errors[3] < 1e-3 * exact.norm()


@pytest.mark.parametrize("steps", [1, 2, 7])
def test_the_unrolled_gradient_is_that_of_the_weights_after_so_many_steps(problem, steps):
    with torch.no_grad():
        w, a = problem.flat()
    best, lr = problem.matrix @ a, 0.3
    found = unrolled(steps)(problem, "train", "valid", InnerStep(lr=lr))
    shrunk = torch.linalg.matrix_power(torch.eye(5) - lr * problem.hessian, steps)
    moved = best + shrunk @ (w - best)
    torch.testing.assert_close(found.valid.outputs, moved, rtol=1e-11, atol=1e-12)
    expected = problem.slope + problem.matrix.T @ (torch.eye(5) - shrunk) @ (moved - problem.target)
    torch.testing.assert_close(flat(found.gradient), expected, rtol=1e-10, atol=1e-10)


def test_the_error_of_unrolled_steps_falls_by_one_minus_lr_lambda_with_each_step(problem):
    a = problem.flat()[1].detach()
    exact = problem.slope + problem.matrix.T @ (problem.matrix @ a - problem.target)
    errors = [
        (flat(unrolled(steps)(problem, "train", "valid", InnerStep(lr=0.3)).gradient) - exact).norm().item()
        for steps in (30, 31)
    ]
    assert errors[1] / errors[0] == pytest.approx(1 - 0.3 * min(EIGENVALUES), rel=1e-3)


@pytest.mark.parametrize("variant", ["plain", "momentum", "weight_decay", "all"])
@pytest.mark.parametrize("clip", [None, 0.2])
def test_one_unrolled_step_is_second_exact(smooth_net, smooth_batch, distance, variant, clip):
    net, batches = smooth_net(0.3), (smooth_batch(1), smooth_batch(2))
    inner = inner_steps([torch.randn_like(weight) for weight in net.weights().values()])[variant]
    inner = type(inner)(**{**vars(inner), "clip": clip})
    exact = second_order_exact(net, *batches, inner, draws=Draws(2, 3), weights=True)
    found = unrolled(1)(net, *batches, inner, draws=Draws(2, 3), weights=True)
    assert distance(found.gradient, exact.gradient) <= 1e-13
    assert distance(found.weights, exact.weights) <= 1e-13
    torch.testing.assert_close(found.ratio, exact.ratio, rtol=1e-12, atol=0)


def test_one_neumann_term_is_the_product_with_the_mixed_second_derivative(
    smooth_net, smooth_batch, pure_loss, distance
):
    net, train, valid = smooth_net(), smooth_batch(1), smooth_batch(2)
    weights = {name: weight.detach() for name, weight in net.weights().items()}
    alphas = {name: alpha.detach() for name, alpha in net.architecture().items()}

    def loss(weights, alphas, batch):
        return pure_loss({**weights, **alphas}, batch)

    vector, direct = torch.func.grad(loss, argnums=(0, 1))(weights, alphas, valid)

    def along_vector(alphas):
        slope = torch.func.grad(loss)(weights, alphas, train)
        return sum((slope[name] * vector[name]).sum() for name in slope)

    product = torch.func.grad(along_vector)(alphas)
    expected = {name: direct[name] - 0.1 * product[name] for name in direct}
    found = neumann(1)(net, train, valid, InnerStep(lr=0.1), weights=True)
    assert distance(found.gradient, expected) <= 1e-13
    assert distance(found.weights, vector) <= 1e-13


@pytest.mark.parametrize("steps", [2, 4])
def test_unrolled_steps_of_a_curved_loss_are_differentiated_as_torch_func_does(
    smooth_net, smooth_batch, pure_loss, distance, steps
):
    net, train, valid = smooth_net(), smooth_batch(1), smooth_batch(2)
    torch.manual_seed(3)
    inner = inner_steps([torch.randn_like(weight) for weight in net.weights().values()])["all"]
    weights = {name: weight.detach() for name, weight in net.weights().items()}
    alphas = {name: alpha.detach() for name, alpha in net.architecture().items()}

    def loss(weights, alphas, batch):
        return pure_loss({**weights, **alphas}, batch)

    def after_the_steps(alphas):
        now, buffers = weights, dict(zip(weights, inner.buffers, strict=True))
        for _ in range(steps):
            gradient = torch.func.grad(loss)(now, alphas, train)
            buffers = {
                name: inner.momentum * buffers[name] + gradient[name] + inner.weight_decay * now[name] for name in now
            }
            now = {name: now[name] - inner.lr * buffers[name] for name in now}
        return loss(now, alphas, valid)

    expected = torch.func.grad(after_the_steps)(alphas)
    found = unrolled(steps)(net, train, valid, inner)
    assert distance(found.gradient, expected) <= 1e-12
    assert distance(found.gradient, second_order_exact(net, train, valid, inner).gradient) > 1e-3


def test_unrolled_steps_are_those_of_torch_sgd(problem):
    settings = {"lr": 0.2, "momentum": 0.9, "weight_decay": 0.3}
    virtual = unrolled(4)(problem, "train", "valid", InnerStep(**settings)).valid.outputs
    optimizer = torch.optim.SGD(problem.weights().values(), **settings)
    for _ in range(4):
        optimizer.zero_grad()
        problem.loss("train", problem.mixing()).loss.backward()
        optimizer.step()
    torch.testing.assert_close(virtual, problem.flat()[0].detach(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("order", [neumann(3, 0.1), unrolled(3)], ids=["three terms", "three steps"])
def test_many_terms_and_steps_leave_no_trace(trained, order):
    net, optimizers, train, valid, inner = trained
    before = everything(net, optimizers)
    found = order(net, train, valid, inner)
    assert same(everything(net, optimizers), before)
    assert not any(values.requires_grad for values in found.gradient.values())
    assert same(order(net, train, valid, inner).gradient, found.gradient)


@pytest.mark.parametrize(
    "order", [second_order_exact, neumann(3, 0.1), unrolled(3)], ids=["exact", "neumann", "unrolled"]
)
def test_weights_that_are_frozen_give_the_gradient_of_a_search_in_which_they_are_constants(problem, order):
    """Rows 0 and 4 of w do not move: the problem is one of three weights."""
    inner = InnerStep(lr=0.3, weight_decay=0.1)
    frozen = InnerStep(
        lr=0.3,
        weight_decay=0.1,
        frozen=[torch.tensor([True, False, False]), torch.tensor([[False], [True]])],
    )
    with torch.no_grad():
        w, a = problem.flat()
    free = torch.tensor([1, 2, 3])
    found = order(problem, "train", "valid", frozen)
    smaller = problem.hessian[free][:, free]
    # grad L_train of the free rows is smaller @ (w - A a)[free] + coupling: with an offset it is the same problem.
    lr, steps = 0.3, 3 if isinstance(order, Unrolled) else 1
    moved, change = w.clone(), torch.zeros(3, len(a))
    mixed = -(problem.hessian @ problem.matrix)[free]
    for _ in range(steps):
        slope = (problem.hessian @ (moved - problem.matrix @ a))[free] + inner.weight_decay * moved[free]
        change = change - lr * (mixed + smaller @ change + inner.weight_decay * change)
        moved = moved.clone()
        moved[free] = moved[free] - lr * slope
    if isinstance(order, Neumann):
        series = sum(
            torch.linalg.matrix_power(torch.eye(3) - 0.1 * (smaller + 0.1 * torch.eye(3)), j) for j in range(3)
        )
        expected = problem.slope - 0.1 * mixed.T @ series @ (w - problem.target)[free]
    else:
        expected = problem.slope + change.T @ (moved - problem.target)[free]
    torch.testing.assert_close(flat(found.gradient), expected, rtol=1e-10, atol=1e-10)
    assert not torch.allclose(flat(order(problem, "train", "valid", inner).gradient), expected, rtol=1e-3)
