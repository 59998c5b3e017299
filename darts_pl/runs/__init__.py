"""How a run is executed: its Trainer, fitting and resuming, processes, loggers."""

from darts_pl.runs.fitting import fit
from darts_pl.runs.loggers import build_loggers, finish_loggers, log_csv, log_summary
from darts_pl.runs.trainer import build_trainer, is_rank_zero, quiet_lightning

__all__ = [
    "build_loggers",
    "build_trainer",
    "finish_loggers",
    "fit",
    "is_rank_zero",
    "log_csv",
    "log_summary",
    "quiet_lightning",
]
