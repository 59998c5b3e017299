"""Metrics and architectures of all epochs, in the run's folder and in its checkpoint."""

from __future__ import annotations

import csv
import io
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Checkpoint
from torch import Tensor

from darts_pl import atomic
from darts_pl.report.graph import edge_names
from darts_pl.spaces import SearchSpace

# Both derive from `Checkpoint` because Lightning calls such callbacks last, when the module has logged its values
# of the epoch.


class MetricsTable(Checkpoint):
    """`metrics.csv`: one row per epoch, one column per metric.

    Args:
        path: of the table.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[dict[str, float]] = []
        self._started = time.monotonic()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._started = time.monotonic()
        if self.rows and trainer.is_global_zero:
            self._write()  # without rows after the checkpoint

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        row: dict[str, float] = {"epoch": trainer.current_epoch, "batches": trainer.global_step}
        row |= {name: float(value) for name, value in sorted(trainer.callback_metrics.items()) if "/" in name}
        now = time.monotonic()
        row["seconds"], self._started = round(now - self._started, 3), now
        self.rows.append(row)
        if trainer.is_global_zero:
            self._write()

    @property
    def last(self) -> dict[str, float]:
        """The row of the last epoch, also if a resumed run had no epoch left to do."""
        return self.rows[-1] if self.rows else {}

    def _write(self) -> None:
        columns = list(dict.fromkeys(name for row in self.rows for name in row))
        text = io.StringIO()
        table = csv.DictWriter(text, columns, lineterminator="\n")
        table.writeheader()
        table.writerows(self.rows)
        atomic.write(self.path, text.getvalue())

    def state_dict(self) -> dict[str, Any]:
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows = list(state_dict["rows"])


class ArchitectureHistory(Checkpoint):
    """`alphas.npz` and `genotypes.jsonl`: alphas and genotype before training and after every epoch.

    `alphas.npz` holds per cell type [epochs+1, edges, candidates] and, by its name, every other
    architecture parameter, [epochs+1, ...]. In a search of several stages the columns are those of
    the first stage, with nan where a later one has no such candidate. `edges.normal` [edges] and
    `candidates.normal` [edges, candidates] are the names of the rows and columns of `normal`.

    For a module with a `supernet` and a method `genotype`.

    Args:
        folder: where both are written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.alphas: list[dict[str, Tensor]] = []
        #: of the first stage: by cell type for every edge its candidates
        self.candidates: dict[str, tuple[tuple[str, ...], ...]] | None = None
        self.genotypes: list[str] = []

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not self.alphas:
            self._record(trainer, pl_module)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._record(trainer, pl_module)

    def _record(self, trainer: pl.Trainer, module: Any) -> None:
        if self.candidates is None:
            self.candidates = {name: cell.candidates for name, cell in module.supernet.space.cells.items()}
        self.alphas.append(
            {
                name.removeprefix("alphas."): self._aligned(name.removeprefix("alphas."), module.supernet.space, value)
                for name, value in module.supernet.architecture().items()
            }
        )
        self.genotypes.append(" ".join(module.genotype().to_json().split()))
        if trainer.is_global_zero:
            stacked: dict[str, Any] = {
                name: np.stack([row[name].numpy() for row in self.alphas]) for name in self.alphas[0]
            }
            stacked |= self._names(module.supernet.space)
            atomic.write_with(self.folder / "alphas.npz", lambda path: np.savez(path, **stacked))
            atomic.write(self.folder / "genotypes.jsonl", "\n".join(self.genotypes) + "\n")

    def _names(self, space: SearchSpace) -> dict[str, np.ndarray]:
        """By cell type the names of edges and candidates; "" where an edge has fewer candidates than another."""
        assert self.candidates is not None
        named: dict[str, np.ndarray] = {}
        for cell_type, candidates in self.candidates.items():
            widest = max(map(len, candidates))
            named[f"edges.{cell_type}"] = np.array(edge_names(space, cell_type))
            named[f"candidates.{cell_type}"] = np.array([[*edge, *[""] * (widest - len(edge))] for edge in candidates])
        return named

    def _aligned(self, cell_type: str, space: SearchSpace, values: Tensor) -> Tensor:
        """Alphas of a later stage in the columns of the first one; nan where a candidate is gone."""
        values = values.detach().cpu().clone()
        assert self.candidates is not None
        first = self.candidates.get(cell_type)
        if first is None or space.cells[cell_type].candidates == first:
            return values
        aligned = torch.full((len(first), max(map(len, first))), torch.nan, dtype=values.dtype)
        for edge, names in enumerate(space.cells[cell_type].candidates):
            for column, name in enumerate(names):
                aligned[edge, first[edge].index(name)] = values[edge, column]
        return aligned

    def state_dict(self) -> dict[str, Any]:
        candidates = None if self.candidates is None else {k: [list(e) for e in v] for k, v in self.candidates.items()}
        return {"alphas": self.alphas, "genotypes": self.genotypes, "candidates": candidates}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.alphas = list(state_dict["alphas"])
        self.genotypes = list(state_dict["genotypes"])
        stored = state_dict.get("candidates")  # older checkpoints have one stage, whose candidates the module knows
        self.candidates = None if stored is None else {k: tuple(map(tuple, edges)) for k, edges in stored.items()}
