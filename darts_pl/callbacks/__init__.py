"""What watches a run."""

from darts_pl.callbacks.averaging import weight_average
from darts_pl.callbacks.checkpoint import LastCheckpoint
from darts_pl.callbacks.history import ArchitectureHistory, MetricsTable
from darts_pl.callbacks.progress import EpochLines, progress_callbacks
from darts_pl.callbacks.random_state import RandomStates

__all__ = [
    "ArchitectureHistory",
    "EpochLines",
    "LastCheckpoint",
    "MetricsTable",
    "RandomStates",
    "progress_callbacks",
    "weight_average",
]
