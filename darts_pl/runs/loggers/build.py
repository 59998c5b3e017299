"""The loggers that a configuration names, from opening to closing."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from pytorch_lightning.loggers import Logger

from darts_pl.config import Config
from darts_pl.records.folder import RunFolder, Summary
from darts_pl.runs.loggers import tensorboard
from darts_pl.runs.loggers.guarded import GuardedLogger, Sink
from darts_pl.runs.loggers.lightning_loggers import CometSink, MlflowSink, require_extra
from darts_pl.runs.loggers.weights_and_biases import Labels, WandbSink, check_environment

#: Seconds that writing the last records of TensorBoard may take.
TENSORBOARD_TIMEOUT = 60.0

_open: list[GuardedLogger] = []


def build_loggers(
    config: Config, folder: RunFolder, resolved: Mapping[str, Any], title: str, group: str | None = None
) -> list[Logger]:
    """The loggers that `logger` names. Loggers of an earlier run in this process are closed first.

    Args:
        config: typed and validated.
        folder: of the run.
        resolved: the whole configuration, stored with the run.
        title: what the run does: "search", "retrain", ...
        group: what it is a part of; None = the sweep or the command that Hydra names, where there are several runs.

    Raises:
        UserError: if one of them is not installed, or the environment asks W&B for a mode that it does not have.
    """
    finish_loggers(0)
    wandb, path = config.logger.wandb, folder.path
    if config.logger.tensorboard is not None:
        require_extra("tensorboard")
        open_sink: Callable[[], Sink] = partial(tensorboard.TensorBoardSink, path, resolved)
        _open.append(GuardedLogger("TensorBoard", open_sink, path, TENSORBOARD_TIMEOUT))
    labels, resume = _labels(config, title, group), bool(config.resume)
    if config.logger.mlflow is not None:
        require_extra("mlflow")
        open_sink = partial(MlflowSink, config.logger.mlflow, path, resolved, labels, resume=resume)
        _open.append(GuardedLogger("MLflow", open_sink, path, 2 * config.logger.mlflow.timeout))
    if config.logger.comet is not None:
        require_extra("comet")
        open_sink = partial(CometSink, config.logger.comet, path, resolved, labels, resume=resume)
        _open.append(GuardedLogger("Comet", open_sink, path, 2 * config.logger.comet.timeout))
    if wandb is not None:
        check_environment()
        open_sink = partial(WandbSink, wandb, path, resolved, labels, resume=resume)
        # Twice the timeout: at the end of a short run, opening may still be in progress.
        _open.append(GuardedLogger("W&B", open_sink, path, 2 * wandb.timeout))
    return list(_open)


def finish_loggers(exit_code: int) -> None:
    """Close all open loggers: exit code 0 is shown as finished, any other as failed.

    Otherwise the next run of the same process (a retraining after a search, the next job of a sweep) would find
    them open.
    """
    while _open:
        _open.pop().finish(exit_code)


def log_summary(loggers: Sequence[Logger], summary: Summary) -> None:
    """Give the summary of a run to its loggers."""
    for logger in loggers:
        if isinstance(logger, GuardedLogger):
            logger.log_summary(summary)


def log_csv(loggers: Sequence[Logger], key: str, text: str) -> None:
    """Give a table to the loggers of a run.

    Args:
        loggers: of a run.
        key: name of the table.
        text: comma-separated values, the headings first. An empty cell becomes None, and a column of numbers holds
            numbers.
    """
    headings, *rows = csv.reader(io.StringIO(text))
    columns = [_typed(column) for column in zip(*rows, strict=True)]
    for logger in loggers:
        if isinstance(logger, GuardedLogger):
            logger.log_table(key, headings, [list(row) for row in zip(*columns, strict=True)], 0)


def _typed(column: Sequence[str]) -> list[Any]:
    """The cells of a column as numbers, where all that are not empty are numbers."""
    try:
        return [float(cell) if cell else None for cell in column]
    except ValueError:
        return [cell or None for cell in column]


def _labels(config: Config, title: str, group: str | None) -> Labels:
    if group is not None:
        return _labels_of_part(config, title, group)
    tags, searches = _tags(config, title), title == "search"
    hydra = HydraConfig.get() if HydraConfig.initialized() else None
    several = config.task.name == "search_and_retrain"
    part = title if several and not searches else None
    if hydra is not None and hydra.mode == RunMode.MULTIRUN:  # the folder of a job is named after its overrides
        job = _name(hydra.runtime.output_dir)
        return Labels(f"{title} {job}", _name(hydra.sweep.dir), title, tags, f"{part}-{job}" if part else job)
    group = _name(hydra.runtime.output_dir) if hydra is not None and several else None
    return Labels(_title(config, title, tags), group, title, tags, part)


def _labels_of_part(config: Config, title: str, group: str) -> Labels:
    """Of a run that belongs to others: a part of a protocol, the protocol itself, the table of several runs."""
    if title == "collect":
        return Labels(f"{title} {group}", group, title, ())
    tags, kind = _tags(config, title), title.split()[0]
    part = None if kind == "protocol" else f"{title} {config.seed}".replace(" ", "-")
    return Labels(_title(config, title, tags), group, kind, tags, part)


def _title(config: Config, title: str, tags: Sequence[str]) -> str:
    return " ".join([title, *tags, f"seed={config.seed}"])


def _tags(config: Config, title: str) -> tuple[str, ...]:
    if config.task.name in ("strategy", "random"):
        return (config.search.space, config.strategy.name, config.evaluator.name)
    if title in ("search", "protocol"):
        return (config.search.space, config.order.name, config.data.name)
    return (config.train.network, config.data.name)


def _name(folder: str) -> str:
    return Path(folder).name
