"""What a run says before its first step, and after its first steps."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

from darts_pl.callbacks.screen.durations import duration, memory, per_step
from darts_pl.callbacks.screen.lines import table
from darts_pl.callbacks.throughput import peak_memory

#: So many steps are timed, after the first one, which also allocates memory and chooses kernels.
TIMED_STEPS = 5
#: Fewer are enough once they took so many seconds.
ENOUGH_SECONDS = 10.0


class Announcement(Callback):
    """Says what a run is before its first step, and how long it will take once some steps are timed.

    A run that is continued says so, and what remains. A part of a command repeats no line that an earlier part has
    said. Rank zero alone speaks.

    Args:
        title: of the run, such as "search".
        describe: label -> text, once the Trainer has its data and its device.
        said: label -> text of what earlier parts of the command said; is updated.
        clock: gives seconds.
    """

    def __init__(
        self,
        title: str,
        describe: Callable[[pl.Trainer], Mapping[str, str]],
        said: dict[str, str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.title, self.describe, self.said, self.clock = title, describe, said, clock
        self._steps = 0
        self._started: float | None = None
        self._estimated = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        entries = dict(self.describe(trainer))
        gap = "\n" if self.said else ""
        new = {label: text for label, text in entries.items() if self.said.get(label) != text}
        self.said.update(entries)
        print("\n".join(filter(None, [f"{gap}{self._headline(trainer)}", table(new)])), flush=True)

    def _headline(self, trainer: pl.Trainer) -> str:
        if trainer.global_step == 0:
            return self.title
        epochs = trainer.max_epochs or 0
        if trainer.current_epoch >= epochs:
            return f"{self.title}, resumed: all {epochs} epochs were done"
        done = trainer.fit_loop.epoch_loop.batch_progress.current.ready if trainer.fit_loop.restarting else 0
        step = f", after step {done}" if done else ""
        return f"{self.title}, resumed in epoch {trainer.current_epoch + 1}/{epochs}{step}"

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self._estimated or not trainer.is_global_zero:
            return
        self._steps += 1
        if self._started is None:
            _wait_for(pl_module.device)
            self._started = self.clock()
            return
        timed = self._steps - 1
        if timed < TIMED_STEPS and self.clock() - self._started < ENOUGH_SECONDS:
            return
        _wait_for(pl_module.device)
        self._estimated = True
        print(self._estimate(trainer, pl_module.device, (self.clock() - self._started) / timed), flush=True)

    def _estimate(self, trainer: pl.Trainer, device: torch.device, seconds: float) -> str:
        per_epoch, epochs = int(trainer.num_training_batches), trainer.max_epochs or 0
        done = trainer.fit_loop.epoch_loop.batch_progress.current.ready
        left = max(per_epoch * (epochs - trainer.current_epoch) - done, 0)
        entries = {}
        if left:
            text = f"{per_step(seconds)}, so about {duration(seconds * left)} for the remaining {left:,} steps"
            entries["time"] = f"{text}, without validation" if trainer.enable_validation else text
        used = peak_memory(device)
        if used is not None:
            entries["memory"] = f"{memory(used)} on {'the GPU' if device.type == 'cuda' else 'the CPU'} so far"
        return table(entries)


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)  # steps that are only queued must not look fast
