"""The search: alphas on the valid split and weights on the train split, turn by turn (algorithm 1)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR
from torchmetrics import MeanMetric, Metric
from torchmetrics.classification import MulticlassAccuracy

from darts_pl.bilevel import Hypergradient, InnerStep, evaluate, identity_mean
from darts_pl.genotype import Genotype
from darts_pl.selection import SelectionRule
from darts_pl.selection.magnitude import magnitude
from darts_pl.spaces import Outcome, Supernet

SKIP = "skip_connect"


@dataclass(frozen=True)
class WeightRecipe:
    """SGD for the weights, with a cosine schedule per epoch from `lr` to `lr_min`."""

    lr: float
    lr_min: float
    momentum: float
    weight_decay: float
    grad_clip: float | None
    epochs: int


@dataclass(frozen=True)
class AlphaRecipe:
    """Adam for the alphas."""

    lr: float
    betas: tuple[float, float]
    weight_decay: float


class SearchModule(pl.LightningModule):
    """Bilevel search over a supernet, in manual optimization.

    A batch is ``{"train": ..., "valid": ...}``. Each training step moves the alphas against the
    validation loss, then the weights against the training loss at the new alphas. Only weight
    steps count in `trainer.global_step`, which is therefore the number of batches.

    Args:
        supernet: the search network.
        order: how the alpha gradient is computed, one of `darts_pl.bilevel.ORDERS`.
        weights: the weight optimizer.
        alphas: the alpha optimizer.
        radius: of the central difference in second order.
        classes: number of classes, for the accuracies.
        select: derives the genotype that is logged each epoch.
    """

    def __init__(
        self,
        supernet: Supernet,
        *,
        order: Hypergradient,
        weights: WeightRecipe,
        alphas: AlphaRecipe,
        radius: float,
        classes: int,
        select: SelectionRule = magnitude,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.supernet = supernet
        self.order = order
        self.weight_recipe = weights
        self.alpha_recipe = alphas
        self.radius = radius
        self.select = select
        self.train_metrics = _classification_metrics(classes)
        self.valid_metrics = _classification_metrics(classes)
        self.ratio = MeanMetric()

    def configure_optimizers(self) -> tuple[list[torch.optim.Optimizer], list[Any]]:
        recipe = self.weight_recipe
        weights = torch.optim.SGD(
            self.supernet.weights().values(), recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay
        )
        alphas = torch.optim.Adam(
            self.supernet.alphas.values(),
            self.alpha_recipe.lr,
            betas=self.alpha_recipe.betas,
            weight_decay=self.alpha_recipe.weight_decay,
        )
        return [weights, alphas], [CosineAnnealingLR(weights, T_max=recipe.epochs, eta_min=recipe.lr_min)]

    def training_step(self, batch: Mapping[str, Any], batch_idx: int) -> None:
        self._alpha_step(batch["train"], batch["valid"])
        outcome = self._weight_step(batch["train"])
        self._observe("train", self.train_metrics, outcome, batch["train"])

    def _alpha_step(self, train: Any, valid: Any) -> None:
        _, optimizer = self._plain_optimizers()
        result = self.order(self.supernet, train, valid, self.inner_step(), self.mean)
        for name, gradient in result.gradient.items():
            self.supernet.alphas[name].grad = gradient
        optimizer.step()
        optimizer.zero_grad()
        if result.ratio is not None:
            self.ratio.update(result.ratio)
            self.log("search/second_to_first", self.ratio, on_step=False, on_epoch=True)

    def _weight_step(self, train: Any) -> Outcome:
        optimizers = self.optimizers()
        assert isinstance(optimizers, list)
        optimizer = optimizers[0]
        weights = self.supernet.weights()
        alphas = {f"alphas.{name}": alpha.detach() for name, alpha in self.supernet.alphas.items()}
        outcome = evaluate(self.supernet, train, alphas)
        gradients = self.mean(list(torch.autograd.grad(outcome.loss, list(weights.values()))))
        for weight, gradient in zip(weights.values(), gradients, strict=True):
            weight.grad = gradient
        # Not clipped: the norm is what clipping by an infinite norm returns.
        clip = self.weight_recipe.grad_clip
        self.grad_norm = nn.utils.clip_grad_norm_(weights.values(), math.inf if clip is None else clip)
        optimizer.step()
        optimizer.zero_grad()
        return Outcome(outcome.loss.detach(), outcome.outputs.detach(), outcome.carry)

    def _plain_optimizers(self) -> tuple[torch.optim.Optimizer, torch.optim.Optimizer]:
        """Of weights and alphas; steps taken with these do not count in `trainer.global_step`."""
        weights, alphas = self.optimizers(use_pl_optimizer=False)  # type: ignore[misc]  # with two it is a list
        return weights, alphas

    def inner_step(self) -> InnerStep:
        """What the weight optimizer would do next, for the virtual step of the second order."""
        optimizer, _ = self._plain_optimizers()
        group = optimizer.param_groups[0]
        buffers = [optimizer.state[weight].get("momentum_buffer") for weight in group["params"]]
        return InnerStep(
            lr=group["lr"],
            momentum=group["momentum"],
            weight_decay=group["weight_decay"],
            buffers=None if any(buffer is None for buffer in buffers) else buffers,
            radius=self.radius,
        )

    def mean(self, tensors: list[Tensor]) -> list[Tensor]:
        """The mean over ranks, in one flat buffer."""
        if self.trainer.world_size == 1:
            return identity_mean(tensors)
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        flat = self.trainer.strategy.reduce(flat, reduce_op="mean")
        parts = flat.split([tensor.numel() for tensor in tensors])
        return [part.view_as(tensor) for part, tensor in zip(parts, tensors, strict=True)]

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self._observe("valid", self.valid_metrics, self.supernet.loss(batch), batch)

    def on_train_epoch_end(self) -> None:
        optimizer, _ = self._plain_optimizers()
        self.log("search/lr", optimizer.param_groups[0]["lr"])
        scheduler = self.lr_schedulers()
        assert isinstance(scheduler, CosineAnnealingLR)
        scheduler.step()
        for name, weights in self.supernet.mixing_weights().items():
            self.log(f"search/entropy_{name}", entropy(weights.detach()))
        self.log("search/skip_connections", float(skip_connections(self.genotype())))

    def genotype(self) -> Genotype:
        """What the selection rule derives now."""
        return self.select(self.supernet)

    def _observe(self, split: str, metrics: nn.ModuleDict, outcome: Outcome, batch: Any) -> None:
        labels = batch[1]
        for name, metric in metrics.items():
            assert isinstance(metric, Metric)
            if name == "loss":
                metric.update(outcome.loss, weight=len(labels))
            else:
                metric.update(outcome.outputs, labels)
            self.log(f"search/{split}_{name}", metric, on_step=False, on_epoch=True, batch_size=len(labels))
        if split == "train":
            self.log("loss", outcome.loss, on_step=True, on_epoch=False, prog_bar=True, logger=False)


def entropy(weights: Tensor) -> Tensor:
    """Mean over the edges of the entropy of their mixing weights [edges, candidates], in nats."""
    return torch.special.entr(weights).sum(-1).mean()


def skip_connections(genotype: Genotype) -> int:
    """Number of skip connections in all cells of a genotype."""
    return sum(pair.operation == SKIP for cell in genotype.cells.values() for pair in cell.pairs)


def _classification_metrics(classes: int) -> nn.ModuleDict:
    metrics: dict[str, nn.Module] = {
        "loss": MeanMetric(),
        "accuracy": MulticlassAccuracy(classes, average="micro"),
    }
    if classes > 10:
        metrics["top5"] = MulticlassAccuracy(classes, top_k=5, average="micro")
    return nn.ModuleDict(metrics)
