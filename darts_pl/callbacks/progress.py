"""The lines that a run prints while it is active."""

from __future__ import annotations

import sys
import time

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback, Checkpoint

from darts_pl.callbacks.screen.bar import StageBar
from darts_pl.callbacks.screen.durations import duration
from darts_pl.callbacks.screen.heartbeat import Heartbeat
from darts_pl.callbacks.screen.lines import joined

#: The metrics of an epoch's line, in order, with their formats. Every number has a label of its own.
EPOCH_LINE_METRICS = (
    ("search/train_loss", "train loss {:.3f}"),
    ("search/train_accuracy", "train accuracy {:.3f}"),
    ("search/valid_loss", "valid loss {:.3f}"),
    ("search/valid_accuracy", "valid accuracy {:.3f}"),
    ("search/train_perplexity", "train perplexity {:.1f}"),
    ("search/valid_perplexity", "valid perplexity {:.1f}"),
    ("search/entropy_recurrent", "entropy {:.3f}"),
    ("search/entropy_cell", "entropy {:.3f}"),
    ("search/entropy_normal", "entropy of normal {:.3f}"),
    ("search/entropy_reduce", "entropy of reduce {:.3f}"),
    ("search/skip_connections", "skip connections {:.0f}"),
    ("search/table_cifar10_test", "table {:.2f}"),
    ("retrain/train_loss", "train loss {:.3f}"),
    ("retrain/train_accuracy", "train accuracy {:.3f}"),
    ("retrain/train_perplexity", "train perplexity {:.1f}"),
    ("retrain/valid_loss", "valid loss {:.3f}"),
    ("retrain/valid_accuracy", "valid accuracy {:.3f}"),
    ("retrain/valid_perplexity", "valid perplexity {:.1f}"),
)


class EpochLines(Checkpoint):
    """Losses, accuracies, time taken and time left of every epoch, in lines of at most 100 columns.

    Derives from `Checkpoint` so that Lightning calls it last, when all metrics are known.

    Args:
        title: first word of each line.
    """

    def __init__(self, title: str) -> None:
        self.title = title
        self._started: float | None = None
        self._first_epoch = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._started = time.monotonic()
        self._first_epoch = trainer.current_epoch

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.is_global_zero or self._started is None:
            return
        epoch, epochs = trainer.current_epoch + 1, trainer.max_epochs or 0
        per_epoch = (time.monotonic() - self._started) / (epoch - self._first_epoch)
        metrics = trainer.callback_metrics
        parts = [form.format(float(metrics[name])) for name, form in EPOCH_LINE_METRICS if name in metrics]
        left = per_epoch * (epochs - epoch)
        parts.append(f"{per_epoch:.1f} s/epoch" + (f", {duration(left)} left" if epoch < epochs else ""))
        print(joined(f"{self.title} {epoch:>{len(str(epochs))}}/{epochs}", parts), flush=True)


def progress_callbacks(title: str) -> list[Callback]:
    """The lines of every epoch; on a terminal a progress bar of steps, losses and time left, elsewhere a line at least
    every minute."""
    return [EpochLines(title), StageBar(title) if sys.stdout.isatty() else Heartbeat(title)]
