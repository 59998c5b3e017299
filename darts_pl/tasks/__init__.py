"""One file per task: build, run, summarise."""

from darts_pl.tasks import conflicts as _conflicts
from darts_pl.tasks import sections as _sections
from darts_pl.tasks.registry import TASKS
from darts_pl.tasks.run import run_task

__all__ = ["TASKS", "run_task"]

# Imported for what they register.
assert _conflicts
assert _sections
