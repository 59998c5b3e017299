"""What the jobs of a search without gradients have left: an evaluation each, also where a job failed."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from darts_pl.errors import UserError
from darts_pl.records.job_record import FAILED, FINISHED, JobRecord, read_record
from darts_pl.sweeps.hydra_callback import JOBS

if TYPE_CHECKING:
    from darts_pl.strategies.evaluators import Evaluation


def read_evaluations(sweep: Path, jobs: Sequence[int], *, first: bool) -> list[Evaluation]:
    """The evaluations that jobs have left, in the order of the jobs.

    A job that failed, or that left no evaluation, is a failed evaluation; one line on stderr says so.

    Args:
        sweep: the folder of the sweep.
        jobs: their numbers; all have ended.
        first: whether no question of the search was answered before.

    Raises:
        UserError: if a job did not begin, such as one whose folder another process uses; or if `first`, and every job
            failed for a reason that the user can fix: all further jobs would fail as well.
    """
    from darts_pl.strategies.evaluators import Evaluation  # imported here so that --help stays quick

    records = [_record(sweep, job) for job in jobs]
    for job, (_, record) in zip(jobs, records, strict=True):
        if record is not None and record.state == FAILED and not record.settings:
            raise UserError(f"job {job} did not begin: {_reason(record)}")
    if first and all(record is not None and record.state == FAILED and record.fixable for _, record in records):
        raise UserError(f"every job of the first batch failed; job {jobs[0]}: {_reason(records[0][1])}")
    found = []
    for job, (folder, record) in zip(jobs, records, strict=True):
        left = _left(folder) if folder is not None and record is not None and record.state == FINISHED else None
        if left is None:
            reason = _reason(record)
            print(f"job {job} failed and counts as the worst score: {reason}", file=sys.stderr, flush=True)
            found.append(Evaluation(None, failure=reason))
            continue
        scores = None if left["scores"] is None else tuple(left["scores"])
        found.append(Evaluation(scores, left["simulated_seconds"], left["failure"], facts=left["facts"]))
    return found


def _record(sweep: Path, job: int) -> tuple[Path | None, JobRecord | None]:
    """The folder of a job and its record; None where the job did not come so far."""
    place = sweep / JOBS / f"{job}.json"
    if not place.is_file():
        return None, None
    folder = sweep / json.loads(place.read_text(encoding="utf-8"))
    return folder, read_record(folder)


def _left(folder: Path) -> Mapping[str, Any] | None:
    """The content of the file with a job's evaluation; None if there is none that can be read."""
    from darts_pl.tasks.evaluate import EVALUATION

    try:
        found: Mapping[str, Any] = json.loads((folder / EVALUATION).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found


def _reason(record: JobRecord | None) -> str:
    """Why a job left no evaluation, in one line."""
    if record is None or record.state != FAILED or not record.reason:
        return "it left no result"
    return record.reason.splitlines()[0]
