"""Sweeps: many jobs from one command, on any of Hydra's launchers.

Light to import: `--help` and tab completion load it too.
"""

from darts_pl.sweeps.folders import job_folder
from darts_pl.sweeps.hydra_callback import Refused, SweepStart
from darts_pl.sweeps.job import run_in_sweep
from darts_pl.sweeps.missing_plugins import extra_wanted
from darts_pl.sweeps.report import all_failed, report

__all__ = ["Refused", "SweepStart", "all_failed", "extra_wanted", "job_folder", "report", "run_in_sweep"]
