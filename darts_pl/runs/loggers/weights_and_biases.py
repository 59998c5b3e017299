"""Weights & Biases, by Lightning's logger."""

from __future__ import annotations

import logging
import os
import secrets
import string
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pytorch_lightning.loggers import WandbLogger

from darts_pl import atomic
from darts_pl.records.folder import Summary
from darts_pl.runs.loggers.settings import WandbSettings

_log = logging.getLogger(__name__)

#: Seconds that W&B may take to write the last records.
LAST_RECORDS = 5.0


@dataclass(frozen=True)
class Labels:
    """How a run is found among others.

    Args:
        name: of the run.
        group: what it belongs to, such as a sweep.
        job_type: "search", "retrain", ...
        tags: such as search space, order and data.
    """

    name: str
    group: str | None
    job_type: str
    tags: tuple[str, ...]


class WandbSink:
    """A W&B run.

    Its id stands in the run's folder: a continued run goes on in the same W&B run. Offline that is
    a second folder with the same id, which `wandb sync` joins to the first.

    Args:
        config: of the logger group.
        folder: of the run.
        resolved: the whole configuration, uploaded.
        labels: of the run.
        resume: whether a run whose id is in the folder goes on.
    """

    def __init__(
        self, config: WandbSettings, folder: Path, resolved: Mapping[str, Any], labels: Labels, *, resume: bool
    ) -> None:
        import wandb  # takes a second, which only its users should wait

        folder.mkdir(parents=True, exist_ok=True)
        arguments: dict[str, Any] = {
            "project": config.project,
            "entity": config.entity,
            "dir": folder,
            "id": _run_id(folder / "wandb" / "id", resume),
            "name": labels.name[:128],  # W&B takes no longer ones, nor tags longer than 64
            "group": labels.group,
            "job_type": labels.job_type,
            "tags": [tag[:64] for tag in labels.tags],
            "config": dict(resolved),
            "resume": "allow",
            # Not the run of the process: the next job of a sweep must not find this one open.
            "reinit": "create_new",
        }
        mode = _mode(config)
        try:
            self._open(arguments, mode, config.timeout)
        except Exception as error:
            if mode != "online":
                raise
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            _log.warning("W&B: %.300s; kept offline in %s, wandb sync uploads it", reason, folder / "wandb")
            wandb.teardown()  # it still holds the id
            self._open(arguments, "offline", config.timeout)

    def log_metrics(self, metrics: Mapping[str, float], step: int | None) -> None:
        """Numbers by name; the step is the batch."""
        self._logger.log_metrics(metrics, step)

    def log_image(self, key: str, image: np.ndarray, step: int) -> None:
        """An image [height, width, 3] in uint8."""
        self._logger.log_image(key, [image], step)

    def log_table(self, key: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], step: int) -> None:
        """A table, in place of the one that `key` named before."""
        self._logger.log_table(key, list(columns), [list(row) for row in rows], step=step)

    def log_summary(self, summary: Summary) -> None:
        """Into the run's summary."""
        self._run.summary.update(summary)

    def close(self, exit_code: int) -> None:
        """Finish the run; any code but 0 shows as failed."""
        log = Path(self._run.settings.sync_file)
        before = _size(log)
        self._run.finish(exit_code=exit_code)
        _wait_until_written(log, before)

    def _open(self, arguments: Mapping[str, Any], mode: str, timeout: float) -> None:
        import wandb

        settings = wandb.Settings(silent=True, console="off")
        if mode == "online":  # what is not uploaded in time stays on the disk; offline it must get there first
            settings.init_timeout = settings.finish_timeout = timeout
        self._run = wandb.init(**arguments, mode=mode, settings=settings)  # type: ignore[arg-type]  # W&B checks it
        self._run.define_metric("trainer/global_step")
        self._run.define_metric("*", step_metric="trainer/global_step", step_sync=True)
        self._logger = WandbLogger(experiment=self._run)


def _mode(config: WandbSettings) -> str:
    """The environment's mode, else the configured one, else online for who is logged in."""
    import wandb

    asked = os.environ.get("WANDB_MODE") or config.mode
    if asked not in (None, "online"):
        return asked
    if wandb.login(prompt=False, verify=False):
        return "online"
    if asked == "online":
        _log.warning("W&B: nobody is logged in, so it stays offline; `wandb login` changes that")
    return "offline"


def _wait_until_written(log: Path, before: int) -> None:
    """Wait for the last records of a run, which W&B 0.31 writes shortly after `finish` returned.

    A program that ends before them, and W&B's process with it, loses them, of a short run all.

    Args:
        log: file of the records.
        before: its size before `finish`.
    """
    deadline, sizes = time.monotonic() + LAST_RECORDS, [before]
    while log.is_file() and time.monotonic() < deadline:
        time.sleep(0.02)
        sizes = [*sizes[-4:], _size(log)]
        if sizes[0] > before and sizes[0] == sizes[-1]:  # it grew, and no more in 0.1 s
            return


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _run_id(path: Path, resume: bool) -> str:
    """The id in the file, or a new one, which is then written there."""
    if resume and path.is_file():
        return path.read_text(encoding="utf-8").strip()
    new = "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(8))
    atomic.write(path, new + "\n")
    return new
