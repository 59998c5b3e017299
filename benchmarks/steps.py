"""One forward+backward pass and one step of a search, in the library's form and in the authors'.

The paper's search network (C=16, 8 cells) on 16 images of 32x32; a step is the alphas' by Adam,
then the weights' by SGD with momentum, gradient norm clipped at 5 (paper section 3.1.1).
"""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor, nn

from darts_pl.bilevel import ORDERS, SearchStep
from darts_pl.spaces import CnnSupernet, build_space
from per_edge import CANDIDATES, PerEdgeSupernet, per_edge

LR, MOMENTUM, WEIGHT_DECAY, CLIP, RADIUS = 0.025, 0.9, 3e-4, 5.0, 0.01
CLASSES = 10

Batch = tuple[Tensor, Tensor]


def both_networks(channels: int = 16, layers: int = 8) -> tuple[CnnSupernet, PerEdgeSupernet]:
    """The search network, by default of the paper's size, in both forms, with the same weights and alphas."""
    ours = CnnSupernet(
        build_space("cnn", tuple(CANDIDATES), 4),
        init_channels=channels,
        layers=layers,
        classes=CLASSES,
        alpha_scale=1e-3,
    )
    return ours, per_edge(ours, channels=channels, layers=layers, classes=CLASSES)


def random_batch(size: int = 16, side: int = 32) -> Batch:
    """Random images [size, 3, side, side] and labels [size]."""
    return torch.randn(size, 3, side, side), torch.randint(CLASSES, (size,))


def optimizers(weights: list[nn.Parameter], alphas: list[Tensor]) -> tuple[torch.optim.SGD, torch.optim.Adam]:
    """The paper's optimizers of the weights and of the alphas."""
    sgd = torch.optim.SGD(weights, lr=LR, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY)
    return sgd, torch.optim.Adam(alphas, lr=3e-4, betas=(0.5, 0.999), weight_decay=1e-3)


class Ours:
    """The library's supernet, stepped through `darts_pl.bilevel`."""

    def __init__(self, supernet: CnnSupernet, train: Batch, valid: Batch) -> None:
        self.supernet, self.train, self.valid = supernet, train, valid
        self.sgd, self.adam = optimizers(list(supernet.weights().values()), list(supernet.architecture().values()))
        self.steps = 0

    def forward_backward(self) -> None:
        self.supernet.zero_grad()
        self.supernet.loss(self.train, self.supernet.mixing()).loss.backward()

    def step(self, order: str) -> None:
        step = SearchStep(
            self.supernet,
            order=ORDERS.get(order)(),
            weights=self.sgd,
            alphas=self.adam,
            grad_clip=CLIP,
            radius=RADIUS,
        )
        step(self.train, self.valid, self.steps)
        self.steps += 1


class PerEdge:
    """The per-edge network, stepped as the authors do: whole backward passes, one tensor at a time."""

    def __init__(self, network: PerEdgeSupernet, train: Batch, valid: Batch) -> None:
        self.network, self.train, self.valid = network, train, valid
        self.sgd, self.adam = optimizers(list(network.parameters()), network.alphas)

    def forward_backward(self) -> None:
        self.sgd.zero_grad()
        self.adam.zero_grad()
        self.network.loss(self.train).backward()

    def step(self, order: str) -> None:
        self.adam.zero_grad()
        if order == "first":
            self.network.loss(self.valid).backward()
        else:
            self._second_order()
        self.adam.step()
        self.sgd.zero_grad()
        self.network.loss(self.train).backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), CLIP)
        self.sgd.step()

    def _second_order(self) -> None:
        """Leaves grad_alpha L_val(w', alpha) - lr * (difference of grad_alpha L_train at w +- eps v) in the alphas."""
        moved = self._virtually_moved()
        moved.loss(self.valid).backward()
        vector = [weight.grad for weight in moved.parameters()]
        eps = RADIUS / torch.cat([part.flatten() for part in vector]).norm()
        plus = self._alpha_gradient_after(vector, eps)
        minus = self._alpha_gradient_after(vector, -2 * eps)
        self._shift(vector, eps)
        for alpha, own, right, left in zip(self.network.alphas, moved.alphas, plus, minus, strict=True):
            alpha.grad = own.grad - LR * (right - left) / (2 * eps)

    def _virtually_moved(self) -> PerEdgeSupernet:
        """A copy of the network whose weights are one SGD step further."""
        weights = list(self.network.parameters())
        gradient = torch.autograd.grad(self.network.loss(self.train), weights)
        moved = deepcopy(self.network)
        with torch.no_grad():
            for weight, part, target in zip(weights, gradient, moved.parameters(), strict=True):
                step = part + WEIGHT_DECAY * weight
                if weight in self.sgd.state:
                    step = step + MOMENTUM * self.sgd.state[weight]["momentum_buffer"]
                target.copy_(weight - LR * step)
        moved.zero_grad()
        for alpha in moved.alphas:
            alpha.grad = None
        return moved

    def _alpha_gradient_after(self, vector: list[Tensor], distance: Tensor) -> tuple[Tensor, ...]:
        self._shift(vector, distance)
        return torch.autograd.grad(self.network.loss(self.train), self.network.alphas)

    def _shift(self, vector: list[Tensor], distance: Tensor) -> None:
        with torch.no_grad():
            for weight, part in zip(self.network.parameters(), vector, strict=True):
                weight.add_(distance * part)
