"""How long something takes: computations that take turns, and medians of what each needed."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch

#: Runs a computation once and returns the seconds that it took.
Timed = Callable[[], float]


class Clock:
    """Seconds of one computation.

    Args:
        device: "cpu" or "cuda"; on the latter the clock waits for the device.
        kind: "process" = the time of all CPU cores that this process used, which other programs on the
            machine hardly change; "wall" = the time that passed. On a GPU always the latter.
    """

    def __init__(self, device: str, kind: str) -> None:
        self.device = device
        self.kind = "wall" if device == "cuda" else kind

    def __call__(self, run: Callable[[], Any]) -> float:
        """The seconds of one call of `run`."""
        read = time.process_time if self.kind == "process" else time.perf_counter
        self._wait()
        start = read()
        run()
        self._wait()
        return read() - start

    def of(self, run: Callable[[], Any]) -> Timed:
        """`run` as something that returns its seconds."""
        return lambda: self(run)

    def _wait(self) -> None:
        if self.device == "cuda":
            torch.cuda.synchronize()


def alternate(runs: Mapping[str, Timed], rounds: int) -> dict[str, list[float]]:
    """The seconds of each run, by name; in every round each runs twice, of which the second counts.

    The first one finds caches and the allocator's memory as another computation left them, which costs a
    short step more than a long one; in a run every step follows one of its own kind.
    """
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            run()
            times[name].append(run())
    return times


def ratio(above: list[float], below: list[float]) -> float:
    """Median of the ratios of the rounds: both numbers of a round were measured next to each other."""
    return statistics.median(first / second for first, second in zip(above, below, strict=True))
