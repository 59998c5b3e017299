"""Settings of task=protocol."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from darts_pl.report.published_results import SOURCES
from darts_pl.settings import at_least, each, one_of, or_null, setting
from darts_pl.tasks.declarations.registry import ReportedTaskSettings

#: The stages in their order.
SEARCH, DERIVE, CHOICE, FINAL = STAGES = ("search", "derive", "choice", "final")


@dataclass(frozen=True, kw_only=True)
class ProtocolSettings(ReportedTaskSettings):
    """Searches, the choice among what they found, and the training of the best."""

    runs_search: ClassVar[bool] = True

    searches: int = setting("how many searches; their seeds count from `seed`", at_least(1))
    choice_epochs: int = setting("epochs of the short training by which cells are compared", at_least(1))
    choice_train: dict[str, Any] | None = setting(
        "other values of `train` in the short trainings, such as {layers: 8}; null = none"
    )
    finals: int = setting("how many full trainings of each chosen cell; their seeds count from `seed`", at_least(1))
    random: int = setting("how many random cells are compared", at_least(0))
    random_same_budget: bool = setting(
        "whether more random cells follow until they took as many seconds as the searches and their short trainings"
    )
    rules: list[str] = setting("other selection rules for the same searches")
    rule_settings: dict[str, Any] | None = setting(
        "settings of these rules, such as {perturbation: {tune_epochs: 1}}; null = those of conf/select"
    )
    strategies: list[str] = setting(
        "searches without gradients with shared weights, each a row; they train as many epochs as the searches"
    )
    strategy_settings: dict[str, Any] | None = setting(
        "settings of these strategies, such as {enas: {steps: 10}}; null = those of conf/strategy"
    )
    strategy_evaluations: int = setting("genotypes among which each of these searches chooses", at_least(1))
    genotypes: list[str] = setting("published genotypes that are trained fully as well, by their names")
    published: str | None = setting(
        "which published table is shown beside the results", or_null(one_of(*SOURCES), "none")
    )
    beside: list[str] = setting("folders of other protocols whose rows are shown in the same table")
    stage: str | None = setting("the only stage that this command runs", or_null(one_of(*STAGES), "all"))
    only: list[int] | None = setting(
        "numbers of the parts of that stage that this command runs", or_null(each(at_least(0)), "all")
    )
    folder: str | None = setting("the folder of the stages; null = the folder of this run")

    def conflicts(self) -> Iterator[tuple[str, str]]:
        """What does not fit together."""
        if self.only is not None and self.stage is None:
            yield "only", f"needs task.stage, one of {', '.join(STAGES)}"
        if self.random_same_budget and not self.random:
            yield "random_same_budget", "needs task.random=1 or more, the least number of random cells"
        for name in ("rules", "strategies", "genotypes"):
            values = getattr(self, name)
            if len(set(values)) < len(values):
                yield name, "names one twice"
        for key, names in (("rule", self.rules), ("strategy", self.strategies)):
            unknown = [name for name in getattr(self, f"{key}_settings") or {} if name not in names]
            if unknown:
                section = {"rule": "rules", "strategy": "strategies"}[key]
                yield f"{key}_settings", f"{unknown[0]} is not in task.{section}"
