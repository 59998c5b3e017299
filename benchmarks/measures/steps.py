"""Steps of searches and of trainings, in both forms: time, operations, saved bytes, peak memory."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.base import ROOT, worker
from benchmarks.counting import cost
from benchmarks.measures.memory import peak
from benchmarks.table import LIMITS, Result
from benchmarks.timing import Clock, Timed, alternate, ratio
from benchmarks.workloads import WORKLOADS, Pair

#: By which factor of itself two losses in float32 may differ.
SAME = 2e-3


@dataclass(frozen=True)
class Machine:
    """Where and how is measured.

    Args:
        device: "cpu" or "cuda".
        clock: what times.
        threads: of the CPU.
        rounds: in which both forms take turns.
        base: a folder with the library of another commit; None = not asked for.
    """

    device: str
    clock: Clock
    threads: int
    rounds: int
    base: Path | None = None


class DisagreementError(Exception):
    """Both forms do not compute the same function, so that comparing their times says nothing."""


def check(name: str, pair: Pair, *orders: str) -> None:
    """Raise DisagreementError unless both forms have the same loss, before a step of each order and after it."""
    for order in (None, *orders):
        if order is not None:
            _step(pair.ours, order)
            _step(pair.theirs, order)
        ours, theirs = pair.ours.loss(), pair.theirs.loss()
        if not abs(ours - theirs) <= SAME * abs(theirs):
            when = "before the first step" if order is None else f"after a step ({order})"
            raise DisagreementError(f"{name}: {when} the losses are {ours:.6g} and {theirs:.6g}: not the same function")


def _step(form: Any, order: str) -> None:
    form.step() if order == "step" else form.step(order)


def _times(workload: str, pair: Pair, orders: tuple[str, ...], machine: Machine) -> dict[str, dict[str, list[float]]]:
    """By order and form the seconds of every round."""
    folders = {} if machine.base is None else {"base": machine.base, "now": ROOT}
    found = {}
    with ExitStack() as stack:
        others = {
            name: stack.enter_context(worker(folder, workload, machine.device, machine.clock.kind, machine.threads))
            for name, folder in folders.items()
        }
        for order in orders:
            runs: dict[str, Timed] = {
                "ours": machine.clock.of(partial(_step, pair.ours, order)),
                "theirs": machine.clock.of(partial(_step, pair.theirs, order)),
            }
            runs |= {name: asked[order] for name, asked in others.items()}
            found[order] = alternate(runs, machine.rounds)
    return found


def _time_row(key: str, times: dict[str, list[float]]) -> Result:
    return Result(
        LIMITS[key],
        ratio(times["ours"], times["theirs"]),
        statistics.median(times["ours"]),
        statistics.median(times["theirs"]),
        "s",
        ratio(times["now"], times["base"]) if "base" in times else None,  # both in processes of their own
    )


def _search(workload: str, name: str, machine: Machine) -> Iterator[Result]:
    """Times and counts of a search, under the keys that begin with `name`."""
    pair = WORKLOADS[workload](machine.device)
    check(name, pair, "first")
    times = _times(workload, pair, ("first", "second"), machine)
    for order in ("first", "second"):
        yield _time_row(f"{name} {order} time", times[order])
    if name == "cnn":
        ours, theirs = times["second"]["ours"], times["first"]["theirs"]
        found = ratio(ours, theirs)
        yield Result(LIMITS["cnn second over first"], found, statistics.median(ours), statistics.median(theirs), "s")
    yield from _operations(workload, name, machine)
    yield _saved(pair, name)


def _operations(workload: str, name: str, machine: Machine) -> Iterator[Result]:
    """Of a step on a batch of 2, which has the same operations as any other; momentum is there already."""
    small = WORKLOADS[workload](machine.device, batch=2)
    for order in ("first", "second"):
        counts = []
        for form in small[:2]:
            if order == "first":
                form.step("first")
            counts.append(cost(partial(form.step, order)).operations)
        yield Result(LIMITS[f"{name} {order} operations"], counts[0] / counts[1], *counts)


def _saved(pair: Pair, name: str) -> Result:
    """Of the passes of a first-order step, of which one is held at a time, the one that saves most."""
    saved = [cost(partial(form.step, "first")).saved / 1e6 for form in pair]
    return Result(LIMITS[f"{name} saved"], saved[0] / saved[1], *saved, "MB")


def convolutional_search(machine: Machine) -> Iterator[Result]:
    """The search for images."""
    yield from _search("cnn_search", "cnn", machine)
    peaks = [peak("cnn_search", form, machine.device, machine.threads) for form in ("ours", "theirs")]
    yield Result(LIMITS["cnn peak"], peaks[0] / peaks[1], *(value / 1e6 for value in peaks), "MB")


def recurrent_search(machine: Machine) -> Iterator[Result]:
    """The search for text."""
    yield from _search("rnn_search", "rnn", machine)


def trainings(machine: Machine) -> Iterator[Result]:
    """Training from scratch."""
    for workload, key in (("classifier", "classifier time"), ("language_model", "language time")):
        pair = WORKLOADS[workload](machine.device)
        check(workload, pair, "step")
        yield _time_row(key, _times(workload, pair, ("step",), machine)["step"])


def free() -> None:
    """Give back what a finished group has allocated."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
