"""What a run leaves for its report when it ends, whichever way."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

import torch

from darts_pl import __version__
from darts_pl.interruption import Interrupted
from darts_pl.latency.networks import device_name
from darts_pl.records import FAILED, FINISHED
from darts_pl.records.contents import holds_run
from darts_pl.records.run_record import INTERRUPTED, RunRecord, installed_versions, local_time
from darts_pl.runs import is_rank_zero
from darts_pl.tasks.execution.context import Context
from darts_pl.tasks.execution.reporting import write_report

#: Files of which a run writes one or more as soon as it has begun.
WRITTEN = ("alphas.npz", "metrics.csv", "history.jsonl", "selection.json", "last.ckpt")


def finish_report(context: Context, started: datetime, error: BaseException | None = None) -> Path | None:
    """Write `run.json` and `report.html`, on one rank; returns the path of the report.

    Nothing is written where a failed command left nothing of a run, as one that is refused: the folder may hold a
    run of another command. After an interruption, whose time is short, only `run.json` is written.

    Args:
        context: of the task.
        started: when it began.
        error: what ended it; None where it finished.
    """
    folder = context.folder.path
    if not is_rank_zero() or not context.config.task.writes_report:
        return None
    if error is not None and not (holds_run(folder) and _has_run(folder, started)):
        return None
    interrupted = isinstance(error, (Interrupted, KeyboardInterrupt))
    try:
        RunRecord(
            state=FINISHED if error is None else INTERRUPTED if interrupted else FAILED,
            reason="" if error is None else _reason(error),
            started=local_time(started),
            ended=local_time(),
            device=_device(context),
            processes=int(os.environ.get("WORLD_SIZE", "1")),
            versions=installed_versions(darts_pl=__version__),
        ).write(folder)
    except OSError as failure:  # such as a full disk, which the error of the run says better
        print(f"run.json was not written ({failure.strerror})", flush=True)
        return None
    return None if interrupted else write_report(folder)


def _has_run(folder: Path, since: datetime) -> bool:
    """Whether a file that a run writes while it goes on was written in its folder since then."""
    written = (path for name in WRITTEN for path in folder.rglob(name))
    return any(path.stat().st_mtime >= since.timestamp() for path in written)


def _reason(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return "; ".join(lines[:3]) or type(error).__name__


def _device(context: Context) -> str:
    hardware = context.config.hardware
    on_gpu = torch.cuda.is_available() and hardware.accelerator != "cpu"
    return device_name(torch.device("cuda" if on_gpu else "cpu"))
