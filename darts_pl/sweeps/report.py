"""The report at the end of a sweep."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Collection, Sequence
from pathlib import Path

from darts_pl.errors import UserError
from darts_pl.records.best import best_run
from darts_pl.records.job_record import FAILED, FINISHED, RUNNING, JobRecord, read_record
from darts_pl.records.run_ending import read_commands
from darts_pl.sweeps.hydra_callback import JOBS


def all_failed(sweep: Path | None) -> bool:
    """Whether every job of the sweep failed. The sweeper then raises an error of its own, which says nothing new."""
    records = [] if sweep is None else _records(sweep)
    return bool(records) and all(record.state == FAILED for record in records)


def report_sweep(
    sweep: Path, lost: Sequence[str], show_tracebacks: bool, answered: Collection[int] | None = None
) -> int:
    """Print how the jobs ended and return the exit status.

    Args:
        sweep: the folder of the sweep.
        lost: one line for each job that the launcher lost.
        show_tracebacks: also of failures that the user can fix, or that are answers.
        answered: numbers of the jobs whose end, also a failure, is an answer to a search without gradients, which has
            told it already; None = the jobs are no questions of such a search.

    Returns:
        0 if all jobs finished or are answers, 2 if the user can fix the cause of every other failure, else 1.
    """
    records = _records(sweep)
    if not records and not lost:
        return 0
    by_state = {state: [record for record in records if record.state == state] for state in (FINISHED, FAILED, RUNNING)}
    told = answered or ()
    failed, unfinished = ([one for one in by_state[state] if one.number not in told] for state in (FAILED, RUNNING))
    for record in by_state[FAILED]:
        if record.details and (show_tracebacks or (record in failed and not record.fixable)):
            print(f"\njob {record.number}\n{record.details}", file=sys.stderr, end="")
    words = {FINISHED: "finished", FAILED: "failed", RUNNING: "not finished"}
    counts = ", ".join(f"{len(found)} {words[state]}" for state, found in by_state.items() if found)
    place = _shown(sweep)
    print(f"\nsweep                  {counts or 'no job started'}")
    _print_best(sweep, records)
    print(f"folder                 {place}", flush=True)
    _print_next(sweep)
    for record in failed:
        reason = (record.reason or "").partition("\n")[0]
        print(f"failed: job {record.number}  {' '.join(record.overrides)}: {reason}", file=sys.stderr)
    for record in unfinished:
        print(f"not finished: job {record.number}  {' '.join(record.overrides)}", file=sys.stderr)
    for line in lost:
        print(line, file=sys.stderr)
    lost = lost if answered is None else ()
    if failed or unfinished or lost:
        print(
            f"to run the jobs that have not finished, repeat the command with hydra.sweep.dir={place} resume=true",
            file=sys.stderr,
        )
        if len(unfinished) > len(lost) and (sweep / ".submitit").is_dir():
            print("first check whether jobs that submitit started or queued are still running", file=sys.stderr)
    if unfinished or lost or not all(record.fixable for record in failed):
        return 1
    return 2 if failed else 0


def _records(sweep: Path) -> list[JobRecord]:
    """The records of the jobs that the last command in this folder started, in order."""
    found = []
    for pointer in (sweep / JOBS).glob("*.json"):
        record = read_record(sweep / json.loads(pointer.read_text(encoding="utf-8")))
        if record is not None:
            found.append((int(pointer.stem), record))
    return [record for _, record in sorted(found, key=lambda pair: pair[0])]


def _print_best(sweep: Path, records: list[JobRecord]) -> None:
    """Print the best job of a sweeper that optimises; the plugins write it into a file of this name."""
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


def _print_next(sweep: Path) -> None:
    """Print the command that trains what the best search of several found, if there is such a search."""
    try:
        best = best_run(sweep)
    except UserError:  # no search is finished, or nothing but the test split compares them
        return
    command = next((command for _, command in read_commands(best.folder) if "task=retrain" in command.split()), None)
    if best.runs > 1 and command is not None:
        found = f"the best of {best.runs} runs by {best.score}, {best.value:.4f}"
        print(f"\nwhat comes next\n  {command}  # train the cell of {best.folder.name}, {found}", flush=True)


def _shown(path: Path) -> str:
    return os.path.relpath(path) if path.absolute().is_relative_to(Path.cwd()) else str(path)
