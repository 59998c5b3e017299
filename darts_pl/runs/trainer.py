"""The Lightning Trainer that a `hardware` configuration describes."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities import rank_zero_only
from pytorch_lightning.utilities.exceptions import MisconfigurationException

from darts_pl.errors import UserError
from darts_pl.records.folder import RunFolder
from darts_pl.runs.checkpoint_io import PlainFile
from darts_pl.runs.hardware import HardwareSettings, refuse_missing_gpu
from darts_pl.runs.processes import keep_signals, number_of_nodes, scheduler, strategy_of


def quiet_lightning() -> None:
    """Silence messages that Lightning prints in every run and that a user cannot act on."""
    for name in ("pytorch_lightning.utilities.rank_zero", "pytorch_lightning.accelerators.cuda"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in (
        ".*LeafSpec.*",  # Lightning 2.6 on torch 2.14: a deprecated name inside Lightning
        ".*smaller than the logging interval.*",  # every epoch is logged anyway
        ".*does not have many workers.*",  # our batches are made on the device, not by workers
        ".*it is recommended to use `self.log.*sync_dist=True.*",  # metrics sum over ranks; the rest is equal on all
        ".*GPU available but not used.*",  # the user chose hardware=cpu
        ".*Grad strides do not match bucket view strides.*",  # channels-last weights under DDP: "not an error"
        ".*`training_step` returned `None`.*",  # a step is skipped on purpose after a non-finite loss
    ):
        warnings.filterwarnings("ignore", message)


def is_rank_zero() -> bool:
    """Whether this process is the one that writes files and prints."""
    return getattr(rank_zero_only, "rank", 0) == 0


def build_trainer(
    hardware: HardwareSettings,
    folder: RunFolder,
    *,
    epochs: int,
    callbacks: Sequence[Callback],
    loggers: Sequence[Logger] = (),
    log_every: int = 50,
    grad_clip: float | None = None,
    accumulate: int = 1,
    unused_weights: bool = False,
    validate_at_end: bool = False,
    debug: bool = False,
) -> pl.Trainer:
    """A Trainer for `epochs` epochs.

    Args:
        hardware: accelerator, devices, precision, strategy.
        folder: of the run.
        epochs: number of epochs.
        callbacks: of the run.
        loggers: beside `metrics.csv`.
        log_every: batches between two logged points within an epoch.
        grad_clip: largest gradient norm, for modules in automatic optimization.
        accumulate: batches whose gradients are added up for one step, in automatic optimization.
        unused_weights: whether some weights never get a gradient.
        validate_at_end: validate after the last epoch only, instead of after every epoch.
        debug: one epoch, of one batch of each phase.

    Raises:
        UserError: if the hardware is not available.
    """
    quiet_lightning()
    refuse_missing_gpu(hardware)
    if hardware.threads is not None:
        torch.set_num_threads(hardware.threads)
    settings: dict[str, Any] = {}
    precision: Any = hardware.precision  # Lightning checks the value
    epochs = 1 if debug else epochs
    if debug:
        settings = {"limit_train_batches": 1, "limit_val_batches": 1, "limit_test_batches": 1}
    with _named(hardware):
        trainer = pl.Trainer(
            accelerator=_accelerator(hardware.accelerator),
            devices=hardware.devices,
            precision=precision,
            strategy=strategy_of(hardware, unused_weights=unused_weights),
            num_nodes=number_of_nodes(hardware),
            plugins=[PlainFile(), *scheduler()],
            deterministic=hardware.deterministic,
            max_epochs=epochs,
            check_val_every_n_epoch=epochs if validate_at_end else 1,
            callbacks=list(callbacks),
            logger=list(loggers) or False,
            log_every_n_steps=log_every,
            gradient_clip_val=grad_clip,
            accumulate_grad_batches=accumulate,
            default_root_dir=folder.path,
            enable_checkpointing=True,
            enable_progress_bar=any(_is_bar(callback) for callback in callbacks),
            enable_model_summary=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,  # the data modules shard themselves
            **settings,
        )
    keep_signals(trainer)
    return trainer


@contextmanager
def _named(hardware: HardwareSettings) -> Iterator[None]:
    """Turn Lightning's errors about impossible hardware into one line with the values."""
    try:
        yield
    except UserError:
        raise
    except (ValueError, TypeError, MisconfigurationException) as error:
        given = ", ".join(f"{name}={getattr(hardware, name)}" for name in ("devices", "strategy", "precision"))
        raise UserError(f"hardware: {given}: {str(error).splitlines()[0]:.200}") from error


def _accelerator(name: str) -> str:
    """`auto` means CUDA or the CPU; no other kind of device has been tested."""
    return ("gpu" if torch.cuda.is_available() else "cpu") if name == "auto" else name


def _is_bar(callback: Callback) -> bool:
    return isinstance(callback, pl.callbacks.ProgressBar)
