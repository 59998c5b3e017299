"""Callbacks: metrics, checkpoints, progress, and checks across ranks."""

from darts_pl.callbacks.averaging import weight_average
from darts_pl.callbacks.best import BestWeights
from darts_pl.callbacks.checkpoint import KeepDescription, LastCheckpoint, StopOnSignal
from darts_pl.callbacks.compiling import CompileParts
from darts_pl.callbacks.history import ArchitectureHistory, MetricsTable
from darts_pl.callbacks.observers import KeepEpochs, RunObservers
from darts_pl.callbacks.pictures import ArchitecturePictures, PictureLogger
from darts_pl.callbacks.progress import EpochLines, progress_callbacks
from darts_pl.callbacks.ranks import CheckRanksAgree, RankStates
from darts_pl.callbacks.selection import SelectionProgress
from darts_pl.callbacks.tested import RecordTest
from darts_pl.callbacks.throughput import SamplesRead, Throughput, ThroughputTable

__all__ = [
    "ArchitectureHistory",
    "ArchitecturePictures",
    "BestWeights",
    "CheckRanksAgree",
    "CompileParts",
    "EpochLines",
    "KeepDescription",
    "KeepEpochs",
    "LastCheckpoint",
    "MetricsTable",
    "PictureLogger",
    "RankStates",
    "RecordTest",
    "RunObservers",
    "SamplesRead",
    "SelectionProgress",
    "StopOnSignal",
    "Throughput",
    "ThroughputTable",
    "progress_callbacks",
    "weight_average",
]
