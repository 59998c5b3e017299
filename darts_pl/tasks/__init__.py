"""One file per task: build, run, summarise."""

from darts_pl.tasks.run import TASKS, run_task

__all__ = ["TASKS", "run_task"]
