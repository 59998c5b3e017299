"""Which parts a protocol has, where each lies, and with which configuration it runs."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import OmegaConf

from darts_pl import zoo
from darts_pl.config import SECTIONS, Config
from darts_pl.config.convert import UnknownKeyError
from darts_pl.errors import UserError
from darts_pl.genotype import Genotype
from darts_pl.registry import Registry
from darts_pl.selection import RULES, random_genotype
from darts_pl.spaces import SPACES, SearchSpace
from darts_pl.strategies import STRATEGIES
from darts_pl.tasks.declarations.conflicts import misfits_of_rule
from darts_pl.tasks.execution.context import Context
from darts_pl.tasks.protocol.costs import seconds_of
from darts_pl.tasks.protocol.settings import CHOICE, DERIVE, FINAL, SEARCH

#: By stage, the folder of its parts.
FOLDERS = {SEARCH: "searches", DERIVE: "derived", CHOICE: "choice", FINAL: "final"}
#: Rows beside those of rules and published genotypes.
SEARCHED, RANDOM = "search", "random"
#: What follows the name of a strategy in its row: weights are shared, unlike in that of random cells.
SHARED = "_shared"


@dataclass(frozen=True)
class Part:
    """One search, derivation or training.

    Args:
        stage: which stage it belongs to.
        row: SEARCHED, RANDOM, a selection rule, a strategy with SHARED, or a published genotype.
        number: within stage and row, from 0.
        seed: of its run.
        folder: of its run.
    """

    stage: str
    row: str
    number: int
    seed: int
    folder: Path


@dataclass(frozen=True)
class Plan:
    """All parts of a protocol.

    Args:
        config: of the command.
        resolved: the same as plain values.
        folder: of the stages.
        cells: the search space.
        rules: rule -> its settings as plain values.
        strategies: row of a strategy -> its settings as plain values.
        said: see `Context`.
    """

    config: Config
    resolved: Mapping[str, Any]
    folder: Path
    cells: SearchSpace
    rules: Mapping[str, Mapping[str, Any]]
    strategies: Mapping[str, Mapping[str, Any]]
    said: dict[str, str] = field(default_factory=dict)

    @property
    def rows(self) -> list[str]:
        """All rows in the order of the table."""
        task = self.config.task
        return [SEARCHED, *self.rules, *self.strategies, *([RANDOM] if task.random else []), *task.genotypes]

    def parts(self, stage: str, row: str | None = None) -> list[Part]:
        """The parts of a stage, or those of one of its rows."""
        return [part for part in self._parts(stage) if row in (None, part.row)]

    def _parts(self, stage: str) -> Iterator[Part]:
        task = self.config.task
        numbers = {
            SEARCH: dict.fromkeys([SEARCHED, *self.strategies], task.searches),
            DERIVE: dict.fromkeys(self.rules, task.searches),
            CHOICE: dict.fromkeys([SEARCHED, *self.rules, *self.strategies], task.searches)
            | {RANDOM: self.random_cells()},
            FINAL: dict.fromkeys(self.rows, task.finals),
        }[stage]
        for row, count in numbers.items():
            for number in range(count):
                yield self._part(stage, row, number)

    def _part(self, stage: str, row: str, number: int) -> Part:
        own = str(number) if row == SEARCHED and stage == SEARCH else f"{row}/{number}"
        return Part(stage, row, number, self.config.seed + number, self.folder / FOLDERS[stage] / own)

    def random_cells(self) -> int:
        """How many random cells are trained: `task.random`, and with `task.random_same_budget` further ones until all
        of them took the seconds of the searches and their short trainings. The seconds are those that finished parts
        have written down, so the number grows by one with each random cell that is finished."""
        task = self.config.task
        least = int(task.random)
        if not task.random_same_budget:
            return least
        searches = (
            self._part(stage, SEARCHED, number) for stage in (SEARCH, CHOICE) for number in range(task.searches)
        )
        budget = seconds_of(part.folder for part in searches)
        if budget is None:
            return least
        count, spent = 0, 0.0
        while spent < budget:
            own = seconds_of([self._part(CHOICE, RANDOM, count).folder])
            count += 1
            if own is None:  # the next cell
                break
            spent += own
        return max(count, least)

    def search_of(self, part: Part) -> Part:
        """The search of the same number."""
        return self.parts(SEARCH, part.row if part.row in self.strategies else SEARCHED)[part.number]

    def random_cell(self, number: int) -> Genotype:
        """A cell drawn uniformly; the number-th one."""
        return random_genotype(self.cells, self.config.seed + number)

    def resolved_of(self, part: Part, genotype: Genotype | None = None) -> dict[str, Any]:
        """The configuration of a part as plain values.

        Args:
            part: of this plan.
            genotype: what is trained.
        """
        found: dict[str, Any] = copy.deepcopy(dict(self.resolved))
        name = {SEARCH: "search", DERIVE: "derive"}.get(part.stage, "retrain")
        found |= {"task": {"name": name, "objective": None}, "seed": part.seed, "resume": False, "overwrite": False}
        found |= {"genotype": None if genotype is None else str(genotype), "run": None}
        if part.stage == SEARCH and part.row in self.strategies:
            found |= self._of_strategy(part.row)
        if part.stage == DERIVE:
            found |= {"run": str(self.search_of(part).folder), "select": dict(self.rules[part.row])}
        if part.stage == CHOICE:
            task = self.config.task
            found["train"] = {**found["train"], **(task.choice_train or {}), "epochs": task.choice_epochs}
        return found

    def _of_strategy(self, name: str) -> dict[str, Any]:
        """The sections of a search without gradients, whose shared weights train as long as a search."""
        task, epochs = self.config.task, self.config.search.epochs
        return {
            "task": {"name": "strategy", "objective": None, "costs": [], "latency": None},
            "strategy": dict(self.strategies[name]),
            "evaluator": {"name": "shared_weights", "run": None, "epochs": epochs, "fraction": 1.0},
            "budget": {"evaluations": task.strategy_evaluations, "simulated_seconds": None, "seconds": None},
        }


def build_plan(context: Context) -> Plan:
    """The plan of a command.

    Raises:
        UserError: for an unknown rule or genotype, a rule that does not fit the space, or a space without final
            networks.
    """
    config, task = context.config, context.config.task
    space = SPACES.get(config.search.space)
    if space.training is None:
        raise UserError(space.no_network)
    for name in task.genotypes:
        if name not in zoo.ZOO:
            raise UserError(f"task.genotypes: {zoo.unknown(name)}")
    rules = {name: _choice("select", RULES, "rule", name, task.rule_settings) for name in task.rules}
    own = task.strategy_settings
    strategies = {f"{name}{SHARED}": _choice("strategy", STRATEGIES, "strategy", name, own) for name in task.strategies}
    for row, values in strategies.items():
        _parsed("strategy", values, f"task.strategy_settings.{row.removesuffix(SHARED)}")
    for name, values in rules.items():
        if name == config.select.name:
            raise UserError(f"task.rules={name}: select={name} applies this rule already; leave it out")
        settings = _parsed("select", values, f"task.rule_settings.{name}")
        for reason in misfits_of_rule(settings, space):
            raise UserError(f"task.rules={name}: {reason}")
    short = {**context.resolved["train"], **(task.choice_train or {}), "epochs": task.choice_epochs}
    _parsed("train", short, "task.choice_train")
    folder = context.folder.path if task.folder is None else Path(task.folder).expanduser()
    cells = space.cells(config.search.candidates, config.search.nodes)
    return Plan(config, context.resolved, folder, cells, rules, strategies, context.said)


def _parsed(section: str, values: Mapping[str, Any], key: str) -> Any:
    """The settings of a section, where an unknown one is reported under the key that gave it."""
    try:
        return SECTIONS[section].parse(values)
    except UnknownKeyError as error:
        name = error.key.partition(".")[2]
        raise UserError(f"{key}: {section}={values.get('name', values.get('network'))} has no {name}") from None


def _choice(
    group: str, registry: Registry[Any], word: str, name: str, changes: Mapping[str, Any] | None
) -> dict[str, Any]:
    """The settings of a rule or a strategy as plain values: its file in `conf`, with changes.

    Args:
        group: folder in `conf`.
        registry: of the components.
        word: what the keys of the task call one, such as "rule".
        name: of the component, or of a file with other settings of it.
        changes: by name the changed settings.
    """
    loader = GlobalHydra.instance().config_loader()
    if name not in registry and name not in loader.get_group_options(group):
        raise UserError(f"task.{_PLURAL[word]}: {registry.unknown(name)}")
    own = (changes or {}).get(name)
    if not isinstance(own, Mapping | None):
        raise UserError(f"task.{word}_settings.{name}={own}: holds several keys, such as {_EXAMPLES[word]}")
    values: Any = {"name": name}
    if name in loader.get_group_options(group):
        found = loader.load_configuration(config_name=f"{group}/{name}", overrides=[], run_mode=RunMode.RUN)
        values = OmegaConf.to_container(found[group], resolve=True)
    return {**values, **(own or {})}


_PLURAL = {"rule": "rules", "strategy": "strategies"}
_EXAMPLES = {"rule": "{tune_epochs: 1}", "strategy": "{steps: 10}"}
