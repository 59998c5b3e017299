"""The loggers that a configuration names, from opening to closing."""

from __future__ import annotations

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


def build_loggers(config: Config, folder: RunFolder, resolved: Mapping[str, Any], title: str) -> list[Logger]:
    """The loggers that `logger` names. Loggers of an earlier run in this process are closed first.

    Args:
        config: typed and validated.
        folder: of the run.
        resolved: the whole configuration, stored with the run.
        title: what the run does: "search", "retrain", ...

    Raises:
        UserError: if one of them is not installed, or the environment asks W&B for a mode that it does not have.
    """
    finish_loggers(0)
    wandb, path = config.logger.wandb, folder.path
    if config.logger.tensorboard is not None:
        require_extra("tensorboard")
        open_sink: Callable[[], Sink] = partial(tensorboard.TensorBoardSink, path, resolved)
        _open.append(GuardedLogger("TensorBoard", open_sink, path, TENSORBOARD_TIMEOUT))
    labels, resume = _labels(config, title), bool(config.resume)
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


def _labels(config: Config, title: str) -> Labels:
    data = config.data.name
    searches = title == "search"
    tags: tuple[str, ...] = (config.search.space, config.order.name, data) if searches else (config.train.network, data)
    if config.task.name in ("strategy", "random"):
        tags = (config.search.space, config.strategy.name, config.evaluator.name)
    hydra = HydraConfig.get() if HydraConfig.initialized() else None
    several = config.task.name == "search_and_retrain"
    part = title if several and not searches else None
    if hydra is not None and hydra.mode == RunMode.MULTIRUN:  # the folder of a job is named after its overrides
        job = _name(hydra.runtime.output_dir)
        return Labels(f"{title} {job}", _name(hydra.sweep.dir), title, tags, f"{part}-{job}" if part else job)
    group = _name(hydra.runtime.output_dir) if hydra is not None and several else None
    return Labels(" ".join([title, *tags, f"seed={config.seed}"]), group, title, tags, part)


def _name(folder: str) -> str:
    return Path(folder).name
