"""From a configuration to a finished run and its last lines on screen."""

from __future__ import annotations

import signal
from datetime import datetime
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from darts_pl.config import Config
from darts_pl.errors import UserError
from darts_pl.genotype import parse
from darts_pl.interruption import Interrupted
from darts_pl.records import RunFolder
from darts_pl.records.folder import Summary
from darts_pl.report import cell_text
from darts_pl.runs import finish_loggers, is_rank_zero
from darts_pl.runs.child_processes import end_children
from darts_pl.tasks.collect import collect
from darts_pl.tasks.correlate import CorrelateSettings, correlate
from darts_pl.tasks.declarations.registry import (
    TASKS,
    RandomTaskSettings,
    ReportedTaskSettings,
    SearchAndRetrainSettings,
    SearchTaskSettings,
    TaskSettings,
)
from darts_pl.tasks.derive import derive
from darts_pl.tasks.draw import draw
from darts_pl.tasks.execution.context import Context
from darts_pl.tasks.execution.ending import finish_report
from darts_pl.tasks.execution.scores import shown
from darts_pl.tasks.export import export
from darts_pl.tasks.figures import figures
from darts_pl.tasks.latency import LatencySettings, latency
from darts_pl.tasks.lookup import LookupSettings, lookup
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
TASKS.add("export", export, settings=TaskSettings)
TASKS.add("zoo", zoo, settings=TaskSettings)
TASKS.add("collect", collect, settings=ReportedTaskSettings)
TASKS.add("correlate", correlate, settings=CorrelateSettings)
TASKS.add("protocol", protocol, settings=ProtocolSettings)
TASKS.add("lookup", lookup, settings=LookupSettings)
TASKS.add("latency", latency, settings=LatencySettings)
TASKS.add("strategy", strategy, settings=ReportedTaskSettings)
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
    context, started = Context(config, resolved, folder), datetime.now()
    try:
        summary = TASKS.get(config.task.name)(context)
    except BaseException as error:
        end_children()
        finish_loggers(_exit_status(error))
        finish_report(context, started, error)
        raise
    finish_loggers(0)
    written = finish_report(context, started)
    if is_rank_zero():
        _print_summary(summary, folder, written)
    return _objective(summary, config.task.objective or "")


def _exit_status(error: BaseException) -> int:
    """What a single run that ends with this error exits with."""
    if isinstance(error, Interrupted):
        return error.exit_status
    if isinstance(error, KeyboardInterrupt):
        return 128 + signal.SIGINT
    return 2 if isinstance(error, UserError) else 1


def _objective(summary: Summary, name: str) -> float | None:
    """What a sweep maximises; for text, which has no accuracy, a perplexity with a minus sign.

    A trained language model has a perplexity of the valid split, which then replaces that of the test split.
    """
    perplexities = ["retrain/best_valid_perplexity"] if name.startswith("test/") else []
    perplexities.append(name.replace("accuracy", "perplexity"))
    for candidate, sign in ((name, 1), *((perplexity, -1) for perplexity in perplexities)):
        value = summary.get(candidate)
        if isinstance(value, float):
            return sign * value
    return None


def _print_summary(summary: Summary, folder: RunFolder, written: Path | None) -> None:
    genotype = summary.get("genotype")
    print()
    if isinstance(genotype, str):
        print(cell_text(parse(genotype)))
        print()
    lines = list(shown(summary))
    if genotype is not None:
        lines.append(("genotype", str(genotype)))
    lines.append(("folder", _shown(folder.path)))
    if written is not None or "report" in summary:
        lines.append(("report", str(summary["report"]) if written is None else _shown(written)))
    width = max(len(label) for label, _ in lines) + 2
    for label, value in lines:
        print(f"{label:<{width}}{value}")
    if "random/conclusion" in summary:
        print(f"\n{summary['random/conclusion']}")


def _shown(path: Path) -> str:
    """A path as the user would type it."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
