"""One job of a sweep: run it unless it is done, and record how it ended."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from darts_pl import atomic
from darts_pl.sweeps.ranks import refuse_own_processes
from darts_pl.sweeps.start import JOBS

if TYPE_CHECKING:
    from darts_pl.runs.job_record import JobRecord


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
    from darts_pl.runs import is_rank_zero  # here, so that --help and tab completion stay quick
    from darts_pl.runs.job_record import FINISHED, JobRecord, read_record, read_summary

    hydra = HydraConfig.get()
    folder = Path(hydra.runtime.output_dir)
    overrides = [override for override in hydra.overrides.task if not override.startswith("resume=")]
    record = JobRecord(int(hydra.job.num), overrides)
    title = f"\njob {record.number}  {' '.join(overrides)}"
    if is_rank_zero():
        _point_to(folder, Path(hydra.sweep.dir), record.number)
    try:
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
    from darts_pl.runs.job_record import FAILED

    first = str(error).strip().partition("\n")[0]
    return replace(
        record,
        state=FAILED,
        reason=message or f"{type(error).__name__}: {first}",
        mendable=message is not None,
        details="".join(traceback.format_exception(error)),
    )


def _point_to(folder: Path, sweep: Path, number: int) -> None:
    atomic.write(sweep / JOBS / f"{number}.json", f'"{folder.name}"\n')
