"""The library's networks, stepped as its tasks step them, without Lightning."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.recipes import Batch, SearchRecipe, TrainingRecipe
from darts_pl.bilevel import ORDERS, AlphaRecipe, Draws, SearchStep, WeightRecipe, device_of


class OurSearch:
    """A supernet, stepped through `darts_pl.bilevel`.

    Args:
        supernet: the search network, in training mode.
        train, valid: the batches of every step.
        recipe: of both optimizers.
    """

    def __init__(self, supernet: Any, train: Batch, valid: Batch, recipe: SearchRecipe) -> None:
        self.supernet, self.train, self.valid, self.recipe = supernet, train, valid, recipe
        weights = WeightRecipe(recipe.lr, recipe.lr, recipe.momentum, recipe.weight_decay, recipe.clip, epochs=1)
        alphas = AlphaRecipe(recipe.alpha_lr, recipe.betas, recipe.alpha_decay)
        self.sgd, self.adam = weights.optimizer(supernet), alphas.optimizer(supernet)
        self.steps = 0

    def loss(self) -> float:
        """Of the train batch."""
        with torch.no_grad(), Draws(0, self.steps).seeding("train", device_of(self.supernet)):
            return float(self.supernet.loss(self.train, self.supernet.mixing()).loss)

    def step(self, order: str) -> None:
        """The alphas' step, then the weights'."""
        step = SearchStep(
            self.supernet,
            order=ORDERS.get(order)(),
            weights=self.sgd,
            alphas=self.adam,
            grad_clip=self.recipe.clip,
            radius=self.recipe.radius,
        )
        step(self.train, self.valid, self.steps)
        self.steps += 1


class OurTraining:
    """A final network and its training step.

    Args:
        network: in training mode.
        train: the batch of every step.
        recipe: of SGD.
        loss: from the network and the batch.
        fused: whether one kernel moves the weights, as `darts_pl.modules.language` has it.
    """

    def __init__(
        self,
        network: nn.Module,
        train: Batch,
        recipe: TrainingRecipe,
        loss: Callable[[Any, Batch], Tensor],
        fused: bool = False,
    ) -> None:
        self.network, self.train, self.recipe, self._loss = network, train, recipe, loss
        self.sgd = torch.optim.SGD(
            network.parameters(),
            recipe.lr,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
            fused=fused,
            foreach=not fused,
        )
        self.steps = 0

    def loss(self) -> float:
        """Of the batch, with the masks of the next step."""
        with torch.no_grad():
            torch.manual_seed(self.steps)
            return float(self._loss(self.network, self.train))

    def step(self) -> None:
        """One step."""
        torch.manual_seed(self.steps)
        self.sgd.zero_grad()
        self._loss(self.network, self.train).backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.clip)
        self.sgd.step()
        self.steps += 1
