"""One job of a sweep: run it unless it has finished, and record how it ended."""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from darts_pl import atomic
from darts_pl.errors import UserError
from darts_pl.records.claims.lock import holder, lock_folder
from darts_pl.records.job_record import FAILED, FINISHED, JobRecord, read_record, read_summary
from darts_pl.sweeps.gpus import take_one
from darts_pl.sweeps.hydra_callback import JOBS
from darts_pl.sweeps.ranks import processes, refuse_own_processes


def run_in_sweep(
    config: DictConfig, task: Callable[[DictConfig], float | None], user_message: Callable[[Exception], str | None]
) -> float | None:
    """Run `task` as the job that Hydra has just composed. Its errors are recorded and end this job only.

    Args:
        config: of the job.
        task: returns the objective.
        user_message: one to three lines for an error that the user can fix; None for any other.

    Returns:
        The objective; with `resume`, the stored one of a job that had finished; None if the job failed.
    """
    from darts_pl.runs import is_rank_zero  # imported here so that --help and tab completion stay quick

    hydra = HydraConfig.get()
    folder = Path(hydra.runtime.output_dir)
    overrides = [one for one in hydra.overrides.task if not one.startswith(("resume=", "overwrite="))]
    record = JobRecord(int(hydra.job.num), overrides)
    if not is_rank_zero():
        earlier = _finished_before(config, folder, OmegaConf.to_container(config, resolve=True))
        if earlier is not None:
            return earlier.objective
        refuse_own_processes(config)
        return task(config)
    try:
        with _claimed(folder, Path(hydra.sweep.dir), record.number):
            return _run(config, folder, record, task, user_message)
    except UserError as error:  # the folder is another job's
        folder = folder.with_name(f"{record.number}+{folder.name}")
        _point(folder, Path(hydra.sweep.dir), record.number)
        _failed(record, error, str(error)).write(folder)
        return None


def _run(
    config: DictConfig,
    folder: Path,
    record: JobRecord,
    task: Callable[[DictConfig], float | None],
    user_message: Callable[[Exception], str | None],
) -> float | None:
    """Run a job in its claimed folder, on rank zero. Raises nothing that a failed job may raise."""
    title = f"\njob {record.number}  {' '.join(record.overrides)}"
    try:
        settings: Any = OmegaConf.to_container(config, resolve=True)
        record = replace(record, settings=settings)
        earlier = _finished_before(config, folder, settings)
        if earlier is not None:
            print(f"{title}\nfinished before, in {folder}", flush=True)
            return earlier.objective
        print(title, flush=True)
        record.write(folder)
        refuse_own_processes(config)
        if processes(config) == (1, 1):
            take_one()
        objective = task(config)
    except Exception as error:
        _failed(record, error, user_message(error)).write(folder)
        return None
    replace(record, state=FINISHED, objective=objective).write(folder)
    return objective


def _finished_before(config: DictConfig, folder: Path, settings: Any) -> JobRecord | None:
    """The record of the same job, if `resume` asks for it and it had finished."""
    earlier = read_record(folder) if config.resume else None
    if earlier is None or earlier.state != FINISHED or not earlier.same_job(settings):
        return None
    return earlier if read_summary(folder) is not None else None


def _failed(record: JobRecord, error: Exception, message: str | None) -> JobRecord:
    first = str(error).strip().partition("\n")[0]
    return replace(
        record,
        state=FAILED,
        reason=message or f"{type(error).__name__}: {first}",
        fixable=message is not None,
        details="".join(traceback.format_exception(error)),
    )


@contextmanager
def _claimed(folder: Path, sweep: Path, number: int) -> Iterator[None]:
    """Note that the folder is this job's, and lock it while the job runs.

    Two jobs with the same folder may start at the same time: each writes its note first and then looks, and the
    lower number keeps the folder.

    Raises:
        UserError: if the folder is another job's, or another process writes to it.
    """
    name = _point(folder, sweep, number)
    earlier = [pointer for pointer in (sweep / JOBS).glob("*.json") if int(pointer.stem) < number]
    others = [int(pointer.stem) for pointer in earlier if json.loads(pointer.read_text(encoding="utf-8")) == name]
    if others:
        raise UserError(f"job {min(others)} of the sweep has the same overrides, or at least the same folder")
    lock = lock_folder(folder)
    if lock is None:
        raise UserError(f"{folder}: in use by {holder(folder)}; wait until it ends")
    try:
        yield
    finally:
        lock.release()


def _point(folder: Path, sweep: Path, number: int) -> str:
    """Write the path of this job's folder, relative to the sweep's folder, and return it."""
    name = os.path.relpath(folder, sweep)
    atomic.write(sweep / JOBS / f"{number}.json", json.dumps(name))
    return name
