"""Compiled parts of a network while it is fitted."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from darts_pl.spaces.compiled import use_compiled


class CompileParts(Callback):
    """Has the parts of a network run compiled from the first training batch of an epoch until the training ends.

    This is repeated in each epoch, since a stage of a search has a supernet of its own. What comes after the training,
    such as a selection, runs the network as it is.
    """

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        use_compiled(pl_module, True)  # an epoch that is continued in its middle has no first batch

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if batch_idx == 0:
            use_compiled(pl_module, True)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        use_compiled(pl_module, False)
