"""The registry of tasks, and their settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from darts_pl.records.folder import Summary
from darts_pl.registry import Registry
from darts_pl.settings import at_least, or_null, setting
from darts_pl.tasks.execution.context import Context


@dataclass(frozen=True, kw_only=True)
class TaskSettings:
    """What every task has.

    `runs_search` says whether the task runs a search, `writes_report` whether a run ends with `report.html`.
    """

    runs_search: ClassVar[bool] = False
    writes_report: ClassVar[bool] = False

    objective: str | None = setting("the result that a sweep maximises; null = none")


TASKS: Registry[Callable[[Context], Summary]] = Registry("task", base=TaskSettings)


@dataclass(frozen=True, kw_only=True)
class ReportedTaskSettings(TaskSettings):
    """A run with a report."""

    writes_report: ClassVar[bool] = True


@dataclass(frozen=True, kw_only=True)
class SearchTaskSettings(ReportedTaskSettings):
    """A search."""

    runs_search: ClassVar[bool] = True


@dataclass(frozen=True, kw_only=True)
class SearchAndRetrainSettings(SearchTaskSettings):
    """A search, then the training of what it found."""

    compare_random: int = setting("how many random genotypes are trained in the same way", at_least(0))


@dataclass(frozen=True, kw_only=True)
class StrategyTaskSettings(ReportedTaskSettings):
    """A search without gradients."""

    costs: list[str] = setting("further objectives, minimized: parameters, multiply_adds, latency_ms")
    latency: str | None = setting("folder of a run of task=latency, which predicts latency_ms; null without it")


@dataclass(frozen=True, kw_only=True)
class EvaluateTaskSettings(StrategyTaskSettings):
    """The evaluation of one genotype."""

    writes_report: ClassVar[bool] = False

    epochs: int | None = setting(
        "epochs of the training that is scored", or_null(at_least(1), "as many as the evaluator has")
    )


@dataclass(frozen=True, kw_only=True)
class RandomTaskSettings(StrategyTaskSettings):
    """A search without gradients that draws genotypes uniformly."""

    samples: int | None = setting(
        "how many genotypes are drawn: the default of budget.evaluations",
        or_null(at_least(1), "as many as the other limits of `budget` allow"),
    )

    def requires(self, config: Any) -> Iterator[str]:
        """Another strategy is that of another task."""
        name = config.strategy.name
        if name != "random":
            yield f"strategy.name={name} with task=random, which draws uniformly; use task=strategy strategy={name}"
