"""Who started this process, by the environment: a shell, SLURM's srun, torchrun, or the first process of a run."""

from __future__ import annotations

import os

#: Names of SLURM jobs that are a shell for one to type in; also Lightning takes no notice of SLURM there.
_SHELLS = ("bash", "interactive")


def slurm_tasks() -> int:
    """Processes that SLURM started together; 1 outside it, and in the shell of an interactive allocation."""
    if "SLURM_JOB_ID" not in os.environ or os.environ.get("SLURM_JOB_NAME") in _SHELLS:
        return 1
    return int(os.environ.get("SLURM_NTASKS", "1"))


def is_first() -> bool:
    """Whether this process is the first of its run, which speaks for all."""
    rank = os.environ.get("SLURM_PROCID", "0") if slurm_tasks() > 1 else os.environ.get("LOCAL_RANK", "0")
    return int(os.environ.get("RANK", rank)) == 0
