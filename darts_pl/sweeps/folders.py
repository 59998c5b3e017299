"""Names of job folders: readable, and the same in every repetition of a sweep."""

from __future__ import annotations

import hashlib
import re

from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

#: File systems allow 255 bytes; the rest is for names derived from this one.
LONGEST = 120


def job_folder(overrides: str, number: int, numbered: bool) -> str:
    """The name of a job's folder. The command line takes it without quotes, as in ``run=FOLDER``.

    Args:
        overrides: of the job, joined and sorted by ``hydra.job.override_dirname``.
        number: of the job in its sweep.
        numbered: whether the name starts with the number: a sweeper that draws its jobs may draw one twice.
    """
    name = re.sub(r"[^\w.+-]+", "_", overrides, flags=re.ASCII)
    if name != overrides or len(name) > LONGEST:  # the hash tells apart jobs that differ in what was replaced
        name = f"{name[:LONGEST]}-{hashlib.sha256(overrides.encode()).hexdigest()[:8]}"
    return f"{number}+{name}".rstrip("+") if numbered or not name else name


def _this_job() -> str:
    hydra = HydraConfig.get()
    drawn = hydra.runtime.choices["hydra/sweeper"] != "basic"
    return job_folder(hydra.job.override_dirname, int(hydra.job.num), drawn)


#: ``${job_folder:}`` in `conf/config.yaml`. It is registered here because every process of a sweep imports this file.
OmegaConf.register_new_resolver("job_folder", _this_job, replace=True)
