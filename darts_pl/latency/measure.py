"""Measuring networks and their operations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from darts_pl.errors import UserError
from darts_pl.genotype import KINDS, Genotype
from darts_pl.latency.latency_table import LatencyTable, Row
from darts_pl.latency.networks import FinalNetworks, reference_genotypes
from darts_pl.latency.spread import Spread
from darts_pl.spaces import ComputedPair, PairClass

T = TypeVar("T")

#: How often a measurement that was interrupted is repeated.
TRIES = 5


class Repeats(NamedTuple):
    """How often something is measured.

    Args:
        batch_size: samples per pass.
        repeats: measured passes per network, 1 or more.
        warmup: passes per network before them, which do not count.
    """

    batch_size: int
    repeats: int
    warmup: int


@dataclass
class _Measured:
    """A network, its operations where they are measured, and what was measured: per pass the seconds of the whole and
    of each operation."""

    network: nn.Module
    computed: Sequence[ComputedPair] = ()
    rows: Sequence[Row] = ()
    whole: list[float] = field(default_factory=list)
    parts: list[list[float]] = field(default_factory=list)


def measure_networks(networks: FinalNetworks, genotypes: Sequence[Genotype], repeats: Repeats) -> list[Spread]:
    """The latency of the network of each genotype.

    Networks are measured in turn, and each is run once more before every measurement: a slow phase of the machine
    falls on all of them alike, and the caches hold what they do in a program that runs one network.

    Args:
        networks: how they are built.
        genotypes: whose networks are measured; all of them are in memory at once.
        repeats: how often.
    """
    batch = networks.batch(repeats.batch_size)
    with networks.computing():
        measured = [_Measured(networks.network(genotype)) for genotype in genotypes]
        _measure(networks, measured, batch, repeats)
    return [Spread.of(one.whole) for one in measured]


def measure_table(
    networks: FinalNetworks, repeats: Repeats, compared: Sequence[Genotype] = ()
) -> tuple[LatencyTable, list[Spread]]:
    """The table of the latencies of all operations of a space, each measured inside final networks, and the latencies
    of other whole networks, which the table does not use.

    The operations are measured in the networks of `reference_genotypes`: an operation takes longer in a network that
    mixes operations than alone, where nothing replaces its data in the caches. The base is what passes without
    measured operations take beyond the sum of their operations. What several operations that read one node share, such
    as its ReLU, counts for the one that computes it first; the base levels out the difference over these networks.

    Args:
        networks: how they are built.
        repeats: how often.
        compared: genotypes whose networks are measured in the same rounds.

    Raises:
        UserError: if the space does not say where its operations are, or a pair of one class is computed at other
            sizes in another network.
    """
    batch = networks.batch(repeats.batch_size)
    genotypes = reference_genotypes(networks.cells)
    with networks.computing():
        measured = [_prepare(networks, genotype, batch) for genotype in genotypes]
        others = [_Measured(networks.network(genotype)) for genotype in compared]
        _measure(networks, [*measured, *others], batch, repeats)
    rows = _row_spreads(measured)
    join, base = _rest(measured, rows)
    table = LatencyTable(
        networks.identity,
        repeats._asdict(),
        rows,
        _pair_rows(networks, genotypes, measured),
        base,
        join,
        {"torch": torch.__version__, "threads": torch.get_num_threads(), "clock": networks.timer.name},
    )
    return table, [Spread.of(one.whole) for one in others]


def _measure(networks: FinalNetworks, measured: Sequence[_Measured], batch: Tensor, repeats: Repeats) -> None:
    """Fill in what was measured, in rounds over all networks."""
    for one in measured:
        for _ in range(repeats.warmup):
            one.network(batch)
    for _ in range(repeats.repeats):
        for one in measured:
            one.network(batch)
            one.whole.append(_undisturbed(networks, partial(_seconds_of_pass, networks, one.network, batch)))
            if one.computed:
                one.parts.append(_undisturbed(networks, partial(_seconds_of_parts, networks, one, batch)))


def _prepare(networks: FinalNetworks, genotype: Genotype, batch: Tensor) -> _Measured:
    """The network of a genotype, with the rows of its operations read off the maps of one pass."""
    network = networks.network(genotype)
    computed = list(networks.space.computed_pairs(genotype, network))
    shapes: list[tuple[int, int, int]] = []

    def note(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        channels, height, width = inputs[0].shape[-3:]
        shapes.append((channels, height, width))

    handles = [one.module.register_forward_pre_hook(note) for one in computed]
    network(batch)
    for handle in handles:
        handle.remove()
    assert len(shapes) == len(computed), "a network computes each of its operations once, in the order of its pairs"
    rows = [Row(one.pair.operation, one.stride, *shape) for one, shape in zip(computed, shapes, strict=True)]
    return _Measured(network, computed, rows)


def _undisturbed(networks: FinalNetworks, measure: Callable[[], T]) -> T:
    """What is measured while the system interrupts this program for no other one; after some tries, the last result."""
    for _ in range(TRIES):
        before = networks.timer.interruptions()
        found = measure()
        if networks.timer.interruptions() == before:
            break
    return found


def _seconds_of_pass(networks: FinalNetworks, network: nn.Module, batch: Tensor) -> float:
    clock = networks.timer
    clock.finish()
    start = clock.mark()
    network(batch)
    return clock.seconds(start, clock.mark())


def _seconds_of_parts(networks: FinalNetworks, measured: _Measured, batch: Tensor) -> list[float]:
    """The time of each operation in one pass. Only marks are set while it runs; they are read afterwards."""
    clock, starts, ends = networks.timer, list[Any](), list[Any]()
    handles = []
    for one in measured.computed:
        handles.append(one.module.register_forward_pre_hook(lambda *_: starts.append(clock.mark())))
        handles.append(one.module.register_forward_hook(lambda *_: ends.append(clock.mark())))
    clock.finish()
    measured.network(batch)
    clock.finish()
    for handle in handles:
        handle.remove()
    return [clock.seconds(start, end) for start, end in zip(starts, ends, strict=True)]


def _rest(measured: Sequence[_Measured], rows: Mapping[Row, Spread]) -> tuple[int, Spread]:
    """What one join takes, in nanoseconds, and what remains of the networks without operations and joins.

    The join is the slope of a straight line, fitted by least squares to what networks take beside their operations
    against the number of these.
    """
    rest = np.array([np.median(one.whole) - sum(rows[row].median for row in one.rows) / 1e9 for one in measured])
    counts = np.array([len(one.rows) for one in measured], float)
    slope = 0.0
    if counts.min() < counts.max():
        off = counts - counts.mean()
        slope = max(float(off @ (rest - rest.mean()) / (off @ off)), 0.0)
    join = round(1e9 * slope)
    return join, Spread.of(np.maximum(rest - join / 1e9 * counts, 0.0).tolist())


def _row_spreads(measured: Sequence[_Measured]) -> dict[Row, Spread]:
    samples: dict[Row, list[float]] = {}
    for one in measured:
        for parts in one.parts:
            for row, seconds in zip(one.rows, parts, strict=True):
                samples.setdefault(row, []).append(seconds)
    order = dict.fromkeys(row.operation for row in samples)
    ranks = {operation: rank for rank, operation in enumerate(order)}
    return {row: Spread.of(samples[row]) for row in sorted(samples, key=lambda row: (ranks[row.operation], *row[1:]))}


def _pair_rows(
    networks: FinalNetworks, genotypes: Sequence[Genotype], measured: Sequence[_Measured]
) -> Mapping[PairClass, tuple[Row, ...]]:
    """By class of pairs, the rows of one pair in all cells of its type."""
    inputs = KINDS.get(networks.cells.kind).input_nodes
    found: dict[PairClass, tuple[Row, ...]] = {}
    for genotype, one in zip(genotypes, measured, strict=True):
        of_pair: dict[tuple[str, int, str, int], list[Row]] = {}
        for computed, row in zip(one.computed, one.rows, strict=True):
            of_pair.setdefault((computed.cell_type, computed.target, *computed.pair), []).append(row)
        for name, cell in genotype.cells.items():
            for target, pairs in enumerate(cell.nodes, start=inputs):
                for pair in pairs:
                    rows = tuple(sorted(of_pair.get((name, target, *pair), ())))
                    kind = (name, pair.operation, pair.source < inputs)
                    if found.setdefault(kind, rows) != rows:
                        raise UserError(
                            f"the latency of {pair.operation} in the {name} cell depends on its place: pairs of this "
                            "space do not add up"
                        )
    return found
