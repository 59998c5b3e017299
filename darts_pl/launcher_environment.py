"""What started this process, according to the environment: a shell, SLURM's srun, torchrun, or rank zero of a run."""

from __future__ import annotations

import os

#: Names of SLURM jobs that are interactive shells. Lightning ignores SLURM there as well.
_SHELLS = ("bash", "interactive")


def slurm_tasks() -> int:
    """The number of processes that SLURM started together; 1 outside SLURM and in an interactive shell."""
    if "SLURM_JOB_ID" not in os.environ or os.environ.get("SLURM_JOB_NAME") in _SHELLS:
        return 1
    return int(os.environ.get("SLURM_NTASKS", "1"))


def is_first() -> bool:
    """Whether this process is rank zero of its run, which alone writes files and prints."""
    rank = os.environ.get("SLURM_PROCID", "0") if slurm_tasks() > 1 else os.environ.get("LOCAL_RANK", "0")
    return int(os.environ.get("RANK", rank)) == 0
