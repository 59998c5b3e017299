"""The registry of tasks, and their settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from darts_pl.records.folder import Summary
from darts_pl.registry import Registry
from darts_pl.settings import at_least, setting
from darts_pl.tasks.execution.context import Context


@dataclass(frozen=True, kw_only=True)
class TaskSettings:
    """What every task has.

    `searches` says whether the task runs a search.
    """

    searches: ClassVar[bool] = False

    objective: str | None = setting("the result that a sweep maximises; null = none")


TASKS: Registry[Callable[[Context], Summary]] = Registry("task", base=TaskSettings)


@dataclass(frozen=True, kw_only=True)
class SearchTaskSettings(TaskSettings):
    """A search."""

    searches: ClassVar[bool] = True


@dataclass(frozen=True, kw_only=True)
class SearchAndRetrainSettings(SearchTaskSettings):
    """A search, then the training of what it found."""

    compare_random: int = setting("how many random genotypes are trained in the same way", at_least(0))
