"""The weights of the best epoch, where a training has a part that validates."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor

from darts_pl.callbacks.averaging import WeightAverage

#: Key in a checkpoint of the weights that the best ones replace under "state_dict".
LAST_WEIGHTS = "last_state"


class BestWeights(Callback):
    """Keeps the weights of the epoch with the highest valid accuracy, at ties that with the lowest valid loss.

    They are the "state_dict" of every checkpoint, so that a test and whoever else loads it reads them; the weights of
    the last epoch are beside them, for resuming. With a moving average, the average is what is validated and kept.
    Comes after `WeightAverage` in the list of callbacks.

    Attributes:
        epoch: of the best weights, counted from 0; None before the first epoch has ended.
        accuracy, loss: on the valid part.
    """

    def __init__(self) -> None:
        self.epoch: int | None = None
        self.accuracy, self.loss = 0.0, float("inf")
        self._weights: dict[str, Tensor] | None = None

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        metrics = trainer.callback_metrics
        if "retrain/valid_accuracy" not in metrics:
            return
        accuracy, loss = float(metrics["retrain/valid_accuracy"]), float(metrics["retrain/valid_loss"])
        if self.epoch is None or (accuracy, -loss) > (self.accuracy, -self.loss):
            self.epoch, self.accuracy, self.loss = trainer.current_epoch, accuracy, loss
            scored = _average(trainer) or pl_module
            self._weights = {name: value.detach().cpu().clone() for name, value in scored.state_dict().items()}

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        if self._weights is not None:
            checkpoint[LAST_WEIGHTS], checkpoint["state_dict"] = checkpoint["state_dict"], self._weights

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        if trainer.state.fn != TrainerFn.FITTING or LAST_WEIGHTS not in checkpoint:
            return
        self._weights = {name: value.detach().cpu().clone() for name, value in checkpoint["state_dict"].items()}
        (_average(trainer) or pl_module).load_state_dict(checkpoint[LAST_WEIGHTS])

    def state_dict(self) -> dict[str, Any]:
        return {"epoch": self.epoch, "accuracy": self.accuracy, "loss": self.loss}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.epoch, self.accuracy, self.loss = (state_dict[name] for name in ("epoch", "accuracy", "loss"))


def _average(trainer: pl.Trainer) -> Any:
    """The moving average of the module, where there is one."""
    for callback in getattr(trainer, "callbacks", ()):
        if isinstance(callback, WeightAverage) and callback._average_model is not None:
            return callback._average_model.module
    return None
