"""Weights & Biases, through Lightning's logger."""

from __future__ import annotations

import logging
import os
import re
import secrets
import string
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from pytorch_lightning.loggers import WandbLogger

from darts_pl import atomic
from darts_pl.errors import UserError
from darts_pl.records.folder import Summary
from darts_pl.runs.loggers.settings import WandbSettings

_log = logging.getLogger(__name__)

#: Seconds that W&B may take to write its last records.
LAST_RECORDS = 5.0

#: What the environment variable WANDB_MODE may say; W&B reads the last two as offline and online.
MODES = ("online", "offline", "disabled", "shared", "dryrun", "run")

#: The environment variables by which a W&B agent names the run that it planned.
AGENT = ("WANDB_SWEEP_ID", "WANDB_RUN_ID", "WANDB_SWEEP_PARAM_PATH")


@dataclass(frozen=True)
class Labels:
    """How a run is found among others. W&B's environment variables override name and group, and add tags.

    Args:
        name: of the run.
        group: what it belongs to, such as a sweep.
        job_type: "search", "retrain", ...
        tags: such as search space, order and data.
        part: which part of a command it is, if the command consists of several runs and this is not the first.
    """

    name: str
    group: str | None
    job_type: str
    tags: tuple[str, ...]
    part: str | None = None

    @property
    def with_environment(self) -> Labels:
        """The labels with what ``WANDB_NAME``, ``WANDB_RUN_GROUP`` and ``WANDB_TAGS`` say."""
        name = os.environ.get("WANDB_NAME")
        if name and self.part is not None:
            name = f"{name} {self.part}"
        given = [tag.strip() for tag in os.environ.get("WANDB_TAGS", "").split(",") if tag.strip()]
        tags = tuple(dict.fromkeys([*given, *self.tags]))
        return replace(self, name=name or self.name, group=os.environ.get("WANDB_RUN_GROUP") or self.group, tags=tags)


class WandbSink:
    """A W&B run.

    Its id is in the run's folder: a resumed run continues the same W&B run. Offline that is a second folder with the
    same id, which `wandb sync` joins to the first.

    A W&B agent names project, entity and id in the environment. They then belong to the first run of the command;
    its other parts get ids of their own, made of the agent's id and the name of the part.

    Args:
        config: of the logger group.
        folder: of the run.
        resolved: the whole configuration, which is uploaded.
        labels: of the run.
        resume: whether the run whose id is in the folder is continued.
    """

    def __init__(
        self, config: WandbSettings, folder: Path, resolved: Mapping[str, Any], labels: Labels, *, resume: bool
    ) -> None:
        import wandb  # takes a second, which only its users should wait

        folder.mkdir(parents=True, exist_ok=True)
        labels = labels.with_environment
        stored = folder / "wandb" / "id"
        arguments: dict[str, Any] = {
            "project": os.environ.get("WANDB_PROJECT") or config.project,
            "entity": os.environ.get("WANDB_ENTITY") or config.entity,
            "dir": folder,
            "id": _run_id(stored, resume, labels.part),
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
        with _without_agent(labels.part is not None):
            if "WANDB_SWEEP_ID" in os.environ:  # W&B then takes these from the agent, and warns of others
                arguments |= dict.fromkeys(("project", "entity", "id"))
            try:
                self._open(arguments, mode, config.timeout)
            except Exception as error:
                if mode != "online":
                    raise
                reason = f"{type(error).__name__}: {error}".splitlines()[0]
                _log.warning("W&B: %.300s; kept offline in %s, wandb sync uploads it", reason, folder / "wandb")
                wandb.teardown()  # it still holds the id
                self._open(arguments, "offline", config.timeout)
        _say_where(self._run)
        if self._run.id:
            atomic.write(stored, f"{self._run.id}\n")

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
        """Finish the run; any exit code but 0 is shown as failed."""
        log = Path(self._run.settings.sync_file)
        before = _size(log)
        self._run.finish(exit_code=exit_code)
        _wait_until_written(log, before)

    def _open(self, arguments: Mapping[str, Any], mode: str, timeout: float) -> None:
        import wandb

        settings = wandb.Settings(silent=True, console="off")
        if mode == "online":  # records that are not uploaded in time stay on the disk
            settings.init_timeout = settings.finish_timeout = timeout
        self._run = wandb.init(**{**arguments, "mode": mode, "settings": settings})
        self._run.define_metric("trainer/global_step")
        self._run.define_metric("*", step_metric="trainer/global_step", step_sync=True)
        self._logger = WandbLogger(experiment=self._run)


def _say_where(run: Any) -> None:
    """Print whether a run is kept offline, and then which command uploads it."""
    if run.disabled:
        print("W&B: disabled, so it keeps nothing", flush=True)
    elif run.offline:
        folder = os.path.relpath(run.settings.sync_dir)
        shown = run.settings.sync_dir if folder.startswith("..") else folder
        print(f"W&B: offline; to upload the run: wandb sync {shown}", flush=True)
    else:
        print(f"W&B: online, {run.url}", flush=True)


def check_environment() -> None:
    """Raise UserError if the environment names a mode that W&B does not have."""
    asked = os.environ.get("WANDB_MODE")
    if asked and asked not in MODES:
        raise UserError(f"WANDB_MODE={asked[:40]}: must be one of {', '.join(MODES)}; change or unset this variable")


def _mode(config: WandbSettings) -> str:
    """The environment's mode, else the configured one, else online if the user is logged in."""
    import wandb

    asked = os.environ.get("WANDB_MODE") or config.mode
    if asked not in (None, "online"):
        return asked
    if wandb.login(prompt=False, verify=False):
        return "online"
    if asked == "online":
        _log.warning("W&B: not logged in, so the run stays offline; log in with `wandb login`")
    return "offline"


def _wait_until_written(log: Path, before: int) -> None:
    """Wait for the last records of a run, which W&B 0.31 writes shortly after `finish` has returned.

    A program that ends earlier ends W&B's process with it and loses these records; of a short run it loses all.

    Args:
        log: file of the records.
        before: its size before `finish`.
    """
    deadline, sizes = time.monotonic() + LAST_RECORDS, [before]
    while log.is_file() and time.monotonic() < deadline:
        time.sleep(0.02)
        sizes = [*sizes[-4:], _size(log)]
        if sizes[0] > before and sizes[0] == sizes[-1]:  # it has grown, but not in the last 0.1 s
            return


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _run_id(path: Path, resume: bool, part: str | None) -> str:
    """The id of a run: that of the environment, else with `resume` the one in the file, else a new one."""
    given = os.environ.get("WANDB_RUN_ID")
    if given:
        given = given if part is None else f"{given}-{part}"
        if re.fullmatch(r"[\w-]{1,64}", given, flags=re.ASCII):
            return given
    if resume and path.is_file():
        return path.read_text(encoding="utf-8").strip()
    return "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(8))


@contextmanager
def _without_agent(hidden: bool) -> Iterator[None]:
    """Hide the sweep of a W&B agent from `wandb.init`, which would otherwise continue the agent's run.

    Args:
        hidden: False changes nothing.
    """
    held = {
        name: os.environ[name] for name in AGENT if hidden and "WANDB_SWEEP_ID" in os.environ and name in os.environ
    }
    if held:
        import wandb

        wandb.teardown()  # it reads the environment when it is set up
    for name in held:
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(held)
