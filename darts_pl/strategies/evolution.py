"""Regularized evolution: a population in which the oldest dies, not the worst."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from darts_pl.settings import at_least, between, or_null, setting
from darts_pl.strategies.encoding import Integers
from darts_pl.strategies.strategy import STRATEGIES, Proposal, Question, Strategy, from_plain, to_plain


@dataclass(frozen=True, kw_only=True)
class EvolutionSettings:
    """Settings of regularized evolution."""

    population: int = setting("genotypes that are alive", at_least(2))
    sample: int = setting("genotypes drawn from the population, the best of which is the parent", at_least(1))
    source_fraction: float | None = setting(
        "how often a mutation changes sources rather than an operation",
        or_null(between(0, 1), "every decision equally often"),
    )

    def conflicts(self) -> Iterator[tuple[str, str]]:
        if self.sample > self.population:
            yield "sample", f"must be at most strategy.population={self.population}"


@STRATEGIES.register("evolution")
class Evolution(Strategy):
    """Real, Aggarwal, Huang and Le, "Regularized evolution for image classifier architecture search", AAAI 2019.

    Algorithm 1: a sample is drawn with replacement, its best member is mutated once, the child joins
    the population and the oldest member leaves it.
    """

    settings_class = EvolutionSettings
    settings: EvolutionSettings

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.population: deque[tuple[Integers, float]] = deque(maxlen=self.settings.population)

    def propose(self, random: Random) -> Proposal:
        if self.asked < self.settings.population or not self.population:
            return Proposal(self.encoding.draw(random))
        sample = random.choices(self.population, k=self.settings.sample)
        parent, _ = max(sample, key=lambda member: member[1])
        return Proposal(self.encoding.mutate(parent, random, self.settings.source_fraction))

    def learn(self, question: Question, scores: tuple[float, ...]) -> None:
        self.population.append((question.integers, scores[0]))

    def own_state(self) -> dict[str, Any]:
        return {"population": [[list(integers), to_plain(score)] for integers, score in self.population]}

    def load_own_state(self, state: Mapping[str, Any]) -> None:
        members = [(tuple(integers), from_plain(score)) for integers, score in state["population"]]
        self.population = deque(members, maxlen=self.settings.population)
