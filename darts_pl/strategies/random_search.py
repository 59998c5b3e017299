"""Random search: every question is drawn uniformly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from darts_pl.settings import setting
from darts_pl.strategies.encoding import Integers
from darts_pl.strategies.strategy import STRATEGIES, Proposal, Question, Strategy

#: Draws after which a genotype that was asked before is asked again: the space is nearly exhausted.
MAX_DRAWS = 1000


@dataclass(frozen=True, kw_only=True)
class RandomSettings:
    """Settings of random search."""

    distinct: bool = setting("whether a genotype is asked once at most")


@STRATEGIES.register("random")
class RandomSearch(Strategy):
    """Uniform random genotypes, the baseline of every other search (paper section 3)."""

    settings_class = RandomSettings
    settings: RandomSettings

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.seen: dict[Integers, None] = {}

    def propose(self, random: Random) -> Proposal:
        integers = self.encoding.draw(random)
        if self.settings.distinct:
            for _ in range(MAX_DRAWS):
                if integers not in self.seen:
                    break
                integers = self.encoding.draw(random)
            self.seen[integers] = None
        return Proposal(integers)

    def learn(self, question: Question, scores: tuple[float, ...]) -> None:
        pass

    def own_state(self) -> dict[str, Any]:
        return {"seen": [list(one) for one in self.seen]}

    def load_own_state(self, state: Mapping[str, Any]) -> None:
        self.seen = {tuple(one): None for one in state["seen"]}
