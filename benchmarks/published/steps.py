"""A search step and a training step as the published code takes them: whole backward passes, one tensor at a time."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.recipes import Batch, SearchRecipe, TrainingRecipe, slow_sgd
from darts_pl.bilevel import Draws


def clip(gradients: list[Tensor], largest: float) -> float:
    """Scale gradients in place, one by one, to a norm of at most `largest`; returns the factor."""
    total = sum(part.norm() ** 2 for part in gradients) ** 0.5
    factor = min(1.0, largest / (float(total) + 1e-6))
    if factor < 1:
        for part in gradients:
            part.mul_(factor)
    return factor


class PublishedSearch:
    """A search network of the published form with its optimizers.

    Args:
        network: with `alphas`, `loss` and `weight_loss`.
        train, valid: the batches of every step.
        recipe: of both optimizers.
    """

    def __init__(self, network: Any, train: Batch, valid: Batch, recipe: SearchRecipe) -> None:
        self.network, self.train, self.valid, self.recipe = network, train, valid, recipe
        self.sgd, self.adam = slow_sgd(network.parameters(), recipe), recipe.adam(network.alphas)
        self.steps = 0

    def loss(self) -> float:
        """Of the train batch."""
        with self._draws("train"), torch.no_grad():
            return float(self.network.loss(self.train))

    def step(self, order: str) -> None:
        """The alphas' step, then the weights'."""
        self.adam.zero_grad()
        if order == "first":
            with self._draws("valid"):
                self.network.loss(self.valid).backward()
        else:
            self._second_order()
        self.adam.step()
        self.sgd.zero_grad()
        with self._draws("train"):
            loss = self.network.weight_loss(self.train)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.clip)
        self.sgd.step()
        loss.item()  # the published loop adds every loss to a mean on the host
        self.steps += 1

    def _draws(self, split: Any) -> Any:
        """Within it the same dropout masks are drawn as in the library's step of this number."""
        return Draws(0, self.steps).seeding(split, self.network.alphas[0].device)

    def _train_gradient(self, of: list[Tensor]) -> list[Tensor]:
        with self._draws("train"):
            loss = self.network.loss(self.train)
        return list(torch.autograd.grad(loss, of))

    def _second_order(self) -> None:
        """Leaves in the alphas grad L_val(w', alpha) - lr * (grad L_train at w+ minus that at w-) / (2 eps)."""
        moved, factor = self._virtually_moved()
        with self._draws("valid"):
            loss = moved.loss(self.valid)
        loss.backward()
        vector = [weight.grad for weight in moved.parameters()]
        if self.recipe.clip_virtual:
            clip(vector, self.recipe.clip)
        eps = self.recipe.radius / float(torch.cat([part.flatten() for part in vector]).norm())
        self._shift(vector, eps)
        plus = self._train_gradient(self.network.alphas)
        self._shift(vector, -2 * eps)
        minus = self._train_gradient(self.network.alphas)
        self._shift(vector, eps)
        scale = self.recipe.lr * factor
        for alpha, own, right, left in zip(self.network.alphas, moved.alphas, plus, minus, strict=True):
            alpha.grad = own.grad - scale * ((right - left) / (2 * eps))

    def _virtually_moved(self) -> tuple[Any, float]:
        """A copy of the network whose weights are one SGD step further, and the factor of clipping."""
        weights = list(self.network.parameters())
        gradient = self._train_gradient(weights)
        factor = clip(gradient, self.recipe.clip) if self.recipe.clip_virtual else 1.0
        with torch.no_grad():
            flat = torch.cat([weight.flatten() for weight in weights])
            step = torch.cat([part.flatten() for part in gradient]) + self.recipe.weight_decay * flat
            buffers = [self.sgd.state[weight].get("momentum_buffer") for weight in weights]
            if all(buffer is not None for buffer in buffers):
                step = step + self.recipe.momentum * torch.cat([buffer.flatten() for buffer in buffers])
            flat = flat - self.recipe.lr * step
            moved = deepcopy(self.network)
            first = 0
            for target in moved.parameters():
                target.copy_(flat[first : first + target.numel()].view_as(target))
                target.grad = None
                first += target.numel()
        for alpha in moved.alphas:
            alpha.grad = None
        return moved, factor

    def _shift(self, vector: list[Tensor], distance: float) -> None:
        with torch.no_grad():
            for weight, part in zip(self.network.parameters(), vector, strict=True):
                weight.add_(part, alpha=distance)


class PublishedTraining:
    """A final network of the published form and its training step.

    Args:
        network: with `weight_loss`.
        train: the batch of every step.
        recipe: of SGD.
    """

    def __init__(self, network: Any, train: Batch, recipe: TrainingRecipe) -> None:
        self.network, self.train, self.recipe = network, train, recipe
        self.sgd = slow_sgd(network.parameters(), recipe)
        self.steps = 0

    def loss(self) -> float:
        """Of the batch, with the masks of the next step."""
        with torch.no_grad():
            torch.manual_seed(self.steps)
            return float(self.network.weight_loss(self.train))

    def step(self) -> None:
        """One step."""
        torch.manual_seed(self.steps)
        self.sgd.zero_grad()
        loss = self.network.weight_loss(self.train)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.clip)
        self.sgd.step()
        loss.item()
        self.steps += 1
