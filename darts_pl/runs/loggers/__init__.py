"""Loggers beside `metrics.csv`, behind a guard that lets none of them stop a run."""

from darts_pl.runs.loggers.build import build_loggers, finish_loggers, log_csv, log_summary
from darts_pl.runs.loggers.guarded import GuardedLogger, Sink

__all__ = ["GuardedLogger", "Sink", "build_loggers", "finish_loggers", "log_csv", "log_summary"]
