"""The strongest genotype within limits on the size of its final network."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from darts_pl.errors import UserError
from darts_pl.genotype import Genotype
from darts_pl.selection.magnitude import strengths
from darts_pl.selection.rules import RULES
from darts_pl.selection.sizes import Amounts, PairSizes, refuse_other_size
from darts_pl.selection.trials import Trials
from darts_pl.selection.units import Option, Unit, assemble, most_likely, units_of
from darts_pl.settings import at_least, or_null, setting
from darts_pl.spaces import Space, Supernet

_NAMES = ("parameters", "multiply-adds")
_KEYS = ("max_parameters", "max_multiply_adds")


@dataclass(frozen=True, kw_only=True)
class MagnitudeWithinSettings:
    """Limits on the final network."""

    max_parameters: int | None = setting(
        "most parameters of the final network, without an auxiliary tower", or_null(at_least(1), "no limit")
    )
    max_multiply_adds: int | None = setting(
        "most multiply-adds of the final network for one sample", or_null(at_least(1), "no limit")
    )

    def misfits(self, space: Space) -> Iterator[str]:
        """Why this rule does not work in a space."""
        if self.max_parameters is None and self.max_multiply_adds is None:
            yield "select=magnitude_within: give select.max_parameters or select.max_multiply_adds"
        if self.max_multiply_adds is not None and space.data == "text":
            yield "select.max_multiply_adds: nobody counts multiply-adds on text; use select.max_parameters"


class State(NamedTuple):
    """Options of the first units: what they add to the size, the sum of their logarithms, and themselves, the last
    one first."""

    amounts: Amounts
    log_weight: float
    chosen: tuple[Option, State] | None


@RULES.register("magnitude_within", settings=MagnitudeWithinSettings)
class MagnitudeWithin:
    """The genotype with the largest sum of the logarithms of its operations' mixing weights that is within the limits.

    It is found exactly, by dynamic programming over the nodes.
    """

    def __init__(self, settings: MagnitudeWithinSettings) -> None:
        self.limits = settings.max_parameters, settings.max_multiply_adds

    def __call__(self, supernet: Supernet, trials: Trials) -> Genotype:
        """The genotype, its pairs listed strongest first. What the limits cost is recorded and told.

        Raises:
            UserError: if no genotype is within the limits; the message has the smallest possible size.
        """
        space, units = supernet.space, units_of(supernet, strengths(supernet))
        sizes = PairSizes(space, trials.size)
        if self.limits[1] is not None and not sizes.counts_multiply_adds:
            raise UserError("select.max_multiply_adds: nobody counts multiply-adds here; use select.max_parameters")
        added = [[sizes.of_pairs(unit, option.pairs) for option in unit.options] for unit in units]
        best = strongest_within(units, added, sizes.base, self.limits)
        found = assemble(space, units, _options(best), ranked=True)
        predicted = (sizes.base[0] + best.amounts[0], sizes.base[1] + best.amounts[1])
        refuse_other_size(predicted, sizes.amounts(found))
        free = most_likely(units, 1)[0]
        unlimited = assemble(space, units, free, ranked=True)
        without = sizes.amounts(unlimited)
        cost = sum(option.log_weight for option in free) - best.log_weight
        trials.decide(
            "limits",
            lambda: {
                "genotype": str(found),
                "parameters": predicted[0],
                "multiply_adds": predicted[1] if sizes.counts_multiply_adds else None,
                "unlimited": str(unlimited),
                "unlimited_parameters": without[0],
                "unlimited_multiply_adds": without[1] if sizes.counts_multiply_adds else None,
                "log_likelihood_lost": cost,
            },
        )
        trials.tell(
            f"{_words(predicted, sizes)} within the limits, {_words(without, sizes)} without them; "
            f"the limits cost {cost:.3f} of the log likelihood"
        )
        return found


def strongest_within(
    units: Sequence[Unit],
    sizes: Sequence[Sequence[Amounts]],
    base: Amounts,
    limits: tuple[int | None, int | None],
) -> State:
    """The combination of one option per unit with the largest sum of logarithms that is within the limits.

    States with the same or a larger size and no larger sum than another one are dropped: whatever follows, they
    cannot end better.

    Args:
        units: all choices.
        sizes: what each option of each unit adds to `base`.
        base: (parameters, multiply-adds) to which the options add.
        limits: the largest of both; None = no limit.

    Raises:
        UserError: if there is none.
    """
    smallest = [tuple(min(one[which] for one in row) for row in sizes) for which in (0, 1)]
    refuse_small_limits(base, smallest, limits)
    room = [float("inf") if limit is None else limit - base[which] for which, limit in enumerate(limits)]
    states = [State((0, 0), 0.0, None)]
    for index, (unit, row) in enumerate(zip(units, sizes, strict=True)):
        rest = [sum(smallest[which][index + 1 :]) for which in (0, 1)]
        grown: dict[Amounts, State] = {}
        for state in states:
            for option, added in zip(unit.options, row, strict=True):
                amounts = state.amounts[0] + added[0], state.amounts[1] + added[1]
                if amounts[0] + rest[0] > room[0] or amounts[1] + rest[1] > room[1]:
                    continue
                total = state.log_weight + option.log_weight
                before = grown.get(amounts)
                if before is None or total > before.log_weight:
                    grown[amounts] = State(amounts, total, (option, state))
        states = undominated(list(grown.values()), limits)
    if not states:
        refuse_both(units, sizes, base, limits)
    return max(states, key=lambda state: state.log_weight)


def undominated(states: list[State], limits: tuple[int | None, int | None]) -> list[State]:
    """The states that no other one beats in all limited sizes and in the sum of logarithms."""
    which = [index for index, limit in enumerate(limits) if limit is not None]
    first, second = which[0], which[-1]
    ordered = sorted(states, key=lambda state: (state.amounts[first], state.amounts[second], -state.log_weight))
    kept: list[State] = []
    # A staircase: with growing second size a growing sum of logarithms, among the states so far.
    steps: list[int] = []
    heights: list[float] = []
    for state in ordered:
        at = bisect_right(steps, state.amounts[second])
        if at and heights[at - 1] >= state.log_weight:
            continue
        kept.append(state)
        end = at
        while end < len(heights) and heights[end] <= state.log_weight:
            end += 1
        steps[at:end], heights[at:end] = [state.amounts[second]], [state.log_weight]
    return kept


def refuse_small_limits(
    base: Amounts, smallest: Sequence[Sequence[int]], limits: tuple[int | None, int | None]
) -> None:
    """Raise UserError for a limit below the smallest possible size."""
    for which, limit in enumerate(limits):
        least = base[which] + sum(smallest[which])
        if limit is not None and limit < least:
            raise UserError(
                f"select.{_KEYS[which]}={limit}: the smallest final network of this search has {least} "
                f"{_NAMES[which]}; give at least {least}"
            )


def refuse_both(
    units: Sequence[Unit], sizes: Sequence[Sequence[Amounts]], base: Amounts, limits: tuple[int | None, int | None]
) -> None:
    """Raise UserError for two limits that can only be met one at a time."""
    negated = [
        unit._replace(
            options=tuple(
                option._replace(log_weight=-float(one[1])) for option, one in zip(unit.options, row, strict=True)
            )
        )
        for unit, row in zip(units, sizes, strict=True)
    ]
    least = base[1] + strongest_within(negated, sizes, base, (limits[0], None)).amounts[1]
    raise UserError(
        f"select.max_multiply_adds={limits[1]}: with max_parameters={limits[0]} the smallest final network of this "
        f"search has {least} multiply-adds; give at least {least}"
    )


def _options(state: State) -> list[Option]:
    found = []
    while state.chosen is not None:
        option, state = state.chosen
        found.append(option)
    return found[::-1]


def _words(amounts: Amounts, sizes: PairSizes) -> str:
    text = f"{amounts[0]:,} parameters"
    return f"{text} and {amounts[1]:,} multiply-adds" if sizes.counts_multiply_adds else text
