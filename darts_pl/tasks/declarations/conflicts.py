"""What does not fit together across sections of the configuration."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from darts_pl.config import CROSS_CHECKS, Config
from darts_pl.data.settings import DATA_KINDS
from darts_pl.spaces import RELAXATIONS, SKIPS, SPACES, Space

#: What a search may run in; bfloat16 in first order only.
SEARCH_PRECISIONS = ("32-true", "64-true", "bf16-mixed")

#: Why a search does not run in a precision.
PRECISION_REASONS = {
    **dict.fromkeys(
        ("16", "16-mixed", "16-true"), "a search scales no losses, so float16 gradients of the alphas underflow\n"
    ),
    "bf16-true": "weights kept in bfloat16 lose updates smaller than 1/256 of their value\n",
}


@CROSS_CHECKS.register("precision")
def check_precision(config: Config) -> Iterator[str]:
    """A search runs in a precision in which the gradient of the alphas means something."""
    precision, order = config.hardware.precision, config.order
    if not config.task.runs_search:
        return
    if "bf16" in precision and not getattr(order, "low_precision", False):
        yield (
            f"hardware.precision={precision} with order={order.name}: "
            f"{order.reason}\nuse hardware.precision=32-true, or order=first"
        )
    if precision not in SEARCH_PRECISIONS:
        reason = PRECISION_REASONS.get(precision, "")
        yield (
            f"hardware.precision={precision}: {reason}use hardware.precision=32-true, 64-true, "
            "or bf16-mixed with order=first"
        )


@CROSS_CHECKS.register("recompute")
def check_recompute(config: Config) -> Iterator[str]:
    """Cells that are computed again are differentiated once."""
    if not (config.task.runs_search and getattr(config.search, "recompute", False)):
        return
    if getattr(config.order, "differentiates_twice", True):
        yield (
            f"search.recompute=true with order={config.order.name}, which differentiates twice: "
            "use order=first or order=second"
        )
    for name in _observers_that_differentiate_twice(config):
        yield f"search.recompute=true with the observer {name}, which differentiates twice: use false"


def _observers_that_differentiate_twice(config: Config) -> list[str]:
    return [name for name, one in config.observers.items() if getattr(one, "differentiates_twice", False)]


@CROSS_CHECKS.register("compile")
def check_compile(config: Config) -> Iterator[str]:
    """Compiled parts are differentiated once, compute all candidates, and do not change from epoch to epoch."""
    hardware = config.hardware
    if not hardware.compile:
        return
    if hardware.devices not in (1, "1", "auto") or hardware.strategy == "ddp" or (hardware.nodes or 1) > 1:
        yield "hardware.compile=true: is for one process; use hardware.devices=1, or hardware.compile=false"
    if hardware.precision not in ("32-true", "64-true"):
        yield f"hardware.compile=true with hardware.precision={hardware.precision}: use 32-true, 64-true, or false"
    if config.time_budget is not None:
        yield f"hardware.compile=true with time_budget={config.time_budget}, which knows no compilation: use false"
    if config.task.runs_search:
        yield from _search_misfits(config)


def _search_misfits(config: Config) -> Iterator[str]:
    """Why the parts of a search cannot be compiled."""
    if getattr(config.order, "differentiates_twice", True):
        yield (
            f"hardware.compile=true with order={config.order.name}: compiled code is differentiated once; "
            "use false, order=first or order=second"
        )
    for name in _observers_that_differentiate_twice(config):
        yield f"hardware.compile=true with the observer {name}, which differentiates twice: use false"
    if getattr(config.search, "recompute", False):
        yield "hardware.compile=true with search.recompute=true: compiled code chooses what it keeps; use one of them"
    if RELAXATIONS.build(config.relaxation).single_path:
        yield (
            f"hardware.compile=true with relaxation={config.relaxation.name}: every step computes other candidates, "
            "and every choice would be compiled; use false"
        )
    reason = SKIPS.build(config.skip).not_compiled
    if reason is not None:
        yield f"hardware.compile=true with skip={config.skip.name}: {reason}; use false"


@CROSS_CHECKS.register("time")
def check_time(config: Config) -> Iterator[str]:
    """Only a search and a training are fitted to a time, and only a training is compared."""
    tasks = ("search", "retrain", "search_and_retrain")
    for key, fitting in (("time_budget", tasks), ("compare", tasks[1:])):
        if getattr(config, key) is not None and config.task.name not in fitting:
            yield f"{key}={getattr(config, key)} with task={config.task.name}: is for task={', '.join(fitting)} only"
    if config.time_budget is not None and config.task.runs_search and config.stages.name != "single":
        yield (
            f"time_budget={config.time_budget} with stages={config.stages.name}: measures one supernet, and each stage "
            "has its own; set search.epochs and search.layers instead"
        )


@CROSS_CHECKS.register("select")
def check_rule(config: Config) -> Iterator[str]:
    """A selection rule works in the space that is searched."""
    if config.task.runs_search:
        yield from misfits_of_rule(config.select, SPACES.get(config.search.space))


def misfits_of_rule(select: Any, space: Space) -> Iterator[str]:
    """Why a selection rule does not work in a space.

    Args:
        select: settings of the rule; those with a method `misfits` are asked.
        space: what is searched.
    """
    misfits: Callable[[Space], Iterator[str]] | None = getattr(select, "misfits", None)
    if misfits is not None:
        yield from misfits(space)


@CROSS_CHECKS.register("data")
def check_data(config: Config) -> Iterator[str]:
    """A search space reads images or text."""
    reads, holds, space = SPACES.get(config.search.space).data, config.data.holds, config.search.space
    if not config.task.runs_search or reads == holds:
        return
    data = [kind.examples for kind in map(DATA_KINDS.get, DATA_KINDS) if kind.holds == reads]
    spaces = [f"search={name}" for name in SPACES if SPACES.get(name).data == holds]
    yield (
        f"search.space={space} reads {reads}, but data={config.data.name} {_IS.get(holds, 'holds')} {holds}; "
        f"use {data[0] if data else f'data that are {reads}'}{''.join(f', or {one}' for one in spaces)}"
    )


_IS = {"images": "holds", "text": "is"}
