"""The sections of the configuration, and the registry or the settings of each."""

from __future__ import annotations

from darts_pl import methods as _methods
from darts_pl.bilevel.observers import OBSERVERS
from darts_pl.bilevel.orders import ORDERS
from darts_pl.bilevel.perturbation import PERTURBATIONS
from darts_pl.bilevel.regulariser import REGULARISERS
from darts_pl.bilevel.stages import STAGES
from darts_pl.config import register_section
from darts_pl.data.settings import DATA_KINDS
from darts_pl.runs.hardware import HardwareSettings
from darts_pl.runs.loggers.settings import LOGGERS, LoggerSettings
from darts_pl.selection.rules import RULES
from darts_pl.spaces.base import SPACES
from darts_pl.spaces.edges import EDGES
from darts_pl.spaces.networks import NETWORKS
from darts_pl.spaces.relaxation import RELAXATIONS
from darts_pl.spaces.skip import SKIPS
from darts_pl.strategies import EVALUATORS, STRATEGIES, Budget
from darts_pl.tasks.declarations.registry import TASKS

#: The sections that choose the parts of a method, beside `order` and `select`.
PARTS = ("relaxation", "edges", "skip", "perturbation", "regulariser", "stages", "observers")

register_section("task", registry=TASKS)
register_section("search", key="space", registry=SPACES)
register_section("train", key="network", registry=NETWORKS)
register_section("data", key="kind", registry=DATA_KINDS)
register_section("relaxation", registry=RELAXATIONS)
register_section("edges", registry=EDGES)
register_section("skip", registry=SKIPS)
register_section("perturbation", registry=PERTURBATIONS)
register_section("regulariser", registry=REGULARISERS)
register_section("stages", registry=STAGES)
register_section("observers", registry=OBSERVERS, many=True)
register_section("order", registry=ORDERS)
register_section("select", registry=RULES)
register_section("strategy", registry=STRATEGIES)
register_section("evaluator", registry=EVALUATORS)
register_section("budget", settings=Budget)
register_section("hardware", settings=HardwareSettings)
register_section("logger", settings=LoggerSettings, registry=LOGGERS)

# Imported for what it registers.
assert _methods
