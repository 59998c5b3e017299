"""What searches and trainings share: fitting a module in a run's folder, and writing the result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from darts_pl.callbacks import (
    CompileParts,
    KeepEpochs,
    LastCheckpoint,
    MetricsTable,
    RankStates,
    RecordTest,
    RunObservers,
    SamplesRead,
    StopOnSignal,
    Throughput,
    ThroughputTable,
    progress_callbacks,
)
from darts_pl.callbacks.screen.announcement import Announcement
from darts_pl.genotype import Genotype
from darts_pl.records import RunFolder
from darts_pl.records.folder import Summary
from darts_pl.report import save_cells
from darts_pl.runs import build_loggers, build_trainer, fit, log_summary
from darts_pl.runs.hardware import refuse_missing_compiler
from darts_pl.tasks.execution.announcing import describe
from darts_pl.tasks.execution.context import Context


@dataclass(frozen=True)
class Fitted:
    """A Trainer that has done its epochs, and the metrics of the last of them.

    Args:
        trainer: the Trainer.
        rows: of `metrics.csv`, also those before a run was continued.
        last: metrics by name, also where a continued run had no epoch left to do.
        samples: images or words in the training batches of all epochs; None where they were not counted from the
            start.
        seconds: of all epochs, also those before a run was continued.
    """

    trainer: pl.Trainer
    rows: list[dict[str, float]]
    last: dict[str, float]
    samples: int | None
    seconds: float


def fit_and_record(
    context: Context,
    module: pl.LightningModule,
    data: pl.LightningDataModule,
    *,
    title: str,
    epochs: int,
    facts: Summary,
    settings: Mapping[str, Any],
    callbacks: Sequence[Callback] = (),
    observers: RunObservers | None = None,
    grad_clip: float | None = None,
    accumulate: int = 1,
    validate_at_end: bool = False,
    logs: bool = True,
) -> Fitted:
    """Fit `module` in the context's folder, with metrics, checkpoint and progress.

    Args:
        context: hardware, loggers, folder, and whether a checkpoint is continued.
        module: what is fitted.
        data: what it is fitted on.
        title: what the lines on screen call it.
        epochs: number of epochs.
        facts: sizes of the network, for the announcement; see `describe`.
        settings: what the run is, see `settings_of`; a checkpoint of others is not continued.
        callbacks: beside those that every run has.
        observers: of a search; where one of them rolls back, fitting goes on from the earlier epoch.
        grad_clip: largest gradient norm, for modules in automatic optimization.
        accumulate: batches per optimizer step, likewise.
        validate_at_end: validate after the last epoch only.
        logs: whether the loggers of the configuration get this run; False where it is a part of another run.
    """
    config, folder = context.config, context.folder
    refuse_missing_compiler(config.hardware)
    loggers = build_loggers(config, folder, context.resolved, title, context.group) if logs else []
    samples, table = SamplesRead(), MetricsTable(folder.metrics)
    checkpoint = LastCheckpoint(folder.checkpoint, settings, config.save_every)
    keep = observers is not None and max((one.keeps_epochs for one in observers.observers.values()), default=0)
    every = [
        # Observers log metrics, so they come before the table; the checkpoint comes after all whose state it holds.
        *(RankStates(), *([observers] if observers is not None else []), *callbacks, samples, table, checkpoint),
        *([KeepEpochs(checkpoint, keep)] if keep else []),
        *([CompileParts()] if config.hardware.compile else []),
        *([Throughput()] if loggers else []),
        Announcement(title, partial(describe, context, data, facts), context.said),
        *(ThroughputTable(folder.path / "throughput.csv"), RecordTest(folder.path)),
        *progress_callbacks(title),
        StopOnSignal(checkpoint),
    ]
    resume = bool(config.resume)
    while True:
        trainer = build_trainer(
            config.hardware,
            folder,
            epochs=epochs,
            callbacks=every,
            loggers=loggers,
            log_every=config.logger.every_n_steps,
            grad_clip=grad_clip,
            accumulate=accumulate,
            validate_at_end=validate_at_end,
            unused_weights=not getattr(getattr(module, "network", None), "reads_all_inputs", True),
            debug=config.debug,
        )
        _print_joint_batch(trainer, data, title)
        fit(trainer, module, data, folder, resume, settings)
        if observers is None or observers.pending is None:
            if observers is not None:
                _take_earlier(trainer, folder, observers, title)
            return Fitted(trainer, table.rows, table.last, samples.samples, sum(row["seconds"] for row in table.rows))
        if trainer.is_global_zero:
            print(f"{title}: back to epoch {observers.pending.epoch + 1}, with {observers.pending.changes}", flush=True)
            observers.roll_back(folder.checkpoint)
        trainer.strategy.barrier("roll-back")
        resume = True


def _take_earlier(trainer: pl.Trainer, folder: RunFolder, observers: RunObservers, title: str) -> None:
    """Where an observer has ended a search, say so and keep the state of the epoch that it takes."""
    if observers.stopped is not None and trainer.is_global_zero:
        ended, taken = trainer.current_epoch, observers.stopped.epoch + 1
        print(f"{title}: ended early after epoch {ended}; the cell is that of epoch {taken}", flush=True)
        observers.keep_taken(folder)
    trainer.strategy.barrier("taken")


def _print_joint_batch(trainer: pl.Trainer, data: Any, title: str) -> None:
    """Print what a step sees: batch sizes are per process, and nothing is scaled by their number."""
    processes, batch = trainer.world_size, data.loading.batch_size
    if processes > 1 and trainer.is_global_zero:
        print(
            f"{title}: {processes} processes x {batch} = {processes * batch} samples per step; "
            "learning rates are not rescaled",
            flush=True,
        )


def write_result(trainer: pl.Trainer, folder: RunFolder, genotype: Genotype, summary: Summary) -> None:
    """Write genotype, drawings and summary, on one rank."""
    if trainer.is_global_zero:
        folder.write_genotype(genotype)
        save_cells(genotype, folder.path)
        folder.write_summary(summary)
        log_summary(trainer.loggers, summary)
