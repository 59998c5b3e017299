"""Optuna's samplers on one score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from darts_pl.settings import at_least, one_of, setting
from darts_pl.strategies.by_optuna.optuna_study import Study, load_optuna
from darts_pl.strategies.strategy import FAILED, STRATEGIES, Proposal, Question, Strategy


@dataclass(frozen=True, kw_only=True)
class OptunaSettings:
    """Settings of Optuna's samplers."""

    sampler: str = setting("tpe or nsga2", one_of("tpe", "nsga2"))
    initial: int = setting("random genotypes before TPE's first model", at_least(1))
    candidates: int = setting("values that TPE draws for each decision, the best of which is taken", at_least(1))
    population: int = setting("population of NSGA-II", at_least(2))


@STRATEGIES.register("optuna")
class OptunaSearch(Strategy):
    """TPE or NSGA-II through Optuna's ask-and-tell.

    Bergstra et al., "Algorithms for hyper-parameter optimization", NeurIPS 2011, and Akiba et al.,
    "Optuna", KDD 2019. Failed trials are left out by both samplers.
    """

    settings_class = OptunaSettings
    settings: OptunaSettings

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.study = Study(self.encoding, 1, self._sampler)

    def _sampler(self, seed: int) -> Any:
        samplers = load_optuna().samplers
        if self.settings.sampler == "nsga2":
            return samplers.NSGAIISampler(population_size=self.settings.population, seed=seed)
        return samplers.TPESampler(
            n_startup_trials=self.settings.initial, n_ei_candidates=self.settings.candidates, seed=seed
        )

    def propose(self, random: Random) -> Proposal:
        return Proposal(self.study.ask(random))

    def learn(self, question: Question, scores: tuple[float, ...]) -> None:
        self.study.tell(question.number, None if scores[0] == FAILED else scores[:1])

    def own_state(self) -> dict[str, Any]:
        return self.study.state()

    def load_own_state(self, state: Mapping[str, Any]) -> None:
        self.study.load(state)
