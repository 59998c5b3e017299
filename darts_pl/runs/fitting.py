"""Fitting, from the beginning or from a checkpoint."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytorch_lightning as pl
import torch

from darts_pl.errors import UserError
from darts_pl.runs.folder import RunFolder


def fit(
    trainer: pl.Trainer, module: pl.LightningModule, data: pl.LightningDataModule, folder: RunFolder, resume: bool
) -> None:
    """Fit `module`, continuing the folder's checkpoint if that is asked for and there is one.

    Raises:
        UserError: if the checkpoint is damaged, belongs to another network, or has more epochs.
    """
    checkpoint = folder.to_continue(resume)
    if checkpoint is None:
        if resume and trainer.is_global_zero:
            print(f"no checkpoint in {folder.path}: starting from the beginning", flush=True)
        trainer.fit(module, datamodule=data, weights_only=True)
        return
    _check(checkpoint, trainer.max_epochs)
    try:
        trainer.fit(module, datamodule=data, ckpt_path=checkpoint, weights_only=True)
    except RuntimeError as error:
        if "loading state_dict" not in str(error):
            raise
        raise UserError(
            f"{checkpoint}: belongs to a network of other sizes or operations\n"
            f"repeat the settings in {folder.path / '.hydra'}, or give another hydra.run.dir"
        ) from error


def _check(checkpoint: Path, epochs: int | None) -> None:
    try:
        done = int(torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=True)["epoch"]) + 1
    except (RuntimeError, OSError, EOFError, KeyError, TypeError, ValueError, pickle.UnpicklingError) as error:
        raise UserError(
            f"{checkpoint}: damaged, or no checkpoint ({type(error).__name__})\n"
            "remove it and run the command again to start from the beginning"
        ) from error
    if epochs is not None and epochs >= 0 and done > epochs:
        raise UserError(f"{checkpoint}: has {done} epochs, more than the {epochs} asked for; ask for {done} or more")
