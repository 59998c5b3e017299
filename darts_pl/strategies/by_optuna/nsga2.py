"""NSGA-II: a search for the Pareto front of several scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from darts_pl.errors import UserError
from darts_pl.settings import at_least, between, setting
from darts_pl.strategies.by_optuna.optuna_study import Study, load_optuna
from darts_pl.strategies.strategy import FAILED, STRATEGIES, Proposal, Question, Strategy


@dataclass(frozen=True, kw_only=True)
class Nsga2Settings:
    """Settings of NSGA-II."""

    objectives: int = setting("scores per answer, all maximized: a cost is given with a minus sign", at_least(1))
    population: int = setting("genotypes per generation", at_least(2))
    crossover: float = setting("probability that a child has two parents", between(0, 1))
    swapping: float = setting("probability that a decision is the second parent's", between(0, 1))


@STRATEGIES.register("nsga2")
class Nsga2(Strategy):
    """Deb et al., "A fast and elitist multiobjective genetic algorithm: NSGA-II", IEEE TEC 2002, in Optuna."""

    settings_class = Nsga2Settings
    settings: Nsga2Settings

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.study = Study(self.encoding, self.settings.objectives, self._sampler)

    def _sampler(self, seed: int) -> Any:
        return load_optuna().samplers.NSGAIISampler(
            population_size=self.settings.population,
            crossover_prob=self.settings.crossover,
            swapping_prob=self.settings.swapping,
            seed=seed,
        )

    @property
    def objectives(self) -> int:
        return self.settings.objectives

    def propose(self, random: Random) -> Proposal:
        return Proposal(self.study.ask(random))

    def learn(self, question: Question, scores: tuple[float, ...]) -> None:
        failed = scores[0] == FAILED
        if not failed and len(scores) != self.settings.objectives:
            raise UserError(
                f"strategy.objectives={self.settings.objectives}: the evaluator gives {len(scores)}; "
                f"use strategy.objectives={len(scores)}"
            )
        self.study.tell(question.number, None if failed else scores)

    def own_state(self) -> dict[str, Any]:
        return self.study.state()

    def load_own_state(self, state: Mapping[str, Any]) -> None:
        self.study.load(state)


def pareto_front(scores: Sequence[Sequence[float]]) -> list[int]:
    """The indices of the rows [n, objectives] that no other row beats: as good everywhere and better somewhere."""

    def beaten(row: Sequence[float]) -> bool:
        return any(
            all(one >= own for one, own in zip(other, row, strict=True)) and tuple(other) != tuple(row)
            for other in scores
        )

    return [index for index, row in enumerate(scores) if not beaten(row)]
