"""The contract of selection rules: the group `select`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from darts_pl.genotype import Genotype
from darts_pl.registry import Registry
from darts_pl.spaces import Supernet

if TYPE_CHECKING:
    from darts_pl.selection.trials import Trials


#: Reads a trained supernet, may try things out on it, and returns what to build. It runs once, at the
#: end of a search or on a finished one.
Selection = Callable[[Supernet, "Trials"], Genotype]

#: By name, what makes a `Selection`; given its settings where it has some.
RULES: Registry[Callable[..., Selection]] = Registry("selection rule")


#: By name of a rule, what derives the genotype that is shown after every epoch: cheap, and without trials.
#: A rule with settings has a method `preview` instead. Any other rule is previewed by magnitude.
PREVIEWS: dict[str, Callable[[Supernet], Genotype]] = {}


def selection_rule(
    name: str, *, preview: Callable[[Supernet], Genotype] | None = None
) -> Callable[[Selection], Selection]:
    """Decorator that registers a function of (supernet, trials) without settings as a selection rule.

    Args:
        name: of the rule.
        preview: see `PREVIEWS`.
    """

    def register(rule: Selection) -> Selection:
        def make(settings: Any = None) -> Selection:
            return rule

        RULES.add(name, make, origin=rule)
        if preview is not None:
            PREVIEWS[name] = preview
        return rule

    return register
