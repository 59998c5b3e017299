"""What a method's step costs beside the plain step: `python -m benchmarks.methods`.

All supernets are of the paper's size (8 cells, 16 channels, images of 32x32) and take turns in one process; a ratio is
the median over the rounds of a method's step to the plain first-order step of the same round. Saved bytes, operations
and multiply-adds do not depend on the machine. A row fails where its ratio exceeds its limit; the command then ends
with 1.
"""

from __future__ import annotations

import os

# Read when torch is loaded: threads that wait for work sleep, so that the processor time is that of the work.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import argparse
import json
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.counting import cost
from benchmarks.timing import Clock, alternate, ratio
from darts_pl.bilevel import OBSERVERS, ORDERS, PERTURBATIONS, AlphaRecipe, Draws, SearchStep, WeightRecipe
from darts_pl.cli import config_folder
from darts_pl.config import Config, parse_config
from darts_pl.problems.search import SupernetFactory, checked_parts
from darts_pl.tasks import TASKS

assert TASKS  # importing the tasks declares the sections


@dataclass(frozen=True)
class Limit:
    """What a method's step may cost beside the plain one.

    Args:
        time: largest ratio of seconds; None = no limit of its own.
        saved: largest ratio of bytes that one pass keeps for its backward pass.
        aim: of the time.
    """

    time: float | None = None
    saved: float | None = None
    aim: float | None = None


#: By the name of a row.
LIMITS: Mapping[str, Limit] = {
    "pc_darts": Limit(0.70, 0.35, 0.55),
    "gdas": Limit(0.35, 0.27),
    "darts_minus": Limit(1.1),
    "fair_darts": Limit(1.1),
    "sdarts_rs": Limit(1.05),
    "p_darts, 8 candidates": Limit(1.1),
    "p_darts, 5 candidates": Limit(5 / 8 + 0.1),
    "p_darts, 3 candidates": Limit(3 / 8 + 0.1),
    "dr_nas": Limit(),
    "oles": Limit(),
    "sdarts_adv": Limit(),
}
#: Settings that a row has beside `method=NAME`.
SETTINGS: Mapping[str, Sequence[str]] = {
    "dr_nas": ("search.init_channels=18",),  # 16 channels are not divided by 6
}


@dataclass(frozen=True)
class Data:
    """In place of a problem."""

    facts: Mapping[str, int]


class Row:
    """A supernet with the parts of a method, and its step.

    Args:
        config: of the search.
        live: how many candidates each edge has, drawn at random; None = all.
        batch: images of each of the two batches.
    """

    def __init__(self, config: Config, live: int | None, batch: int) -> None:
        torch.manual_seed(0)
        factory = SupernetFactory(config, Data({"classes": 10, "channels": 3}))
        regulariser, stages = checked_parts(config, factory)
        self.supernet: Any = stages.first().train()
        if live is not None:
            names = config.search.candidates
            lists = [[names[one] for one in sorted(torch.randperm(len(names))[:live].tolist())] for _ in range(28)]
            self.supernet = factory(candidates=lists).train()
        self.supernet.start_epoch(1, 50)
        self.batches = [(torch.randn(batch, 3, 32, 32), torch.randint(10, (batch,))) for _ in range(2)]
        perturbation = PERTURBATIONS.build(config.perturbation)
        perturbation.start_epoch(1, 50)
        self.run = SearchStep(
            self.supernet,
            order=ORDERS.get("first")(),
            weights=WeightRecipe(0.025, 0.001, 0.9, 3e-4, 5.0, 50).optimizer(self.supernet),
            alphas=AlphaRecipe(3e-4, (0.5, 0.999), 1e-3).optimizer(self.supernet),
            grad_clip=5.0,
            regulariser=regulariser,
            perturbation=perturbation,
            observers=[OBSERVERS.build(settings) for settings in config.observers.values()],
        )
        self.steps = 0

    def step(self) -> None:
        """One step of alphas and weights."""
        self.run(*self.batches, self.steps)
        self.steps += 1

    def mixing(self, number: int) -> Any:
        """As step `number` draws it."""
        return self.supernet.mixing(Draws(0, number)("train", "cpu"), sample=True)

    def saved(self, draws: int = 3) -> float:
        """Mean bytes that a pass keeps for its backward pass."""

        def one(number: int) -> int:
            mixing = self.mixing(number)
            return cost(lambda: self.supernet.loss(self.batches[0], mixing).loss.backward()).saved

        return statistics.mean(map(one, range(draws)))

    def operations(self) -> int:
        """Operations of a step."""
        self.step()
        return cost(self.step).operations

    def multiply_adds(self, draws: int = 3) -> float:
        """Mean multiply-adds of a pass over one image."""

        def one(number: int) -> int:
            with torch.no_grad(), FlopCounterMode(display=False) as counter:
                self.supernet(self.batches[0][0][:1], self.mixing(number))
            return counter.get_total_flops() // 2  # a multiply-add is two operations there

        return statistics.mean(map(one, range(draws)))


