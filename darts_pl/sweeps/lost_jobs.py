"""Jobs that a launcher lost: killed, out of memory, out of time, or never begun."""

from __future__ import annotations

from collections.abc import MutableSequence


def wait_for_all(lost: MutableSequence[str]) -> None:
    """Let submitit's launcher wait for every job. By itself it gives up at the first that left no result.

    Args:
        lost: where a line about each such job is put.
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
            return [JobReturn(status=JobStatus.COMPLETED)]  # returned None, as a job that failed does

    results.__dict__["theirs"] = theirs
    setattr(Job, "results", results)  # noqa: B010 -- an assignment, which is what it is, is refused by type checkers
