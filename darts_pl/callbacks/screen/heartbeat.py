"""A line at least every minute."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from darts_pl.callbacks.screen.durations import duration, per_step
from darts_pl.callbacks.screen.lines import joined

#: Seconds without a line after which one is printed.
SILENCE = 60.0
#: A batch that ends within so many seconds before that prints it, since it knows the loss.
EARLY = 5.0
#: Seconds between two looks at the clock while a batch lasts.
LOOK = 1.0


class Heartbeat(Callback):
    """Says where a run is whenever it has been silent for a minute: within long epochs, validations, tests and steps.

    A line at the end of a batch gives the loss; within a batch that lasts longer than a minute a thread prints it,
    which reads nothing from the device. Rank zero alone speaks.

    Args:
        title: of the run, such as "search".
        silence: seconds without a line.
        clock: gives seconds.
    """

    def __init__(
        self, title: str, silence: float = SILENCE, clock: Callable[[], float] = time.monotonic, look: float = LOOK
    ) -> None:
        self.title, self.silence, self.clock, self.look = title, silence, clock, look
        self._phase: tuple[str, int, int] | None = None  # what is going on, batches done, batches
        self._epoch = ""
        self._entered = self._began = self._spoken = 0.0
        self._entered_at = 0
        self._end: threading.Event | None = None
        self._lock = threading.Lock()

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        self.spoken()
        if trainer.is_global_zero and self._end is None:
            self._end = threading.Event()
            threading.Thread(target=self._watch, args=(self._end,), name="heartbeat", daemon=True).start()

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        self._stop()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        self._stop()

    def spoken(self) -> None:
        """The run has printed another line."""
        self._spoken = self.clock()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._enter("", 0, 0)
        self.spoken()  # the line of the epoch

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self._epoch = f" {trainer.current_epoch + 1}/{trainer.max_epochs}"
        self._enter("step", batch_idx, int(trainer.num_training_batches))

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._enter("step", batch_idx + 1, int(trainer.num_training_batches))
        if trainer.is_global_zero and self.clock() - self._spoken >= self.silence - EARLY:
            loss = trainer.callback_metrics.get("loss")
            self._say([] if loss is None else [f"train loss {float(loss):.3f}"])

    def on_validation_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        self._enter("validation batch", batch_idx, int(trainer.num_val_batches[dataloader_idx]))

    def on_test_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        self._epoch = ""
        self._enter("test batch", batch_idx, int(trainer.num_test_batches[dataloader_idx]))

    def _enter(self, phase: str, done: int, total: int) -> None:
        if self._phase is None or self._phase[0] != phase or done < self._phase[1]:
            self._entered, self._entered_at = self.clock(), done
        self._began = self.clock()
        self._phase = (phase, done, total)

    def _watch(self, end: threading.Event) -> None:
        while not end.wait(self.look):
            if self._phase is not None and self._phase[0] and self.clock() - self._spoken >= self.silence:
                what = self._phase[0].split()[-1]
                self._say([f"this {what} has taken {duration(self.clock() - self._began)} so far"])

    def _say(self, parts: list[str]) -> None:
        with self._lock:
            if self._phase is None:
                return
            phase, done, total = self._phase
            where = [f"{phase} {done:,} of {total:,}"]
            finished = done - self._entered_at
            if finished > 0:
                each = (self.clock() - self._entered) / finished
                left = duration(each * (total - done))
                unit = per_step(each) if phase == "step" else per_step(each).replace("/step", "/batch")
                parts = [*parts, f"{unit}, {left} left in this {'epoch' if phase == 'step' else phase.split()[0]}"]
            self.spoken()
            print(joined(f"{self.title}{self._epoch}", [*where, *parts]), flush=True)

    def _stop(self) -> None:
        if self._end is not None:
            self._end.set()
            self._end = None

    def __getstate__(self) -> dict[str, Any]:
        """For processes that Lightning starts by pickling: each has a thread of its own."""
        return self.__dict__ | {"_end": None, "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()
