"""``time_budget=10m``: the largest search and training that fit a time, from a few timed steps on this machine."""

from __future__ import annotations

import dataclasses
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf
from pytorch_lightning.callbacks import Checkpoint

from darts_pl import atomic
from darts_pl.callbacks.progress import duration
from darts_pl.config import seconds_of
from darts_pl.errors import UserError
from darts_pl.records import RunFolder
from darts_pl.records.configuration import CONFIG
from darts_pl.runs import build_trainer, is_rank_zero
from darts_pl.tasks.execution.context import Context

#: File in a run's folder with the values that were chosen; a run that is continued reads it.
CHOSEN = "time_budget.json"
#: Fraction of the time that the epochs may take; the rest is for reading data, selection, drawings and the test.
FOR_EPOCHS = 0.85
#: Training steps that are timed, the first of which only warms up.
STEPS = 4
#: A larger network is chosen only where the time allows so many epochs of it, or all that are set.
ENOUGH_EPOCHS = 10
#: The smallest sizes that are tried, by key.
SMALLEST = {"layers": 3, "cells": 1, "init_channels": 4, "units": 32}

Measured = tuple[pl.LightningModule, pl.LightningDataModule]
Build = Callable[[Any], Measured]


@dataclass(frozen=True)
class Pace:
    """How long an epoch takes.

    Args:
        step: seconds per training step.
        epoch: seconds per epoch with its validation.
    """

    step: float
    epoch: float


def within_time(context: Context, section: str, build: Build, fraction: float = 1.0) -> Context:
    """The context with epochs and sizes in a section that fit ``time_budget``; the same context without one.

    Sizes are lowered only as far as is needed for `ENOUGH_EPOCHS`. What the command gives itself stays. The chosen
    values are said, and kept in the run's folder, so that a run that is continued has the same.

    Args:
        context: of the search or the training.
        section: "search" or "train".
        build: the module and its data for settings of that section, to be timed.
        fraction: of the time that this part of the command may take.

    Raises:
        UserError: if not even one epoch of the smallest network fits, or there are several processes.
    """
    config = context.config
    if config.time_budget is None:
        return context
    if config.hardware.devices not in (1, "1", "auto") or config.hardware.strategy == "ddp":
        raise UserError(f"time_budget={config.time_budget}: is measured in one process; use hardware.devices=1")
    settings = getattr(config, section)
    kept = _kept(context.folder) if config.resume else {}
    chosen = kept.get(section)
    if chosen is None:
        chosen = _choose(context, section, settings, build, fraction * seconds_of(config.time_budget))
        _keep(context.folder, kept | {section: chosen})
    return _with_values(context, section, chosen)


def _choose(context: Context, section: str, settings: Any, build: Build, seconds: float) -> dict[str, int]:
    budget = str(context.config.time_budget)
    started = time.monotonic()
    given = {one.lstrip("+").partition("=")[0] for one in HydraConfig.get().overrides.task}
    fixed = {key.partition(".")[2] for key in given if key.startswith(f"{section}.")}
    sizes = list(_sizes(settings, fixed))
    wanted = settings.epochs
    least = wanted if "epochs" in fixed else min(ENOUGH_EPOCHS, wanted)
    smallest = sizes[-1]
    pace = _measure(context, build, dataclasses.replace(settings, **smallest))
    chosen, scale = smallest, pace.epoch / _cost(smallest)
    for candidate in sizes[:-1]:
        left = FOR_EPOCHS * seconds - (time.monotonic() - started)
        if scale * _cost(candidate) * least > left:
            continue
        found = _measure(context, build, dataclasses.replace(settings, **candidate))
        if found.epoch * least <= FOR_EPOCHS * seconds - (time.monotonic() - started):
            chosen, pace = candidate, found
            break
        scale = max(scale, found.epoch / _cost(candidate))
    left = FOR_EPOCHS * seconds - (time.monotonic() - started)
    epochs = min(int(left / pace.epoch), wanted)
    if epochs < (wanted if "epochs" in fixed else 1):
        needed = (pace.epoch * max(least if "epochs" in fixed else 1, 1) + time.monotonic() - started) / FOR_EPOCHS
        raise UserError(
            f"time_budget={budget}: too short; the smallest network takes {duration(pace.epoch)} "
            f"per epoch: give about {duration(needed * seconds_of(budget) / seconds)} or more"
        )
    result = {**chosen, "epochs": epochs}
    if is_rank_zero():
        values = " ".join(f"{section}.{key}={value}" for key, value in result.items())
        print(
            f"time_budget={budget}: {values} ({pace.step:.2g} s per step, about {duration(pace.epoch * epochs)})",
            flush=True,
        )
    return result


