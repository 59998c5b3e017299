"""One step of a search against its formulas, written out with plain torch."""

import pytest
import torch
from torch import nn

from darts_pl.bilevel import ORDERS, AlphaRecipe, Draws, Perturbation, Regulariser, WeightRecipe, first_order
from tests.gumbel import Gumbel
from tests.on_paper import SGD, OnPaper, Recorder, assert_same, batches_of, optimizers_of, step_of
from tests.smooth import SmoothNet


def test_a_step_moves_the_alphas_and_then_the_weights_at_the_new_alphas(smooth_net, smooth_batch):
    net = smooth_net()
    paper, step = OnPaper(net), step_of(net)
    for number, (train, valid) in enumerate(batches_of(smooth_batch, 3)):
        result = step(train, valid, number)
        torch.testing.assert_close(result.valid.loss, paper.move_alphas(valid), rtol=1e-10, atol=0)
        loss, norm = paper.move_weights(train)
        torch.testing.assert_close(result.train.loss, loss, rtol=1e-10, atol=0)
        torch.testing.assert_close(result.norm, norm, rtol=1e-10, atol=0)
        assert result.ratio is None
        assert_same(net, paper)
        assert all(parameter.grad is None for parameter in net.parameters())


def test_in_a_warm_up_the_alphas_and_the_moments_of_their_optimizer_stay_and_the_valid_batch_is_not_read(
    smooth_net, smooth_batch
):
    net = smooth_net()
    alphas = {name: values.detach().clone() for name, values in net.architecture().items()}
    paper, optimizers = OnPaper(net), optimizers_of(net)
    step = step_of(net, **optimizers)
    for number, (train, _) in enumerate(batches_of(smooth_batch, 2)):
        result = step(train, "not read", number, move_alphas=False)
        assert result.valid is None
        assert result.ratio is None
        paper.move_weights(train)
    assert_same(net, paper)
    assert all(torch.equal(values, alphas[name]) for name, values in net.architecture().items())
    assert not optimizers["alphas"].state
    train, valid = batches_of(smooth_batch, 3)[2]
    step(train, valid, 2)
    paper.move_alphas(valid)
    paper.move_weights(train)
    assert_same(net, paper)


@pytest.mark.parametrize("part", [0.25, 4.0])
def test_the_gradient_of_all_alphas_together_is_clipped_after_the_regulariser(smooth_net, smooth_batch, part):
    train, valid = smooth_batch(1), smooth_batch(2)

    def moved(clip):
        net = smooth_net()
        before = {name: values.detach().clone() for name, values in net.architecture().items()}
        alphas = torch.optim.SGD(net.architecture().values(), 0.1)
        step_of(net, regulariser=Decay(), alphas=alphas, alpha_clip=clip)(train, valid, 0)
        return torch.cat([(values - before[name]).flatten() for name, values in net.architecture().items()]) / 0.1

    free = moved(None)
    found = moved(part * free.norm().item())
    torch.testing.assert_close(found, min(part, 1.0) * free, rtol=1e-5, atol=0)


class Decay(Regulariser):
    """3 * sum of the squared alphas of the normal cell."""

    def __call__(self, supernet):
        return 3 * supernet.alphas["normal"].square().sum()


@pytest.mark.parametrize("order", ORDERS.list())
def test_the_gradient_of_a_regulariser_is_added_after_the_order_and_is_not_averaged(smooth_net, smooth_batch, order):
    net, seen, sent = smooth_net(), Recorder(), []

    def mean(tensors):  # of ranks that all send twice as much: what is averaged is doubled
        sent.append(len(tensors))
        return [2 * values for values in tensors]

    (train, valid), normal = batches_of(smooth_batch, 1)[0], net.alphas["normal"].detach().clone()
    inner = step_of(net).inner_step()
    plain = ORDERS.get(order)()(net, train, valid, inner, mean, Draws(0, 0)).gradient
    calls = len(sent)
    step_of(net, order=ORDERS.get(order)(), mean=mean, regulariser=Decay(), observers=[seen])(train, valid, 0)
    assert len(sent) == 2 * calls + 1  # the order's own, and the weights'
    found = seen.alpha_gradients[0]
    torch.testing.assert_close(found["alphas.normal"], plain["alphas.normal"] + 6 * normal, rtol=1e-12, atol=1e-14)
    assert torch.equal(found["alphas.reduce"], plain["alphas.reduce"])


def test_the_alphas_move_by_the_gradient_with_the_regulariser(smooth_net, smooth_batch):
    net = smooth_net()
    paper = OnPaper(net, added=lambda alphas: {"alphas.normal": 6 * alphas["alphas.normal"]})
    step = step_of(net, regulariser=Decay())
    for number, (train, valid) in enumerate(batches_of(smooth_batch, 2)):
        step(train, valid, number)
        paper.move_alphas(valid)
        paper.move_weights(train)
        assert_same(net, paper)


