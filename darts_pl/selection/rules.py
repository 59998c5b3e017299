"""The registry of selection rules."""

from __future__ import annotations

from collections.abc import Callable

from darts_pl.genotype import Genotype
from darts_pl.registry import Registry
from darts_pl.spaces import Supernet

#: Reads a trained supernet and returns what to build.
SelectionRule = Callable[[Supernet], Genotype]

RULES: Registry[SelectionRule] = Registry("selection rule")

selection_rule = RULES.register


def rules() -> tuple[str, ...]:
    """Names of all selection rules."""
    return RULES.list()


def rule(name: str) -> SelectionRule:
    """The selection rule `name`.

    Raises:
        UserError: if it is unknown.
    """
    return RULES.get(name)
