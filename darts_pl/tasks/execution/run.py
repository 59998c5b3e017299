"""From a configuration to a finished run and its last lines on screen."""

from __future__ import annotations

import signal
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from darts_pl.callbacks.screen.lines import paragraph
from darts_pl.config import Config
from darts_pl.errors import UserError
from darts_pl.interruption import Interrupted
from darts_pl.records import RunFolder
from darts_pl.records.best import objective_of
from darts_pl.records.folder import Summary
from darts_pl.runs import finish_loggers, is_rank_zero
from darts_pl.runs.child_processes import end_children
from darts_pl.tasks.collect import collect
from darts_pl.tasks.correlation import CorrelateSettings, correlate
from darts_pl.tasks.declarations.registry import (
    TASKS,
    EvaluateTaskSettings,
    RandomTaskSettings,
    ReportedTaskSettings,
    SearchAndRetrainSettings,
    SearchTaskSettings,
    StrategyTaskSettings,
    TaskSettings,
)
from darts_pl.tasks.derive import derive
from darts_pl.tasks.draw import draw
from darts_pl.tasks.evaluate import evaluate
from darts_pl.tasks.execution.context import Context
from darts_pl.tasks.execution.ending import finish, finish_stopped
from darts_pl.tasks.export import ExportSettings, export
from darts_pl.tasks.figures import figures
from darts_pl.tasks.latency import LatencySettings, latency
from darts_pl.tasks.lookup import LookupSettings, lookup
from darts_pl.tasks.predict import PredictSettings, predict
from darts_pl.tasks.protocol import ProtocolSettings, protocol
from darts_pl.tasks.report import report
from darts_pl.tasks.retrain import retrain
from darts_pl.tasks.search import search
from darts_pl.tasks.search_and_retrain import search_and_retrain
from darts_pl.tasks.strategy import strategy
from darts_pl.tasks.test import test
from darts_pl.tasks.zoo import zoo

TASKS.add("search", search, settings=SearchTaskSettings)
TASKS.add("derive", derive, settings=ReportedTaskSettings)
TASKS.add("retrain", retrain, settings=ReportedTaskSettings)
TASKS.add("search_and_retrain", search_and_retrain, settings=SearchAndRetrainSettings)
TASKS.add("test", test, settings=ReportedTaskSettings)
TASKS.add("export", export, settings=ExportSettings)
TASKS.add("predict", predict, settings=PredictSettings)
TASKS.add("zoo", zoo, settings=TaskSettings)
TASKS.add("collect", collect, settings=ReportedTaskSettings)
TASKS.add("correlate", correlate, settings=CorrelateSettings)
TASKS.add("protocol", protocol, settings=ProtocolSettings)
TASKS.add("lookup", lookup, settings=LookupSettings)
TASKS.add("latency", latency, settings=LatencySettings)
TASKS.add("strategy", strategy, settings=StrategyTaskSettings)
TASKS.add("evaluate", evaluate, settings=EvaluateTaskSettings)
TASKS.add("random", strategy, settings=RandomTaskSettings)
TASKS.add("report", report, settings=TaskSettings)
TASKS.add("figures", figures, settings=TaskSettings)
TASKS.add("draw", draw, settings=TaskSettings)


def run_task(config: Config, composed: DictConfig) -> float | None:
    """Run the task that `config` names, print what it found, and return the sweep's objective.

    Args:
        config: typed and validated.
        composed: the same as Hydra composed it.

    Raises:
        UserError: if the task is unknown or the command is invalid in another way.
    """
    folder = RunFolder(Path(HydraConfig.get().runtime.output_dir))
    resolved: Any = OmegaConf.to_container(composed, resolve=True)
    print_preset(config)
    return run_and_show(Context(config, resolved, folder), TASKS.get(config.task.name))


def run_and_show(context: Context, task: Callable[[Context], Summary]) -> float | None:
    """Run a task, print what it found, and return the sweep's objective.

    Args:
        context: of the command.
        task: returns the summary.
    """
    config = context.config
    started = datetime.now()
    try:
        summary = task(context)
    except BaseException as error:
        end_children()
        finish_loggers(_exit_status(error))
        if is_rank_zero():
            finish_stopped(context, started, error)
        raise
    finish_loggers(0)
    if is_rank_zero():
        finish(context, summary, started)
    return objective_of(summary, config.task.objective or "")


#: The values of a preset that its line shows, by section, where the section has them.
PRESET_VALUES = {
    "data": ("size",),
    "search": ("layers", "units", "init_channels", "epochs", "batch_size"),
    "train": ("layers", "units", "init_channels", "epochs", "batch_size"),
}


def print_preset(config: Config) -> None:
    """Print the values that a preset chose, or the command in its place, as they can be given; nothing without one."""
    if config.preset in (None, "none") or not is_rank_zero():
        return
    unused = {"search": not config.task.runs_search, "train": config.task.name == "search"}
    batches = {"search": config.search_batch_size, "train": config.train_batch_size}
    values = " ".join(
        f"{section}.{key}={batches[section] if key == 'batch_size' else getattr(config.sections[section], key)}"
        for section, keys in PRESET_VALUES.items()
        for key in keys
        if hasattr(config.sections[section], key) and not unused.get(section)
    )
    print(paragraph(f"preset={config.preset}: ", values), flush=True)


def _exit_status(error: BaseException) -> int:
    """What a single run that ends with this error exits with."""
    if isinstance(error, Interrupted):
        return error.exit_status
    if isinstance(error, KeyboardInterrupt):
        return 128 + signal.SIGINT
    return 2 if isinstance(error, UserError) else 1
