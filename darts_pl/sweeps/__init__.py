"""Sweeps: many jobs from one command, on any of Hydra's launchers.

Importing this room loads no torch, because `--help` and tab completion import it.
"""

from darts_pl.sweeps.folders import job_folder
from darts_pl.sweeps.hydra_callback import ClaimSweepFolder
from darts_pl.sweeps.job import run_in_sweep
from darts_pl.sweeps.missing_plugins import missing_plugin
from darts_pl.sweeps.report import all_failed, report_sweep
from darts_pl.sweeps.strategy_sweeper import register_sweeper

__all__ = [
    "ClaimSweepFolder",
    "all_failed",
    "job_folder",
    "missing_plugin",
    "register_sweeper",
    "report_sweep",
    "run_in_sweep",
]
