"""Pictures of a search after each epoch, for loggers that show pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pytorch_lightning as pl
from pytorch_lightning.callbacks import Checkpoint
from torch import Tensor

from darts_pl.callbacks.history import ArchitectureHistory
from darts_pl.genotype import Genotype, parse
from darts_pl.report import draw_cells, draw_mixing_weights, pixels
from darts_pl.spaces import SearchSpace


@runtime_checkable
class PictureLogger(Protocol):
    """A Lightning logger that can show more than numbers."""

    def log_image(self, key: str, image: np.ndarray, step: int) -> None:
        """Show an image [height, width, 3] in uint8."""

    def log_table(self, key: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], step: int) -> None:
        """Show a table, which replaces an earlier one of the same `key`."""


class ArchitecturePictures(Checkpoint):
    """Logs, after each epoch, heat maps of the mixing weights, a drawing of the derived cells and a table of all
    genotypes so far.

    Derives from `Checkpoint` so that Lightning calls it after the module; it must follow `history`.

    Args:
        history: of the same run.
        alphas: whether every alpha is logged as a number too, ``alpha/normal/edge_03/sep_conv_3x3``.
    """

    def __init__(self, history: ArchitectureHistory, *, alphas: bool = False) -> None:
        self.history = history
        self.alphas = alphas
        self._drawn: tuple[Genotype, np.ndarray] | None = None

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        if not trainer.is_global_zero or not trainer.loggers:
            return
        supernet = pl_module.supernet
        step = trainer.global_step - 1  # the last batch, from 0, as in what Lightning logs
        if self.alphas:
            numbers = alpha_scalars(supernet.space, supernet.alphas) | beta_scalars(supernet.arch.betas)
            for logger in trainer.loggers:
                logger.log_metrics(numbers, step)
        showing = [logger for logger in trainer.loggers if isinstance(logger, PictureLogger)]
        if not showing:
            return
        expected = supernet.mixing()
        weights = {name: mixing.weights.detach().float().cpu().numpy() for name, mixing in expected.items()}
        edges = {
            name: mixing.edges.detach().float().cpu().numpy()
            for name, mixing in expected.items()
            if mixing.edges is not None
        }
        images = {
            "search/mixing_weights": pixels(draw_mixing_weights(supernet.space, weights, edges)),
            "search/cells": self._cells(parse(self.history.genotypes[-1])),
        }
        rows = [[epoch, str(parse(text))] for epoch, text in enumerate(self.history.genotypes)]
        for logger in showing:
            for name, image in images.items():
                logger.log_image(name, image, step)
            logger.log_table("search/genotypes", ["epochs", "genotype"], rows, step)

    def _cells(self, genotype: Genotype) -> np.ndarray:
        """The drawing, kept until the genotype changes."""
        if self._drawn is None or self._drawn[0] != genotype:
            self._drawn = genotype, pixels(draw_cells(genotype))
        return self._drawn[1]


def alpha_scalars(space: SearchSpace, alphas: Mapping[str, Tensor]) -> dict[str, float]:
    """Every alpha by a name such as ``alpha/normal/edge_03/sep_conv_3x3``; edges count from 0.

    Args:
        space: what is searched.
        alphas: per cell type [edges, candidates].
    """
    return {
        f"alpha/{cell_type}/edge_{edge:02}/{candidate}": value
        for cell_type, values in alphas.items()
        for edge, row in enumerate(values.detach().tolist())
        for candidate, value in zip(space.cells[cell_type].candidates[edge], row, strict=False)
    }


def beta_scalars(betas: Mapping[str, Tensor]) -> dict[str, float]:
    """Every beta by a name such as ``beta/normal/edge_03``; edges count from 0.

    Args:
        betas: per cell type [edges]; empty where edges have no weights.
    """
    return {
        f"beta/{cell_type}/edge_{edge:02}": value
        for cell_type, values in betas.items()
        for edge, value in enumerate(values.detach().tolist())
    }
