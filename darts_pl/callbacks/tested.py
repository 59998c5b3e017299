"""What a report shows of a test: the confusion matrix, the worst images, the loss along a text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from darts_pl import atomic

FILE = "test.npz"
#: Images that are kept, those with the largest loss; larger ones than this are not.
WORST, LARGEST_SIDE = 24, 64
#: A confusion matrix of more classes would be a large file.
MOST_CLASSES = 1000
#: Points of the curve along a text.
PLACES = 100


class RecordTest(Callback):
    """Writes `test.npz` after a test whose steps return ``{"logits": [B, classes]}``, or ``{"loss": mean}`` for text.

    Arrays: `confusion` [classes, classes], rows are the labels; `worst_images` [n, H, W, 3] in uint8, their contrast
    stretched, with `worst_labels`, `worst_predicted` and `worst_probability` (of the label), only of one process and
    of small images; `place_loss` and `place_words` [n], the mean loss of successive parts of a text and the words of a
    column up to their ends.

    Args:
        folder: of the run.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._confusion: Tensor | None = None
        self._worst: list[tuple[float, int, int, Tensor]] = []
        self._losses: list[tuple[float, int]] = []

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._confusion, self._worst, self._losses = None, [], []

    def on_test_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, *others: Any
    ) -> None:
        if not isinstance(outputs, dict):
            return
        if "logits" in outputs:
            self._observe_images(outputs["logits"].detach().float(), batch[0], batch[1], alone=trainer.world_size == 1)
        elif "loss" in outputs:
            # A kept tensor of one number would lie where the logits of its batch were and keep that memory from being
            # used again: in a test of 82,430 words with a vocabulary of 10,000 that was 3.3 GB.
            self._losses.append((float(outputs["loss"]), len(batch[1])))

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        arrays: dict[str, Any] = {}
        if self._confusion is not None:
            total = trainer.strategy.reduce(self._confusion, reduce_op="sum")
            assert isinstance(total, Tensor)
            arrays["confusion"] = total.cpu().numpy()
        if self._worst:
            arrays |= self._worst_arrays()
        if self._losses:
            arrays |= self._along()
        if arrays and trainer.is_global_zero:
            atomic.write_with(self.folder / FILE, lambda path: np.savez_compressed(path, **arrays))

    def _observe_images(self, logits: Tensor, images: Tensor, labels: Tensor, *, alone: bool) -> None:
        classes, predicted = logits.shape[1], logits.argmax(1)
        if classes <= MOST_CLASSES:
            counts = torch.bincount(labels * classes + predicted, minlength=classes**2).view(classes, classes)
            self._confusion = counts if self._confusion is None else self._confusion + counts
        if not alone or max(images.shape[2:]) > LARGEST_SIDE:
            return
        losses = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
        for index in losses.topk(min(WORST, len(losses))).indices.tolist():
            row = float(losses[index]), int(labels[index]), int(predicted[index])
            self._worst.append((*row, images[index].detach().float().cpu().clone()))
        self._worst = sorted(self._worst, key=lambda one: -one[0])[:WORST]

    def _worst_arrays(self) -> dict[str, np.ndarray]:
        losses, labels, predicted, images = zip(*self._worst, strict=True)
        return {
            "worst_images": np.stack([_pixels(image) for image in images]),
            "worst_labels": np.array(labels),
            "worst_predicted": np.array(predicted),
            "worst_probability": np.exp(-np.array(losses)),
        }

    def _along(self) -> dict[str, np.ndarray]:
        losses = np.array([loss for loss, _ in self._losses])
        words = np.array([count for _, count in self._losses])
        parts = np.array_split(np.arange(len(losses)), min(PLACES, len(losses)))
        return {
            "place_loss": np.array([np.average(losses[part], weights=words[part]) for part in parts]),
            "place_words": np.array([words[: part[-1] + 1].sum() for part in parts]),
        }


def _pixels(image: Tensor) -> np.ndarray:
    """An image [C, H, W] of any range as [H, W, 3] in uint8."""
    low, high = image.amin(), image.amax()
    stretched = ((image - low) / (high - low).clamp_min(1e-12) * 255).round().to(torch.uint8)
    colours = stretched if len(stretched) == 3 else stretched[:1].expand(3, -1, -1)
    return colours.permute(1, 2, 0).contiguous().numpy()
