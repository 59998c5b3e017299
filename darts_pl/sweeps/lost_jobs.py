"""Jobs that a launcher lost: killed, out of memory, out of time, or never started."""

from __future__ import annotations

from collections.abc import MutableSequence
from typing import Any


def wait_for_all(lost: MutableSequence[str]) -> None:
    """Let submitit's launcher wait for every job. On its own, it stops at the first job that left no result.

    Args:
        lost: receives one line for each such job.
    """
    from hydra.core.utils import JobReturn, JobStatus
    from submitit.core.core import Job
    from submitit.core.utils import UncompletedJobError

    theirs = getattr(Job.results, "theirs", Job.results)

    def results(job: Job) -> list[JobReturn]:
        try:
            found: list[JobReturn] = theirs(job)
            return found
        except UncompletedJobError:
            lost.append(f"job {job.job_id} of the launcher left no result ({job.state}): see {job.paths.stderr}")
            return [JobReturn(status=JobStatus.COMPLETED)]  # a job without a score, like one that failed

    results.__dict__["theirs"] = theirs
    job: Any = Job  # whose method is replaced
    job.results = results
