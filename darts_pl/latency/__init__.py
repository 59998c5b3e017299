"""The latency of final networks: measured, and predicted from a table of their operations."""

from darts_pl.latency.clock import Clock, CpuClock, CudaClock, ThreadClock, clock_of
from darts_pl.latency.latency_table import FILE, LatencyTable, Row, spread_values
from darts_pl.latency.measure import Repeats, measure_networks, measure_table
from darts_pl.latency.networks import FinalNetworks, reference_genotypes
from darts_pl.latency.spread import Spread, milliseconds, nanoseconds

__all__ = [
    "FILE",
    "Clock",
    "CpuClock",
    "CudaClock",
    "FinalNetworks",
    "LatencyTable",
    "Repeats",
    "Row",
    "Spread",
    "ThreadClock",
    "clock_of",
    "measure_networks",
    "measure_table",
    "milliseconds",
    "nanoseconds",
    "reference_genotypes",
    "spread_values",
]
