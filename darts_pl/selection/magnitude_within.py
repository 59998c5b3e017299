"""The strongest genotype within limits on the size and the latency of its final network."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from darts_pl.errors import UserError
from darts_pl.genotype import KINDS, Genotype
from darts_pl.latency import (
    FinalNetworks,
    LatencyTable,
    Repeats,
    measure_networks,
    milliseconds,
    nanoseconds,
    reference_genotypes,
)
from darts_pl.selection.magnitude import strengths
from darts_pl.selection.rules import RULES
from darts_pl.selection.score import Size
from darts_pl.selection.sizes import PairSizes, refuse_other_size
from darts_pl.selection.strongest_within import strongest_within
from darts_pl.selection.trials import Trials
from darts_pl.selection.units import Option, Unit, assemble, most_likely, units_of
from darts_pl.settings import above, at_least, or_null, setting
from darts_pl.spaces import Space, Supernet

#: Parameters, multiply-adds, nanoseconds: of a network, or what an option adds to it.
Amounts = tuple[int, int, int]


class Limited(NamedTuple):
    """What can be limited: its key, its unit, and how an amount of it is written in a message."""

    key: str
    unit: str
    write: Callable[[int], str]


class Choices(NamedTuple):
    """What the limits choose from: all options, how sizes are measured, what each option adds, and to what."""

    units: Sequence[Unit]
    sizes: PairSizes
    added: Sequence[Sequence[Amounts]]
    base: Amounts


LIMITED = (
    Limited("max_parameters", "parameters", str),
    Limited("max_multiply_adds", "multiply-adds", str),
    Limited("max_latency_ms", "ms of predicted latency", lambda time: f"{milliseconds(time):.6f}"),
)


#: Relative difference of the reference networks from their latencies in the table above which a line is printed.
_SAME_SPEED = 0.05


@dataclass(frozen=True, kw_only=True)
class MagnitudeWithinSettings:
    """Limits on the final network."""

    max_parameters: int | None = setting(
        "most parameters of the final network, without an auxiliary tower", or_null(at_least(1), "no limit")
    )
    max_multiply_adds: int | None = setting(
        "most multiply-adds of the final network for one sample", or_null(at_least(1), "no limit")
    )
    max_latency_ms: float | None = setting(
        "longest predicted latency of the final network, in milliseconds", or_null(above(0), "no limit")
    )
    latency: str | None = setting("folder of a run of task=latency, or its latency.json; null without max_latency_ms")

    def misfits(self, space: Space) -> Iterator[str]:
        """Why this rule does not work in a space."""
        if self.latency is not None and self.max_latency_ms is None:
            yield f"select.latency={self.latency}: needs select.max_latency_ms"
        if self.max_parameters is None and self.max_multiply_adds is None and self.max_latency_ms is None:
            yield (
                "select=magnitude_within: give select.max_parameters or select.max_multiply_adds, or "
                "select.max_latency_ms with select.latency"
            )
        if self.max_multiply_adds is not None and space.data == "text":
            yield "select.max_multiply_adds: nobody counts multiply-adds on text; use select.max_parameters"
        if self.max_latency_ms is not None and self.latency is None:
            yield "select.max_latency_ms: needs select.latency=RUN, the folder of a run of task=latency"
        if self.latency is not None:
            try:
                LatencyTable.read(self.latency).check_space(space)
            except UserError as error:
                yield str(error)


@RULES.register("magnitude_within", settings=MagnitudeWithinSettings)
class MagnitudeWithin:
    """The genotype with the largest sum of the logarithms of its operations' mixing weights that is within the limits.

    It is found exactly, by dynamic programming over the nodes. Latencies are predicted from a table.

    Raises:
        UserError: if the table of latencies is missing or damaged.
    """

    def __init__(self, settings: MagnitudeWithinSettings) -> None:
        time = settings.max_latency_ms
        self.limits = (
            settings.max_parameters,
            settings.max_multiply_adds,
            None if time is None else nanoseconds(time),
        )
        self.latencies = None if settings.latency is None else LatencyTable.read(settings.latency)

    def check(
        self, supernet: Supernet, networks: Callable[[], FinalNetworks], size: Callable[[Genotype], Size]
    ) -> None:
        """Raise UserError unless the table of latencies holds for these networks, and one of them is within the limits.

        Args:
            supernet: trained or not.
            networks: gives the final networks.
            size: of a genotype's final network.
        """
        if self.latencies is not None:
            self.latencies.check(networks().identity)
        choices = self._choices(supernet, size)
        strongest_options(choices.units, choices.added, choices.base, self.limits)

    def __call__(self, supernet: Supernet, trials: Trials) -> Genotype:
        """The genotype, its pairs listed strongest first. What the limits cost is recorded and told.

        Raises:
            UserError: if no genotype is within the limits; the message has the smallest possible amount.
        """
        if self.latencies is not None:
            self.latencies.check(trials.final_networks().identity)
        space = supernet.space
        units, sizes, added, base = self._choices(supernet, trials.size)
        best = strongest_options(units, added, base, self.limits)
        found = assemble(space, units, best, ranked=True)
        amounts = _total(units, added, best, base)
        refuse_other_size(amounts[:2], sizes.amounts(found))
        free = most_likely(units, 1)[0]
        unlimited = assemble(space, units, free, ranked=True)
        without = (*sizes.amounts(unlimited), _total(units, added, free, base)[2])
        cost = sum(one.log_weight for one in free) - sum(one.log_weight for one in best)

        def record() -> dict[str, Any]:
            return {
                "genotype": str(found),
                **self._values("", amounts, sizes),
                "unlimited": str(unlimited),
                **self._values("unlimited_", without, sizes),
                "log_likelihood_lost": cost,
                **self._measured(found, trials),
            }

        recorded = trials.decide("limits", record)
        trials.tell(
            f"{self._words(amounts, sizes)} within the limits, {self._words(without, sizes)} without them; "
            f"the limits cost {cost:.3f} of the log likelihood"
        )
        if self.latencies is not None:
            trials.tell(_latency_words(milliseconds(amounts[2]), recorded))
        return found

    def _choices(self, supernet: Supernet, size: Callable[[Genotype], Size]) -> Choices:
        units, sizes = units_of(supernet, strengths(supernet)), PairSizes(supernet.space, size)
        if self.limits[1] is not None and not sizes.counts_multiply_adds:
            raise UserError("select.max_multiply_adds: nobody counts multiply-adds here; use select.max_parameters")
        inputs = KINDS.get(supernet.space.kind).input_nodes
        added = [[self._amounts(sizes, unit, option, inputs) for option in unit.options] for unit in units]
        return Choices(units, sizes, added, (*sizes.base, self._base()))

    def _amounts(self, sizes: PairSizes, unit: Unit, option: Option, inputs: int) -> Amounts:
        time = 0
        if self.latencies is not None:
            time = sum(self.latencies.of_pair(unit.cell_type, pair, inputs) for pair in option.pairs)
        return (*sizes.of_pairs(unit, option.pairs), time)

    def _base(self) -> int:
        return 0 if self.latencies is None else self.latencies.base.median

    def _measured(self, genotype: Genotype, trials: Trials) -> dict[str, Any]:
        """What the network of the genotype takes, measured as the table was, and how fast the device is now."""
        table = self.latencies
        if table is None:
            return {}
        networks = trials.final_networks()
        references = [one for one in reference_genotypes(networks.cells) if table.covers(one)]
        spread, *others = measure_networks(networks, [genotype, *references], Repeats(**table.settings))
        ratios = [other.median / table.predict(one) for one, other in zip(references, others, strict=True)]
        return {
            "measured_latency_ms": milliseconds(spread.median),
            "measured_latency_quartiles": [milliseconds(spread.low), milliseconds(spread.high)],
            "reference_ratio": statistics.median(ratios) if ratios else None,
        }

    def _values(self, prefix: str, amounts: Amounts, sizes: PairSizes) -> dict[str, Any]:
        found = {
            f"{prefix}parameters": amounts[0],
            f"{prefix}multiply_adds": amounts[1] if sizes.counts_multiply_adds else None,
        }
        return found if self.latencies is None else {**found, f"{prefix}latency_ms": milliseconds(amounts[2])}

    def _words(self, amounts: Amounts, sizes: PairSizes) -> str:
        parts = [f"{amounts[0]:,} parameters"]
        parts += [f"{amounts[1]:,} multiply-adds"] if sizes.counts_multiply_adds else []
        parts += [] if self.latencies is None else [f"{milliseconds(amounts[2]):.3f} ms"]
        return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def strongest_options(
    units: Sequence[Unit],
    added: Sequence[Sequence[Amounts]],
    base: Amounts,
    limits: tuple[int | None, int | None, int | None],
) -> list[Option]:
    """One option per unit with the largest sum of logarithms that is within the limits.

    Args:
        units: all choices.
        added: what each option of each unit adds to `base`.
        base: to which the options add.
        limits: the largest of each amount; None = no limit.

    Raises:
        UserError: if there is none.
    """
    which = [index for index, limit in enumerate(limits) if limit is not None]
    room = [(limits[index] or 0) - base[index] for index in which]
    amounts = [[tuple(one[index] for index in which) for one in row] for row in added]
    chosen = strongest_within([[option.log_weight for option in unit.options] for unit in units], amounts, room)
    if chosen is None:
        _refuse(added, base, limits, which)
    return [unit.options[place] for unit, place in zip(units, chosen or [], strict=True)]


def _refuse(
    added: Sequence[Sequence[Amounts]], base: Amounts, limits: Sequence[int | None], which: Sequence[int]
) -> None:
    """Raise UserError for the first limit that is too small alone, or else together with those before it."""
    for index in which:
        least = base[index] + sum(min(one[index] for one in row) for row in added)
        _refuse_below(index, limits, [], least)
    for count, index in enumerate(which):
        before = list(which[:count])
        amounts = [[tuple(one[other] for other in before) for one in row] for row in added]
        smallest = strongest_within(
            [[-float(one[index]) for one in row] for row in added],
            amounts,
            [(limits[other] or 0) - base[other] for other in before],
        )
        assert smallest is not None, "the limits before it can be met together"
        least = base[index] + sum(row[place][index] for row, place in zip(added, smallest, strict=True))
        _refuse_below(index, limits, before, least)
    raise AssertionError("every limit can be met together with those before it")


def _refuse_below(index: int, limits: Sequence[int | None], before: Sequence[int], least: int) -> None:
    limit = limits[index]
    if limit is None or limit >= least:
        return
    own = LIMITED[index]
    given = [f"{LIMITED[other].key}={LIMITED[other].write(limits[other] or 0)}" for other in before]
    start = f"with {' and '.join(given)} the" if given else "the"
    raise UserError(
        f"select.{own.key}={own.write(limit)}: {start} smallest final network of this search has {own.write(least)} "
        f"{own.unit}; give at least {own.write(least)}"
    )


def _total(
    units: Sequence[Unit], added: Sequence[Sequence[Amounts]], options: Sequence[Option], base: Amounts
) -> Amounts:
    rows = [row[unit.options.index(option)] for unit, row, option in zip(units, added, options, strict=True)]
    parameters, multiply_adds, time = (sum(one) for one in zip(base, *rows, strict=True))
    return parameters, multiply_adds, time


def _latency_words(predicted: float, recorded: dict[str, Any]) -> str:
    measured, (low, high) = recorded["measured_latency_ms"], recorded["measured_latency_quartiles"]
    line = (
        f"latency: {predicted:.3f} ms predicted, {measured:.3f} ms measured (quartiles {low:.3f} to {high:.3f}): "
        f"error {(predicted - measured) / measured:+.1%}"
    )
    ratio = recorded["reference_ratio"]
    if ratio is None or abs(ratio - 1) < _SAME_SPEED:
        return line
    return (
        f"{line}; the device changed its speed since task=latency, whose reference networks now take {ratio:.2f} "
        f"times as long: with this factor, error {(ratio * predicted - measured) / measured:+.1%}"
    )
