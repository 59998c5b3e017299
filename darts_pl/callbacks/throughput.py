"""Throughput and memory of a run."""

from __future__ import annotations

import csv
import io
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

from darts_pl import atomic


class Throughput(Callback):
    """Logs, each epoch, ``samples_per_second`` and ``peak_memory_mb``.

    The first counts images, or words of text, of the train split on all ranks; its time includes loading but not the
    validation. The second is in units of 1e6 bytes: the most that torch held on the GPU, or the process on the CPU.

    The names have no slash, so neither is in `metrics.csv`, whose rows a resumed run repeats bitwise. (Lightning's
    ThroughputMonitor waits for the GPU after every batch.)
    """

    def __init__(self) -> None:
        self._started = self._ended = 0.0
        self._samples = 0

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._started = self._ended = time.monotonic()
        self._samples = 0

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._samples += batch_samples(batch)
        if trainer.is_last_batch and pl_module.device.type == "cuda":
            torch.cuda.synchronize(pl_module.device)  # the batch may still be queued
        self._ended = time.monotonic()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._samples:
            rate = self._samples / max(self._ended - self._started, 1e-9)
            pl_module.log("samples_per_second", rate, sync_dist=True, reduce_fx="sum")
        peak = peak_memory(pl_module.device)
        if peak is not None:
            pl_module.log("peak_memory_mb", peak / 1e6, sync_dist=True, reduce_fx="max")


class ThroughputTable(Throughput):
    """`throughput.csv`: a row per epoch with the same two quantities, for the report. It is no part of a checkpoint.

    The rate is that of rank zero times the number of ranks, so no rank waits for another one.

    Args:
        path: of the table; a continued run keeps the rows of earlier epochs.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.rows: list[dict[str, Any]] = []

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.is_global_zero and trainer.current_epoch > 0 and self.path.is_file():
            with self.path.open(newline="", encoding="utf-8") as file:
                self.rows = [row for row in csv.DictReader(file) if int(row["epoch"]) < trainer.current_epoch]

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.is_global_zero or not self._samples:
            return
        rate = self._samples * trainer.world_size / max(self._ended - self._started, 1e-9)
        row: dict[str, Any] = {"epoch": trainer.current_epoch, "samples_per_second": round(rate, 3)}
        peak = peak_memory(pl_module.device)
        if peak is not None:
            row["peak_memory_mb"] = round(peak / 1e6, 1)
        self.rows.append(row)
        text = io.StringIO()
        table = csv.DictWriter(text, list(row), lineterminator="\n", extrasaction="ignore", restval="")
        table.writeheader()
        table.writerows(self.rows)
        atomic.write(self.path, text.getvalue())


class SamplesRead(Callback):
    """Counts the samples of all training batches, on all ranks: images, or words of text. A search reads two halves,
    and both count unless its module says that it does not read the valid half. The count is part of the checkpoint.

    Attributes:
        samples: the number; None where a checkpoint that holds no count was continued.
    """

    def __init__(self) -> None:
        self.samples: int | None = 0
        self._loaded = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.global_step > 0 and not self._loaded:
            self.samples = None

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self.samples is not None:
            halves = list(batch.values()) if isinstance(batch, Mapping) else [batch]
            if len(halves) > 1 and not getattr(pl_module, "reads_valid_half", True):
                halves = [batch["train"]]
            self.samples += trainer.world_size * sum(int(half[1].numel()) for half in halves)  # equal on all ranks

    def state_dict(self) -> dict[str, Any]:
        return {"samples": self.samples}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.samples, self._loaded = state_dict["samples"], True


def batch_samples(batch: Any) -> int:
    """Images or words of a batch ``(inputs, targets, ...)``, or of its train half."""
    targets = (batch["train"] if isinstance(batch, Mapping) else batch)[1]
    return int(targets.numel())


def peak_memory(device: torch.device) -> int | None:
    """The most bytes that torch held on a GPU so far, or this process on the CPU; None if the system does not say."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if sys.platform == "win32":
        return None
    import resource  # not on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
