"""What a sweep says at its end."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from darts_pl.sweeps.hydra_callback import JOBS

if TYPE_CHECKING:
    from darts_pl.records.job_record import JobRecord


def all_failed(sweep: Path | None) -> bool:
    """Whether every job of the sweep failed: what the sweeper raises then is a consequence of it."""
    from darts_pl.records.job_record import FAILED

    records = [] if sweep is None else _records(sweep)
    return bool(records) and all(record.state == FAILED for record in records)


def report(sweep: Path, lost: Sequence[str], show_tracebacks: bool) -> int:
    """Say how the jobs ended and return the exit status.

    Args:
        sweep: the folder of the sweep.
        lost: lines about jobs that the launcher lost.
        show_tracebacks: also of failures that the user can mend.

    Returns:
        0 if all jobs finished, 2 if the user can mend all that failed, else 1.
    """
    from darts_pl.records.job_record import FAILED, FINISHED, RUNNING

    records = _records(sweep)
    if not records and not lost:
        return 0
    by_state = {state: [record for record in records if record.state == state] for state in (FINISHED, FAILED, RUNNING)}
    failed, unfinished = by_state[FAILED], by_state[RUNNING]
    for record in failed:
        if record.details and (show_tracebacks or not record.mendable):
            print(f"\njob {record.number}\n{record.details}", file=sys.stderr, end="")
    words = {FINISHED: "finished", FAILED: "failed", RUNNING: "not finished"}
    counts = ", ".join(f"{len(found)} {words[state]}" for state, found in by_state.items() if found)
    place = _shown(sweep)
    print(f"\nsweep                  {counts or 'no job began'}")
    _print_best(sweep, records)
    print(f"folder                 {place}", flush=True)
    for record in failed:
        reason = (record.reason or "").partition("\n")[0]
        print(f"failed: job {record.number}  {' '.join(record.overrides)}: {reason}", file=sys.stderr)
    for record in unfinished:
        print(f"not finished: job {record.number}  {' '.join(record.overrides)}", file=sys.stderr)
    for line in lost:
        print(line, file=sys.stderr)
    if failed or unfinished or lost:
        print(f"the same command with hydra.sweep.dir={place} resume=true runs what is not finished", file=sys.stderr)
        if len(unfinished) > len(lost) and (sweep / ".submitit").is_dir():
            print("but jobs that submitit has started or queued may still be running: look first", file=sys.stderr)
    if unfinished or lost or not all(record.mendable for record in failed):
        return 1
    return 2 if failed else 0


def _records(sweep: Path) -> list[JobRecord]:
    """Of the jobs that the last command in this folder started, in their order."""
    from darts_pl.records.job_record import read_record

    found = []
    for pointer in (sweep / JOBS).glob("*.json"):
        record = read_record(sweep / json.loads(pointer.read_text(encoding="utf-8")))
        if record is not None:
            found.append((int(pointer.stem), record))
    return [record for _, record in sorted(found, key=lambda pair: pair[0])]


def _print_best(sweep: Path, records: list[JobRecord]) -> None:
    """What a sweeper that optimises found: the plugins leave it in a file of this name."""
    file = sweep / "optimization_results.yaml"
    if not file.is_file() or any(
        file.stat().st_mtime < pointer.stat().st_mtime for pointer in (sweep / JOBS).glob("*.json")
    ):
        return
    from omegaconf import OmegaConf

    best = OmegaConf.load(file)
    params = " ".join(f"{name}={value}" for name, value in best.best_params.items())
    job = next((f"job {record.number}  " for record in records if record.objective == best.best_value), "")
    print(f"best                   {best.best_value:.6g}  {job}{params}")


def _shown(path: Path) -> str:
    return os.path.relpath(path) if path.absolute().is_relative_to(Path.cwd()) else str(path)