class Flatten(Perturbation):
    """Halves the mixing weights and adds what it draws."""

    def __init__(self):
        self.seen, self.drawn = [], []

    def __call__(self, supernet, mixing, train, generator, mean):
        self.seen.append((mixing, train))
        self.drawn.append({n: torch.rand(2, 3, generator=generator, dtype=torch.float64) for n in mixing})
        return {n: values._replace(weights=values.weights / 2 + self.drawn[-1][n]) for n, values in mixing.items()}


@pytest.mark.parametrize("order", ORDERS.list())
def test_only_the_weight_step_sees_a_perturbation(smooth_net, smooth_batch, order):
    net, perturbation, seen = smooth_net(), Flatten(), Recorder()
    generator = Draws(5, 0)("perturb", torch.device("cpu"))
    noise = {name: torch.rand(2, 3, generator=generator, dtype=torch.float64) for name in ("normal", "reduce")}
    paper = OnPaper(net, lambda a: {name: torch.softmax(a[name], dim=1) / 2 + noise[name] for name in a})
    ((train, valid),) = batches_of(smooth_batch, 1)
    inner = step_of(net).inner_step()
    plain = ORDERS.get(order)()(net, train, valid, inner).gradient
    step = step_of(net, order=ORDERS.get(order)(), perturbation=perturbation, observers=[seen], seed=5)
    result = step(train, valid, 0)
    assert all(torch.equal(seen.alpha_gradients[0][name], plain[name]) for name in plain)
    paper.tensors |= {name: values.detach().clone() for name, values in net.architecture().items()}
    loss, _ = paper.move_weights(train)
    torch.testing.assert_close(result.train.loss, loss, rtol=1e-10, atol=0)
    assert_same(net, paper)
    ((mixing, batch),) = perturbation.seen
    assert batch is train
    for name, values in mixing.items():  # as the weight step would have mixed, at the new alphas
        assert not values.weights.requires_grad
        torch.testing.assert_close(values.weights, torch.softmax(net.alphas[name].detach(), dim=1))


def test_the_learning_rate_of_virtual_step_and_step_is_scaled_by_the_batch_and_is_afterwards_as_before(
    smooth_net, smooth_batch
):
    net, plain = smooth_net(), smooth_net()
    net.lr_factor = lambda train: len(train[0]) / 12
    seen, optimizers = [], optimizers_of(net)

    def order(supernet, train, valid, inner, *others):
        seen.append(inner.lr)
        return first_order(supernet, train, valid, inner, *others)

    train, valid = smooth_batch(1), smooth_batch(2)
    step_of(net, order=order, **optimizers)(train, valid, 0)
    slower = optimizers_of(plain)
    slower["weights"].param_groups[0]["lr"] = SGD["lr"] / 2
    step_of(plain, **slower)(train, valid, 0)
    assert seen == [SGD["lr"] / 2]
    assert optimizers["weights"].param_groups[0]["lr"] == SGD["lr"]
    assert all(torch.equal(*pair) for pair in zip(net.parameters(), plain.parameters(), strict=True))


def test_the_recipes_make_the_optimizers_of_weights_and_of_all_architecture_parameters(smooth_net):
    net = smooth_net()
    net.arch.relaxation.temperature = nn.Parameter(torch.ones(()))
    weights = WeightRecipe(0.3, 0.1, 0.9, 0.05, None, 5, nesterov=True).optimizer(net)
    alphas = AlphaRecipe(0.1, (0.5, 0.999), 0.02).optimizer(net)
    assert list(map(id, weights.param_groups[0]["params"])) == list(map(id, net.weights().values()))
    assert {id(p) for p in alphas.param_groups[0]["params"]} == {id(p) for p in net.arch.parameters()}
    assert (weights.param_groups[0]["nesterov"], weights.param_groups[0]["momentum"]) == (True, 0.9)
    assert alphas.param_groups[0]["betas"] == (0.5, 0.999)


def test_with_a_drawn_path_the_weight_step_uses_the_mixing_weights_of_the_virtual_step(smooth_batch):
    torch.manual_seed(11)
    net = SmoothNet(0.0, Gumbel()).double()
    noise = {}
    generator = Draws(2, 9)("train", torch.device("cpu"))
    for name in ("normal", "reduce"):
        uniform = torch.rand(2, 3, generator=generator, dtype=torch.float64)
        noise[name] = -(-uniform.log()).log()
    train, valid = smooth_batch(1), smooth_batch(2)
    result = step_of(net, seed=2)(train, valid, 9)
    paper = OnPaper(net, lambda a: {name: torch.softmax(a[name] + noise[name], dim=1) for name in a})
    assert result.train.loss.isfinite()
    torch.manual_seed(11)
    fresh = SmoothNet(0.0, Gumbel()).double()
    paper.tensors |= {name: values.detach().clone() for name, values in fresh.weights().items()}
    loss, _ = paper.move_weights(train)
    torch.testing.assert_close(result.train.loss, loss, rtol=1e-10, atol=0)
    for name, weight in net.weights().items():
        torch.testing.assert_close(weight.detach(), paper.tensors[name], rtol=1e-9, atol=1e-11)
