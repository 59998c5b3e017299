"""task=latency: the latency of every operation of a space in its final networks, and how well they add up."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytorch_lightning as pl
import torch

from darts_pl.genotype import Genotype
from darts_pl.latency import (
    FinalNetworks,
    LatencyTable,
    Repeats,
    Spread,
    measure_table,
    milliseconds,
    spread_values,
)
from darts_pl.problems import open_problem
from darts_pl.records.folder import Summary
from darts_pl.report import MEASURES
from darts_pl.settings import at_least, setting
from darts_pl.spaces import SPACES
from darts_pl.tasks.declarations.registry import TaskSettings
from darts_pl.tasks.execution.context import Context


@dataclass(frozen=True, kw_only=True)
class LatencySettings(TaskSettings):
    """A measurement of latencies."""

    batch_size: int = setting("samples per pass", at_least(1))
    repeats: int = setting("measured passes per network", at_least(1))
    warmup: int = setting("passes per network before the measured ones", at_least(0))
    networks: int = setting("random genotypes whose whole networks are compared with the prediction", at_least(2))


@dataclass(frozen=True)
class Comparison:
    """Predicted and measured latencies of whole networks, in nanoseconds [networks].

    Args:
        predicted: from the table.
        operations: the part of them that the operations take.
        measured: medians.
    """

    predicted: np.ndarray
    operations: np.ndarray
    measured: np.ndarray

    @property
    def rank_correlation(self) -> float:
        """Spearman's, of prediction and measurement; nan where one of them is constant."""
        return MEASURES["spearman"](self.predicted, self.measured)

    @property
    def errors(self) -> np.ndarray:
        """Relative errors of the prediction."""
        return (self.predicted - self.measured) / self.measured

    @property
    def mean_error(self) -> float:
        """Mean absolute relative error of the prediction."""
        return float(np.abs(self.errors).mean())

    @property
    def mean_error_of_operations(self) -> float:
        """The same of the operations alone, without the base."""
        return float((np.abs(self.operations - self.measured) / self.measured).mean())


def latency(context: Context) -> Summary:
    """Measure the table and compare its predictions with whole networks; returns the summary.

    The folder receives `latency.json`, with the table and the comparison.

    Raises:
        UserError: if the latency of the space's networks is not measured, or the device is not available.
    """
    config, started = context.config, time.monotonic()
    pl.seed_everything(config.seed, workers=True, verbose=False)
    space = SPACES.get(config.search.space)
    space.check_latency_is_measured()
    networks = open_problem(config).final_networks()
    settings = config.task
    repeats = Repeats(settings.batch_size, 1 if config.debug else settings.repeats, settings.warmup)
    print("\n".join(_heading(networks, repeats)), flush=True)
    draw = random.Random(config.seed)
    genotypes = [space.draw(networks.cells, draw) for _ in range(settings.networks)]
    table, measured = measure_table(networks, repeats, genotypes)
    found = compare(table, genotypes, measured)
    print("\n".join([*_table_lines(table), *_comparison_lines(found, measured)]), flush=True)
    results: Summary = {
        "latency/rank_correlation": found.rank_correlation,
        "latency/mean_error": found.mean_error,
        "latency/mean_error_of_operations": found.mean_error_of_operations,
        "latency/base_ms": milliseconds(table.base.median),
    }
    rows = zip(genotypes, found.predicted.tolist(), measured, strict=True)
    table.write(
        context.folder.path,
        networks=[
            {"genotype": str(one), "predicted": milliseconds(time), **spread_values(spread)}
            for one, time, spread in rows
        ],
        comparison={name.removeprefix("latency/"): value for name, value in results.items()},
    )
    summary: Summary = {
        "task": "latency",
        "seed": config.seed,
        "space": space.name,
        "data": config.data.name,
        "device": str(networks.identity["device"]),
        "rows": len(table.rows),
        "networks": len(genotypes),
        **results,
        "seconds": round(time.monotonic() - started, 3),
    }
    context.folder.write_summary(summary)
    return summary


def compare(table: LatencyTable, genotypes: Sequence[Genotype], measured: Sequence[Spread]) -> Comparison:
    """The predictions of a table beside what was measured.

    Args:
        table: of the same networks on the same device.
        genotypes: whose networks were measured.
        measured: their latencies.
    """
    operations = np.array([table.of_operations(one) for one in genotypes], float)
    return Comparison(
        operations + table.base.median, operations, np.array([spread.median for spread in measured], float)
    )


def _heading(networks: FinalNetworks, repeats: Repeats) -> list[str]:
    known = networks.identity
    sizes = ", ".join(f"{name} {value}" for name, value in networks.sizes.items() if name != "auxiliary")
    threads = torch.get_num_threads()
    return [
        f"device    {known['device']}, {threads} CPU thread{'s' if threads > 1 else ''}, torch {torch.__version__}, "
        f"{networks.precision}",
        f"network   {sizes}",
        f"sample    {known['sample']}, batches of {repeats.batch_size}",
        f"measured  {repeats.repeats} passes per network after {repeats.warmup} to warm up, {networks.timer.name}",
        "",
    ]


def _table_lines(table: LatencyTable) -> list[str]:
    width = max(len(row.operation) for row in table.rows) + 2
    lines = [f"{'operation':<{width}}stride  channels       map  median ms  quartiles"]
    for row, spread in table.rows.items():
        size = f"{row.height}x{row.width}"
        lines.append(f"{row.operation:<{width}}{row.stride:>6}  {row.channels:>8}  {size:>8}  {_times(spread)}")
    join = [f"{'each sum':<{width + 26}}{milliseconds(table.join):9.4f}"] if table.join else []
    return [*lines, *join, f"{'everything else':<{width + 26}}{_times(table.base)}", ""]


def _times(spread: Spread) -> str:
    low, high = milliseconds(spread.low), milliseconds(spread.high)
    return f"{milliseconds(spread.median):9.4f}  {low:.4f} to {high:.4f}"


def _comparison_lines(found: Comparison, measured: Sequence[Spread]) -> list[str]:
    lines = ["network  predicted ms  measured ms  quartiles           error"]
    for number, (predicted, spread, error) in enumerate(zip(found.predicted, measured, found.errors, strict=True), 1):
        quartiles = f"{milliseconds(spread.low):.4f} to {milliseconds(spread.high):.4f}"
        lines.append(
            f"{number:>7}  {milliseconds(predicted):12.4f}  {milliseconds(spread.median):11.4f}  {quartiles:<18}  "
            f"{error:+6.1%}"
        )
    return [
        *lines,
        "",
        f"Spearman's rank correlation {found.rank_correlation:.3f}, mean absolute error {found.mean_error:.1%}; "
        f"operations alone, without everything else, {found.mean_error_of_operations:.1%}",
    ]
