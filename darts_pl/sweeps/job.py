"""One job of a sweep: run it unless it is done, and record how it ended."""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from darts_pl import atomic
from darts_pl.errors import UserError
from darts_pl.sweeps.gpus import take_one
from darts_pl.sweeps.hydra_callback import JOBS
from darts_pl.sweeps.ranks import processes, refuse_own_processes

if TYPE_CHECKING:
    from darts_pl.records.job_record import JobRecord


def run_in_sweep(
    config: DictConfig, task: Callable[[DictConfig], float | None], mendable: Callable[[Exception], str | None]
) -> float | None:
    """Run `task` as the job that Hydra has just composed; what it raises is recorded, and ends this job only.

    Args:
        config: of the job.
        task: returns the objective.
        mendable: one to three lines for an error that the user can mend; None for any other.

    Returns:
        The objective: stored by an earlier run, if the job had finished and `resume` is true; None if it failed.
    """
    from darts_pl.records.job_record import FINISHED, JobRecord, read_record, read_summary
    from darts_pl.runs import is_rank_zero  # here, so that --help and tab completion stay quick

    hydra = HydraConfig.get()
    folder = Path(hydra.runtime.output_dir)
    overrides = [override for override in hydra.overrides.task if not override.startswith("resume=")]
    record = JobRecord(int(hydra.job.num), overrides)
    title = f"\njob {record.number}  {' '.join(overrides)}"
    try:
        if is_rank_zero() and (other := _claim(folder, Path(hydra.sweep.dir), record.number)) is not None:
            folder = folder.with_name(f"{record.number}+{folder.name}")
            _point(folder, Path(hydra.sweep.dir), record.number)
            raise UserError(f"job {other} of the sweep has the same overrides, or at least the same folder")
        settings: Any = OmegaConf.to_container(config, resolve=True)
        record = replace(record, settings=settings)
        earlier = read_record(folder) if config.resume else None
        if earlier is not None and earlier.state == FINISHED and earlier.same_job(settings) and read_summary(folder):
            if is_rank_zero():
                print(f"{title}\nfinished before, in {folder}", flush=True)
            return earlier.objective
        if is_rank_zero():
            print(title, flush=True)
            record.write(folder)
        refuse_own_processes(config)
        if processes(config) == (1, 1):
            take_one()
        objective = task(config)
    except Exception as error:
        if not is_rank_zero():
            raise
        _failed(record, error, mendable(error)).write(folder)
        return None
    if is_rank_zero():
        replace(record, state=FINISHED, objective=objective).write(folder)
    return objective


def _failed(record: JobRecord, error: Exception, message: str | None) -> JobRecord:
    from darts_pl.records.job_record import FAILED

    first = str(error).strip().partition("\n")[0]
    return replace(
        record,
        state=FAILED,
        reason=message or f"{type(error).__name__}: {first}",
        mendable=message is not None,
        details="".join(traceback.format_exception(error)),
    )


def _claim(folder: Path, sweep: Path, number: int) -> int | None:
    """Note that the folder is this job's; returns the number of the job that it belongs to already, if to any.

    Both may be starting at the same time: each notes first and looks then, and the lower number stays.
    """
    name = _point(folder, sweep, number)
    earlier = [pointer for pointer in (sweep / JOBS).glob("*.json") if int(pointer.stem) < number]
    others = [int(pointer.stem) for pointer in earlier if json.loads(pointer.read_text(encoding="utf-8")) == name]
    return min(others, default=None)


def _point(folder: Path, sweep: Path, number: int) -> str:
    """Write where this job is to be found, seen from the sweep's folder; returns it."""
    name = os.path.relpath(folder, sweep)
    atomic.write(sweep / JOBS / f"{number}.json", json.dumps(name))
    return name
