"""Fitting, from the start or from a checkpoint."""

from __future__ import annotations

import logging
import pickle
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from darts_pl.callbacks.checkpoint import SETTINGS_KEY
from darts_pl.config import upgrade_stored
from darts_pl.errors import UserError
from darts_pl.modules.running import DivergedError
from darts_pl.records.checkpoint_file import is_whole
from darts_pl.records.folder import RunFolder
from darts_pl.records.run_identity import difference
from darts_pl.runs.child_processes import end_children, remember_children
from darts_pl.runs.data_identity import keep_data_identity

_log = logging.getLogger(__name__)

#: What reading a damaged file, or one that is not a checkpoint, may raise.
_DAMAGED = (
    *(RuntimeError, OSError, EOFError, KeyError, TypeError, ValueError),
    *(pickle.UnpicklingError, zipfile.BadZipFile, zlib.error),
)


def fit(
    trainer: pl.Trainer,
    module: pl.LightningModule,
    data: pl.LightningDataModule,
    folder: RunFolder,
    resume: bool,
    settings: Mapping[str, Any],
) -> None:
    """Fit `module`; with `resume`, continue from the folder's checkpoint if there is one.

    Args:
        trainer: with the number of epochs set.
        module: the module to fit.
        data: the data to fit it on.
        folder: of the run.
        resume: whether to continue from a checkpoint.
        settings: identity of the run; the checkpoint must have the same.

    Raises:
        UserError: if no checkpoint of the folder is whole, or it belongs to another run or to other
            data, or the losses become non-finite.
    """
    checkpoint = to_continue(folder, settings) if resume else None
    keep_data_identity(folder.path, data, continues=checkpoint is not None, writes=trainer.is_global_zero)
    if resume and checkpoint is None and trainer.is_global_zero:
        print(f"no checkpoint in {folder.path}: starting from the beginning", flush=True)
    try:
        trainer.fit(module, datamodule=data, ckpt_path=checkpoint, weights_only=True)
    except DivergedError as error:
        raise DivergedError(f"{error}\n{_before(folder)}") from error
    except RuntimeError as error:
        if "loading state_dict" not in str(error):
            raise
        raise UserError(
            f"{checkpoint}: belongs to a network with other sizes or operations\n"
            f"repeat the settings in {folder.path / '.hydra'}, or choose another hydra.run.dir"
        ) from error
    finally:
        remember_children(trainer)
        if not trainer.state.finished:
            end_children()


def to_continue(folder: RunFolder, settings: Mapping[str, Any]) -> Path | None:
    """The newest intact checkpoint of a folder, or None if there is no checkpoint.

    Raises:
        UserError: if no existing checkpoint is intact, or the newest belongs to another run.
    """
    present = [path for path in (folder.checkpoint, folder.previous_checkpoint) if path.is_file()]
    for path in present:
        try:
            stored = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
            epochs, ours = int(stored["epoch"]), stored.get(SETTINGS_KEY)
            if not is_whole(path):
                raise zipfile.BadZipFile
        except _DAMAGED as error:
            _log.warning("%s: damaged or not a checkpoint (%s)", path, type(error).__name__)
            continue
        differs = difference(upgrade_stored(ours, settings), settings) if ours else None
        if differs is not None:
            raise UserError(
                f"{path}: belongs to a run with {differs}\nrepeat its settings, or use another hydra.run.dir"
            )
        if path != folder.checkpoint:
            _log.warning("continuing from the checkpoint before it, %s, of epoch %d", path, epochs + 1)
        return path
    if present:
        raise UserError(
            f"{present[0]}: damaged or not a checkpoint, and there is no intact backup\n"
            "remove it and run the command again to start over"
        )
    return None


def newest_settings(folder: RunFolder) -> Mapping[str, Any] | None:
    """The settings in the newest checkpoint of a folder that can be read; None if there is none."""
    for path in (folder.checkpoint, folder.previous_checkpoint):
        try:
            found = torch.load(path, map_location="cpu", weights_only=True, mmap=True).get(SETTINGS_KEY)
        except (*_DAMAGED, AttributeError):
            continue
        return found if isinstance(found, Mapping) else None
    return None


def _before(folder: RunFolder) -> str:
    if folder.checkpoint.is_file():
        return f"the checkpoint before it is {folder.checkpoint}"
    return "there is no checkpoint before it"