@dataclass(frozen=True)
class Result:
    """Ratios of a method's step to the plain one.

    Args:
        name: of the row.
        seconds: median of its own step.
        time, saved, operations, multiply_adds: ratios.
        limit: of the row.
    """

    name: str
    seconds: float
    time: float
    saved: float
    operations: float
    multiply_adds: float
    limit: Limit

    @property
    def passed(self) -> bool | None:
        """Whether every ratio is within its limit; None where there is no limit."""
        pairs = ((self.time, self.limit.time), (self.saved, self.limit.saved))
        limited = [ratio <= limit for ratio, limit in pairs if limit is not None]
        return all(limited) if limited else None


def composed(method: str, *more: str) -> Config:
    """A search of the paper's size with the parts of a method, typed."""
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        return parse_config(compose("config", [f"method={method}", "data.path=FILE", *more]))


def rows(batch: int, only: Sequence[str]) -> dict[str, tuple[Row, Row]]:
    """By name a method's row, and the plain one of the same width."""
    plain: dict[tuple[str, ...], Row] = {}
    found = {}
    for name in only:
        method, _, candidates = name.partition(", ")
        more = tuple(SETTINGS.get(method, ()))
        if more not in plain:
            plain[more] = Row(composed("darts", *more), None, batch)
        live = int(candidates.split()[0]) if candidates else None
        # Stages of P-DARTS at one depth: the proportion is that of the candidates, not of the cells.
        stages = ("search.epochs=75", "skip=plain") if method == "p_darts" else ()
        found[name] = (Row(composed(method, *more, *stages), live, batch), plain[more])
    return found


def measure(clock: Clock, rounds: int, batch: int, only: Sequence[str], tell: Callable[[str], Any]) -> list[Result]:
    """The result of every row.

    Args:
        clock: what times.
        rounds: in which a method and the plain search take turns.
        batch: images of each of the two batches.
        only: names of rows.
        tell: is given the name of each row that is measured.
    """
    results = []
    for name, (row, plain) in rows(batch, only).items():
        tell(name)
        times = alternate({"own": clock.of(row.step), "plain": clock.of(plain.step)}, rounds)
        results.append(
            Result(
                name,
                statistics.median(times["own"]),
                ratio(times["own"], times["plain"]),
                row.saved() / plain.saved(1),
                row.operations() / plain.operations(),
                row.multiply_adds() / plain.multiply_adds(1),
                LIMITS[name],
            )
        )
    return results


def shown(results: Sequence[Result]) -> str:
    """The results as a Markdown table."""
    lines = [
        "| step of | time | limit | saved bytes | limit | operations | multiply-adds | verdict |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    for one in results:
        limits = [
            "" if limit is None else f"{limit:.3g}{f' (aim {aim})' if aim else ''}"
            for limit, aim in ((one.limit.time, one.limit.aim), (one.limit.saved, None))
        ]
        verdict = {True: "pass", False: "fail", None: "no limit"}[one.passed]
        lines.append(
            f"| {one.name} | {one.time:.3f} | {limits[0]} | {one.saved:.3f} | {limits[1]} | {one.operations:.3f} | "
            f"{one.multiply_adds:.3f} | {verdict} |"
        )
    return "\n".join(lines)


def main() -> int:
    """Exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="default: %(default)s")
    parser.add_argument("--batch", type=int, default=16, help="images of each batch (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default: %(default)s)")
    parser.add_argument(
        "--clock",
        choices=("process", "wall"),
        default="process",
        help="processor time (default), or the time that passed",
    )
    parser.add_argument(
        "--only", nargs="+", choices=LIMITS, default=list(LIMITS), metavar="ROW", help=", ".join(LIMITS)
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    results = measure(
        Clock("cpu", chosen.clock),
        chosen.rounds,
        chosen.batch,
        chosen.only,
        partial(print, file=sys.stderr, flush=True),
    )
    print(shown(results))
    if chosen.json:
        chosen.json.write_text(json.dumps([asdict(one) for one in results], indent=2) + "\n", encoding="utf-8")
    return int(any(one.passed is False for one in results))


if __name__ == "__main__":
    sys.exit(main())
