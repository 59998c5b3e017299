"""The registry of selection rules."""

from __future__ import annotations

from collections.abc import Callable

from darts_pl.errors import UserError
from darts_pl.genotype import Genotype
from darts_pl.spaces import Supernet

#: Reads a trained supernet and returns what to build.
SelectionRule = Callable[[Supernet], Genotype]

_RULES: dict[str, SelectionRule] = {}


def selection_rule(name: str) -> Callable[[SelectionRule], SelectionRule]:
    """Decorator that registers a selection rule under `name`."""

    def register(function: SelectionRule) -> SelectionRule:
        _RULES[name] = function
        return function

    return register


def rules() -> tuple[str, ...]:
    """Names of all selection rules."""
    return tuple(_RULES)


def rule(name: str) -> SelectionRule:
    """The selection rule `name`.

    Raises:
        UserError: if it is unknown.
    """
    if name not in _RULES:
        raise UserError(f"unknown selection rule {name!r}; known: {', '.join(_RULES)}")
    return _RULES[name]
