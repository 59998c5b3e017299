"""`checkpoints/last.ckpt`, written after every epoch."""

from __future__ import annotations

from pathlib import Path

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Checkpoint

from darts_pl import atomic


class LastCheckpoint(Checkpoint):
    """Saves the whole state of the run after every epoch, when schedulers have stepped and all
    metrics of the epoch are known.

    The file is written to a temporary name and renamed. It holds tensors and plain values only, so
    that ``torch.load(path, weights_only=True)`` reads it.

    Args:
        path: of the checkpoint.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if trainer.world_size == 1:
            atomic.write_with(self.path, lambda temporary: trainer.save_checkpoint(temporary, weights_only=False))
        else:  # saving is collective; only rank zero writes, through Lightning's own atomic save
            trainer.save_checkpoint(self.path, weights_only=False)
