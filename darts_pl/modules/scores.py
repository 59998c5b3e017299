"""What is measured on a split: metrics by name, fed with the outcome of every batch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn
from torchmetrics import Metric
from torchmetrics.classification import MulticlassAccuracy

from darts_pl.modules.running import Mean
from darts_pl.spaces import Outcome


class Perplexity(Mean):
    """exp of the weighted mean of losses in nats."""

    def compute(self) -> Tensor:
        """The perplexity of all that was seen."""
        return super().compute().exp()


class Scores(nn.ModuleDict, ABC):
    """Metrics of one split by name; "loss" is among them."""

    @abstractmethod
    def observe(self, outcome: Outcome, batch: Any) -> int:
        """Add the outcome of a batch; returns the number of samples in its mean loss."""

    def metrics(self) -> Iterator[tuple[str, Metric]]:
        """Name and metric."""
        for name, metric in self.items():
            assert isinstance(metric, Metric)
            yield name, metric


class ClassificationScores(Scores):
    """Loss and accuracy of batches ``(x, y [B])``; top-5 accuracy too where it makes sense.

    Args:
        classes: number of classes.
    """

    def __init__(self, classes: int) -> None:
        metrics: dict[str, nn.Module] = {
            "loss": Mean(),
            "accuracy": MulticlassAccuracy(classes, average="micro", validate_args=False),
        }
        if classes > 10:
            metrics["top5"] = MulticlassAccuracy(classes, top_k=5, average="micro", validate_args=False)
        super().__init__(metrics)

    def observe(self, outcome: Outcome, batch: Any) -> int:
        labels = batch[1]
        for name, metric in self.metrics():
            if name == "loss":
                metric.update(outcome.loss, weight=len(labels))
            else:
                metric.update(outcome.outputs, labels)
        return len(labels)


class LanguageScores(Scores):
    """Loss and perplexity of batches ``(tokens, targets [T, B], ...)``; each word counts once, a negative
    target not at all."""

    def __init__(self) -> None:
        super().__init__({"loss": Mean(), "perplexity": Perplexity()})

    def observe(self, outcome: Outcome, batch: Any) -> int:
        counted = (batch[1] >= 0).sum()
        loss = outcome.loss.where(counted > 0, 0.0)  # the mean over no word is NaN, and so would be all the rest
        for _, metric in self.metrics():
            metric.update(loss, weight=counted)
        return batch[1].numel()
