"""Training a final network from scratch (paper section 3.2 and A.2.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR
from torchmetrics import MeanMetric
from torchmetrics.classification import MulticlassAccuracy

from darts_pl.networks import Classifier


@dataclass(frozen=True)
class ClassifierRecipe:
    """SGD with a cosine schedule per epoch, drop-path and the weight of the auxiliary loss."""

    lr: float
    lr_min: float
    momentum: float
    weight_decay: float
    epochs: int
    drop_path: float
    auxiliary_weight: float


class ClassifierModule(pl.LightningModule):
    """Supervised training of a `Classifier`, in automatic optimization.

    The loss is cross-entropy, plus `auxiliary_weight` times that of the auxiliary tower. Drop-path
    grows with the epochs: ``drop_path * epoch / epochs``.

    Args:
        network: the final network.
        recipe: how it is trained.
        classes: number of classes.
    """

    def __init__(self, network: Classifier, recipe: ClassifierRecipe, classes: int) -> None:
        super().__init__()
        self.network = network
        self.recipe = recipe
        self.train_loss = MeanMetric()
        self.train_accuracy = MulticlassAccuracy(classes, average="micro")
        self.test_loss = MeanMetric()
        self.test_accuracy = MulticlassAccuracy(classes, average="micro")

    def configure_optimizers(self) -> tuple[list[torch.optim.Optimizer], list[Any]]:
        recipe = self.recipe
        optimizer = torch.optim.SGD(
            self.network.parameters(), recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay
        )
        return [optimizer], [CosineAnnealingLR(optimizer, T_max=recipe.epochs, eta_min=recipe.lr_min)]

    def on_train_epoch_start(self) -> None:
        self.network.drop_path = self.recipe.drop_path * self.current_epoch / self.recipe.epochs
        self.log("retrain/lr", self.trainer.optimizers[0].param_groups[0]["lr"])

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        images, labels = batch
        logits = self.network(images)
        auxiliary = None
        if isinstance(logits, tuple):
            logits, auxiliary = logits
        loss = nn.functional.cross_entropy(logits, labels)
        self.train_loss.update(loss.detach(), weight=len(labels))
        self.train_accuracy.update(logits.detach(), labels)
        self.log("retrain/train_loss", self.train_loss, on_step=False, on_epoch=True)
        self.log("retrain/train_accuracy", self.train_accuracy, on_step=False, on_epoch=True)
        self.log("loss", loss.detach(), on_step=True, on_epoch=False, prog_bar=True, logger=False)
        if auxiliary is not None:
            loss = loss + self.recipe.auxiliary_weight * nn.functional.cross_entropy(auxiliary, labels)
        return loss

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        images, labels = batch
        logits = self.network(images)
        self.test_loss.update(nn.functional.cross_entropy(logits, labels), weight=len(labels))
        self.test_accuracy.update(logits, labels)
        self.log("test/loss", self.test_loss, on_step=False, on_epoch=True)
        self.log("test/accuracy", self.test_accuracy, on_step=False, on_epoch=True)
