"""One file per task: build, run, summarise."""

from darts_pl.tasks.declarations import conflicts as _conflicts
from darts_pl.tasks.declarations import sections as _sections
from darts_pl.tasks.declarations.registry import TASKS, TaskSettings
from darts_pl.tasks.execution.context import Context
from darts_pl.tasks.execution.run import run_and_show, run_task

__all__ = ["TASKS", "Context", "TaskSettings", "run_and_show", "run_task"]

# Imported for what they register.
assert _conflicts
assert _sections
