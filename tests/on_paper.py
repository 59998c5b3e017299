"""One step of a search on the smooth network by its formulas, and what notes the real one."""

import torch

from darts_pl.bilevel import Observer, SearchStep, first_order
from tests.smooth import mixed_loss, smooth_loss

SGD = {"lr": 0.3, "momentum": 0.9, "weight_decay": 0.05}
ADAM = {"lr": 0.1, "betas": (0.5, 0.999), "weight_decay": 0.02}
CLIP = 0.4


def optimizers_of(net):
    weights = torch.optim.SGD(net.weights().values(), **SGD)
    return {"weights": weights, "alphas": torch.optim.Adam(net.architecture().values(), **ADAM)}


def step_of(net, **changes):
    return SearchStep(net, **{"order": first_order, "grad_clip": CLIP, "radius": 0.01, **optimizers_of(net), **changes})


class OnPaper:
    """The same step on copies of the tensors: Adam and clipped SGD with momentum, by their formulas.

    Args:
        net: whose tensors are copied.
        train_mixing: from alphas by cell type to the mixing weights of the weight step; None = softmax.
        added: from the alphas by name to a gradient that is added to the alphas'.
    """

    def __init__(self, net, train_mixing=None, added=None):
        self.tensors = {name: values.detach().clone() for name, values in (net.weights() | net.architecture()).items()}
        self.weights, self.alphas = list(net.weights()), list(net.architecture())
        self.train_mixing, self.added = train_mixing, added
        self.moments = dict.fromkeys(self.alphas, (0.0, 0.0))
        self.buffers = None
        self.alpha_steps = 0

    def gradient(self, loss, names):
        leaves = {name: values.clone().requires_grad_(name in names) for name, values in self.tensors.items()}
        value = loss(leaves)
        return value.detach(), dict(zip(names, torch.autograd.grad(value, [leaves[n] for n in names]), strict=True))

    def move_alphas(self, valid):
        loss, gradient = self.gradient(lambda t: smooth_loss(t, *valid, lambda x: x), self.alphas)
        self.alpha_steps += 1
        beta1, beta2 = ADAM["betas"]
        added = {} if self.added is None else self.added({name: self.tensors[name] for name in self.alphas})
        for name, part in gradient.items():
            part = part + added.get(name, 0.0)
            part = part + ADAM["weight_decay"] * self.tensors[name]
            first, second = self.moments[name]
            first, second = beta1 * first + (1 - beta1) * part, beta2 * second + (1 - beta2) * part**2
            self.moments[name] = first, second
            corrected = first / (1 - beta1**self.alpha_steps), second / (1 - beta2**self.alpha_steps)
            self.tensors[name] = self.tensors[name] - ADAM["lr"] * corrected[0] / (corrected[1].sqrt() + 1e-8)
        return loss

    def train_loss(self, tensors, train):
        if self.train_mixing is None:
            return smooth_loss(tensors, *train, lambda x: x)
        alphas = {name.removeprefix("alphas."): tensors[name] for name in self.alphas}
        return mixed_loss(tensors, self.train_mixing(alphas), *train, lambda x: x)

    def move_weights(self, train, frozen=()):
        loss, gradient = self.gradient(lambda t: self.train_loss(t, train), self.weights)
        norm = torch.cat([part.flatten() for name, part in gradient.items() if name not in frozen]).norm()
        self.buffers = self.buffers or {}
        for name, part in gradient.items():
            if name in frozen:
                continue
            part = part * min(1.0, CLIP / (norm.item() + 1e-6)) + SGD["weight_decay"] * self.tensors[name]
            before = self.buffers.get(name)
            self.buffers[name] = part if before is None else SGD["momentum"] * before + part
            self.tensors[name] = self.tensors[name] - SGD["lr"] * self.buffers[name]
        return loss, norm


def assert_same(net, paper):
    for name, values in (net.weights() | net.architecture()).items():
        torch.testing.assert_close(values.detach(), paper.tensors[name], rtol=1e-9, atol=1e-11, msg=name)


def batches_of(smooth_batch, steps):
    return [(smooth_batch(2 * step), smooth_batch(2 * step + 1)) for step in range(steps)]


class Recorder(Observer):
    """Notes every call, the gradients, and the parameters at that time.

    Args:
        net: whose parameters are noted; None = none.
        frozen: weights whose gradients are set to None.
        valid_weights: whether it wants the gradient of the weights on the valid batch.
    """

    def __init__(self, net=None, frozen=(), valid_weights=False, calls=None, label=""):
        self.net, self.frozen, self.label = net, frozen, label
        self.needs_valid_weight_gradient = valid_weights
        self.calls = [] if calls is None else calls
        self.alpha_gradients, self.weight_gradients, self.results, self.at = [], [], [], []

    def note(self, what, step):
        self.calls.append((self.label, what, step))
        if self.net is not None:
            self.at.append({name: values.detach().clone() for name, values in self.net.named_parameters()})

    def on_alpha_gradient(self, step, result):
        self.note("alpha gradient", step)
        self.alpha_gradients.append({name: values.clone() for name, values in result.gradient.items()})
        self.results.append(result)

    def on_weight_gradient(self, step, gradients):
        self.note("weight gradient", step)
        self.weight_gradients.append({n: v if v is None else v.clone() for n, v in gradients.items()})
        for name in self.frozen:
            gradients[name] = None

    def on_weights_stepped(self, step):
        self.note("stepped", step)
