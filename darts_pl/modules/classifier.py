"""Training a final network from scratch (paper sections 3.2, A.2.1 and A.2.3)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torchmetrics.classification import MulticlassAccuracy

from darts_pl.modules.running import FiniteWatch, Mean, load_metric_states, metric_states, reset_metrics
from darts_pl.modules.scores import ClassificationScores
from darts_pl.spaces import ImageNetwork, Outcome


@dataclass(frozen=True)
class ClassifierRecipe:
    """SGD with a schedule per epoch, and the terms of the loss.

    Args:
        lr: highest learning rate.
        lr_min: at the end of the cosine schedule.
        momentum, weight_decay: of SGD.
        epochs: number of epochs.
        drop_path: probability that drop-path grows towards.
        auxiliary_weight: of the loss of the auxiliary tower.
        schedule: "cosine" from `lr` to `lr_min`, or "exponential", which multiplies by `lr_decay` per epoch.
        lr_decay: of the exponential schedule.
        warmup_epochs: first epochs, in which the rate rises in equal steps to `lr`; the schedule
            covers the epochs after them.
        nesterov: whether the momentum is Nesterov's.
        label_smoothing: fraction of a label's weight that is spread over all classes, in both losses.
    """

    lr: float
    lr_min: float
    momentum: float
    weight_decay: float
    epochs: int
    drop_path: float
    auxiliary_weight: float
    schedule: str = "cosine"
    lr_decay: float = 1.0
    warmup_epochs: int = 0
    nesterov: bool = False
    label_smoothing: float = 0.0

    def lr_at(self, epoch: int) -> float:
        """The learning rate of `epoch`, which counts from 0."""
        if epoch < self.warmup_epochs:
            return self.lr * (epoch + 1) / self.warmup_epochs
        done, length = epoch - self.warmup_epochs, max(self.epochs - self.warmup_epochs, 1)
        if self.schedule == "exponential":
            return self.lr * self.lr_decay**done
        return self.lr_min + (self.lr - self.lr_min) * (1 + math.cos(math.pi * done / length)) / 2


class ClassifierModule(pl.LightningModule):
    """Supervised training of a `Classifier`, in automatic optimization.

    The loss is cross-entropy, plus `auxiliary_weight` times that of the auxiliary tower. Drop-path
    grows with the epochs: ``drop_path * epoch / epochs``.

    Args:
        network: the final network.
        recipe: how it is trained.
        classes: number of classes.
    """

    def __init__(self, network: ImageNetwork, recipe: ClassifierRecipe, classes: int) -> None:
        super().__init__()
        self.network = network
        self.recipe = recipe
        self.train_loss = Mean()
        self.train_accuracy = MulticlassAccuracy(classes, average="micro", validate_args=False)
        self.test_loss = Mean()
        self.test_accuracy = MulticlassAccuracy(classes, average="micro", validate_args=False)
        self.test_top5 = (
            MulticlassAccuracy(classes, top_k=5, average="micro", validate_args=False) if classes > 10 else None
        )
        self.finite = FiniteWatch(("train loss",), "lower train.lr")

    def configure_optimizers(self) -> tuple[list[torch.optim.Optimizer], list[Any]]:
        recipe = self.recipe
        optimizer = torch.optim.SGD(
            self.network.parameters(),
            recipe.lr,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
            nesterov=recipe.nesterov,
            foreach=True,  # one call for all tensors, also on the CPU
        )
        return [optimizer], [LambdaLR(optimizer, lambda epoch: recipe.lr_at(epoch) / recipe.lr)]

    def on_train_epoch_start(self) -> None:
        reset_metrics(self._running())
        self.finite.start()

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        # Here, not where an epoch starts: one that is continued in its middle has no start.
        self.network.drop_path = self.recipe.drop_path * self.current_epoch / self.recipe.epochs
        images, labels = batch
        logits = self.network(images)
        auxiliary = None
        if isinstance(logits, tuple):
            logits, auxiliary = logits
        smoothing = self.recipe.label_smoothing
        loss = nn.functional.cross_entropy(logits, labels, label_smoothing=smoothing)
        self.train_loss.update(loss.detach(), weight=len(labels))
        self.train_accuracy.update(logits.detach(), labels)
        self.finite.observe(loss)
        self.log("loss", loss.detach(), on_step=True, on_epoch=False, prog_bar=True)
        if auxiliary is not None:
            of_tower = nn.functional.cross_entropy(auxiliary, labels, label_smoothing=smoothing)
            loss = loss + self.recipe.auxiliary_weight * of_tower
        return loss

    def on_train_epoch_end(self) -> None:
        self.finite.check(self.current_epoch)
        self.log("retrain/train_loss", self.train_loss)
        self.log("retrain/train_accuracy", self.train_accuracy)
        self.log("retrain/lr", self.recipe.lr_at(self.current_epoch))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.finite.check(self.current_epoch)  # numbers that are not finite must not reach a checkpoint

    def rank_state(self) -> dict[str, Any]:
        """What is this process's own: running statistics, and metrics of the epoch so far."""
        return {"buffers": dict(self.network.named_buffers()), "metrics": metric_states(self._running())}

    def load_rank_state(self, state: dict[str, Any]) -> None:
        """Takes what `rank_state` gave."""
        for name, buffer in self.network.named_buffers():
            buffer.copy_(state["buffers"][name])
        load_metric_states(self._running(), state["metrics"])
        self.finite.start(self.train_loss.update_count)

    def _running(self) -> dict[str, nn.Module]:
        return {"loss": self.train_loss, "accuracy": self.train_accuracy}

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> dict[str, Tensor]:
        images, labels = batch
        logits = self.network(images)
        self.test_loss.update(nn.functional.cross_entropy(logits, labels), weight=len(labels))
        self.test_accuracy.update(logits, labels)
        self.log("test/loss", self.test_loss, on_step=False, on_epoch=True)
        self.log("test/accuracy", self.test_accuracy, on_step=False, on_epoch=True)
        if self.test_top5 is not None:
            self.test_top5.update(logits, labels)
            self.log("test/top5", self.test_top5, on_step=False, on_epoch=True)
        return {"logits": logits}


class ValidatedClassifierModule(ClassifierModule):
    """The same with a validation, for data that have a valid split; it logs the loss and the accuracy there.

    Args:
        network: the final network.
        recipe: how it is trained.
        classes: number of classes.
    """

    def __init__(self, network: ImageNetwork, recipe: ClassifierRecipe, classes: int) -> None:
        super().__init__(network, recipe, classes)
        self.valid_scores = ClassificationScores(classes)

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        logits = self.network(batch[0])
        self.valid_scores.observe(Outcome(nn.functional.cross_entropy(logits, batch[1]), logits), batch)
        for name, metric in self.valid_scores.metrics():
            self.log(f"retrain/valid_{name}", metric, on_step=False, on_epoch=True)
