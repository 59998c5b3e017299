"""How the learning rate of the weights falls in a search."""

from __future__ import annotations

import math

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR

from darts_pl.bilevel import WeightRecipe


def cosine_of(recipe: WeightRecipe, optimizer: Optimizer, epochs: int) -> CosineAnnealingLR:
    """The schedule of a recipe, stepped once per epoch.

    Args:
        recipe: its `lr_min` is the end of the cosine, its `warmup_epochs` the epochs in which the rate rises.
        optimizer: of the weights.
        epochs: of the schedule.
    """
    if recipe.warmup_epochs == 0:
        return CosineAnnealingLR(optimizer, T_max=epochs, eta_min=recipe.lr_min)
    return WarmCosine(optimizer, epochs, recipe.lr_min, recipe.warmup_epochs)


def take_over(before: Optimizer, after: Optimizer, *, rates: bool) -> None:
    """Give the optimizer of a new stage the settings of the one before, such as a weight decay that a roll-back raised.

    Args:
        before, after: of the weights, with as many groups.
        rates: whether the learning rate goes on as well; otherwise the new schedule sets it.
    """
    own = ("params",) if rates else ("params", "lr", "initial_lr")
    for group, then in zip(after.param_groups, before.param_groups, strict=True):
        group.update({name: value for name, value in then.items() if name not in own})


class WarmCosine(CosineAnnealingLR):
    """A cosine times a factor that rises in equal steps to 1 (PC-DARTS's search on ImageNet, authors' code).

    Args:
        optimizer: whose learning rate is set.
        epochs: of the cosine.
        lr_min: at its end.
        warmup_epochs: in the first of them the factor is 1 / warmup_epochs.
    """

    def __init__(self, optimizer: Optimizer, epochs: int, lr_min: float, warmup_epochs: int) -> None:
        self.warmup_epochs = warmup_epochs
        super().__init__(optimizer, T_max=epochs, eta_min=lr_min)

    def get_lr(self) -> list[float | Tensor]:
        """The learning rates of the present epoch."""
        factor = min(1.0, (self.last_epoch + 1) / self.warmup_epochs)
        fallen = (1 + math.cos(math.pi * self.last_epoch / self.T_max)) / 2
        return [factor * (self.eta_min + (lr - self.eta_min) * fallen) for lr in self.base_lrs]
