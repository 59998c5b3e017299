"""An exponential moving average of the weights."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback, EMAWeightAveraging
from pytorch_lightning.trainer.states import TrainerFn


class WeightAverage(EMAWeightAveraging):
    """Lightning's callback. It stores the average, including buffers, as the checkpoint's "state_dict".

    Loading a checkpoint for a test also gives the average; the current weights beside it are only for resuming.
    """

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        if trainer.state.fn == TrainerFn.FITTING:
            super().on_load_checkpoint(trainer, pl_module, checkpoint)


def weight_average(decay: float | None) -> list[Callback]:
    """The callback, or nothing for None.

    Args:
        decay: fraction of the old average in the new one after each step, between 0 and 1.
    """
    return [] if decay is None else [WeightAverage(decay=decay)]