def _sizes(settings: Any, fixed: set[str]) -> Iterator[dict[str, int]]:
    """Sizes from those that are set down to the smallest, each with a lower cost than the one before."""
    keys = [key for key in SMALLEST if hasattr(settings, key)]
    if getattr(settings, "reductions", None) is not None:  # they name cells
        fixed = fixed | {"layers"}
    now = {key: int(getattr(settings, key)) for key in keys}
    free = [key for key in keys if key not in fixed and now[key] > SMALLEST[key]]
    while True:
        yield dict(now)
        free = [key for key in free if now[key] > SMALLEST[key]]
        if not free:
            return
        largest = max(free, key=lambda key: now[key] / SMALLEST[key])
        now[largest] = max(
            now[largest] * 2 // 3 // 2 * 2 if largest != "layers" else now[largest] - 1, SMALLEST[largest]
        )


def _cost(sizes: Mapping[str, int]) -> float:
    """What the time of a step is at least in proportion to; larger networks are then timed before they are chosen."""
    return float(sizes.get("layers", sizes.get("cells", 1)) * sizes.get("init_channels", sizes.get("units", 1)))


class _Stopwatch(Checkpoint):
    """The seconds of training steps and of validation steps. As a `Checkpoint`, it keeps Lightning from saving one."""

    def __init__(self) -> None:
        self.train: list[float] = []
        self.valid: list[float] = []
        self._last = 0.0

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._last = time.monotonic()

    def on_train_batch_end(self, *arguments: Any, **others: Any) -> None:
        now = time.monotonic()  # with the reading of the batch
        self.train.append(now - self._last)
        self._last = now

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._last = time.monotonic()

    def on_validation_batch_end(self, *arguments: Any, **others: Any) -> None:
        now = time.monotonic()
        self.valid.append(now - self._last)
        self._last = now


def _measure(context: Context, build: Build, settings: Any) -> Pace:
    """The pace of a module, from a few steps in a folder that is then removed."""
    config = context.config
    module, data = build(settings)
    watch = _Stopwatch()
    with tempfile.TemporaryDirectory() as folder:
        trainer = build_trainer(config.hardware, RunFolder(Path(folder)), epochs=1, callbacks=[watch])
        trainer.limit_train_batches, trainer.limit_val_batches = STEPS, 1
        trainer.fit(module, datamodule=data)
        steps, valid_steps = len(data.train_dataloader()), _valid_steps(data)
        data.teardown("fit")
    timed = sorted(watch.train[1:] or watch.train)
    step = timed[len(timed) // 2]
    valid = watch.valid[0] * valid_steps if watch.valid else 0.0
    return Pace(step, step * steps + valid)


def _valid_steps(data: Any) -> int:
    try:
        return len(data.val_dataloader())
    except Exception:  # Lightning raises its own where a module has none
        return 0


def _kept(folder: RunFolder) -> dict[str, Any]:
    try:
        found = json.loads((folder.path / CHOSEN).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _keep(folder: RunFolder, values: Mapping[str, Any]) -> None:
    if is_rank_zero():
        atomic.write(folder.path / CHOSEN, json.dumps(values, indent=2) + "\n")


def _with_values(context: Context, section: str, values: Mapping[str, int]) -> Context:
    """The context with these values in a section, also in the configuration that Hydra left in the folder."""
    config = copy(context.config)
    settings = getattr(config, section)
    changed = dict(values)
    if getattr(settings, "warmup_epochs", 0) > values["epochs"]:
        changed["warmup_epochs"] = values["epochs"]
    config.sections = {**config.sections, section: dataclasses.replace(settings, **changed)}
    resolved = {**context.resolved, section: {**context.resolved[section], **changed}}
    for folder in (context.folder.path, context.folder.path.parent):
        if is_rank_zero() and (folder / CONFIG).is_file():
            stored = OmegaConf.load(folder / CONFIG)
            for key, value in changed.items():
                OmegaConf.update(stored, f"{section}.{key}", value)
            atomic.write(folder / CONFIG, OmegaConf.to_yaml(stored))
            break
    return dataclasses.replace(context, config=config, resolved=resolved)
