"""Bayesian optimization: a Gaussian process over a distance between cells, and expected improvement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np

from darts_pl.settings import Range, at_least, one_of, setting
from darts_pl.strategies.encoding import Integers
from darts_pl.strategies.models.distances import DISTANCES
from darts_pl.strategies.models.gaussian_process import GaussianProcess, expected_improvement, normal_scores
from darts_pl.strategies.strategy import FAILED, STRATEGIES, Proposal, Question, Strategy, from_plain, to_plain

POSITIVE = Range(lambda values: len(values) > 0 and all(one > 0 for one in values), "values above 0", ((), (0.0,)))


@dataclass(frozen=True, kw_only=True)
class BayesianSettings:
    """Settings of Bayesian optimization."""

    distance: str = setting("distance between genotypes: edit or transport", one_of("edit", "transport"))
    initial: int = setting("random genotypes before the first model", at_least(2))
    lengths: tuple[float, ...] = setting("lengths of the kernel that are tried, in mean distances", POSITIVE)
    noises: tuple[float, ...] = setting("variances of the noise that are tried, for scores of variance 1", POSITIVE)
    pool: int = setting("genotypes in the population of the inner search", at_least(1))
    generations: int = setting("generations of the inner search", at_least(0))
    parents: int = setting("genotypes of a generation that are mutated, each several times", at_least(1))


@STRATEGIES.register("bayesian")
class Bayesian(Strategy):
    """Gaussian process with expected improvement, which an evolutionary inner search maximizes.

    Kandasamy et al., "Neural architecture search with Bayesian optimisation and optimal transport",
    NeurIPS 2018. The model predicts the normal quantile of a score's rank, so that a few failed or very
    poor cells do not determine the scale. An open question counts as answered by the worst score.
    """

    settings_class = BayesianSettings
    settings: BayesianSettings

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.scores: dict[Integers, float] = {}
        self.distance = DISTANCES.get(self.settings.distance)(self.encoding)

    def propose(self, random: Random) -> Proposal:
        if self.asked < self.settings.initial or len(self.scores) < 2:
            return Proposal(self.encoding.draw(random))
        known = self.scores | {one.integers: FAILED for one in self.open.values() if one.integers not in self.scores}
        points = list(known)
        targets = normal_scores(np.array(list(known.values())))
        process = GaussianProcess(
            self.distance.between(points, points), targets, self.settings.lengths, self.settings.noises
        )

        def improvement(genotypes: list[Integers]) -> np.ndarray:
            mean, deviation = process.predict(self.distance.between(genotypes, points))
            return expected_improvement(mean, deviation, float(targets.max()))

        best = sorted(points, key=known.__getitem__, reverse=True)[: self.settings.parents]
        new = self._maximize(improvement, best, known, random)
        return Proposal(new if new is not None else self.encoding.draw(random))

    def _maximize(
        self, improvement: Any, start: list[Integers], known: Mapping[Integers, float], random: Random
    ) -> Integers | None:
        """The genotype outside `known` with the greatest improvement that an evolution from `start` finds."""
        drawn = [self.encoding.draw(random) for _ in range(self.settings.pool)]
        values: dict[Integers, float] = {}
        children = [*drawn, *(self.encoding.mutate(random.choice(start), random) for _ in range(self.settings.pool))]
        for generation in range(self.settings.generations + 1):
            new = [one for one in dict.fromkeys(children) if one not in values and one not in known]
            if new:
                values |= dict(zip(new, improvement(new).tolist(), strict=True))
            parents = sorted(values, key=values.__getitem__, reverse=True)[: self.settings.parents] or start
            if generation < self.settings.generations:
                children = [self.encoding.mutate(random.choice(parents), random) for _ in range(self.settings.pool)]
        return max(values, key=values.__getitem__, default=None)

    def learn(self, question: Question, scores: tuple[float, ...]) -> None:
        self.scores[question.integers] = scores[0]

    def own_state(self) -> dict[str, Any]:
        return {"scores": [[list(integers), to_plain(score)] for integers, score in self.scores.items()]}

    def load_own_state(self, state: Mapping[str, Any]) -> None:
        self.scores = {tuple(integers): from_plain(score) for integers, score in state["scores"]}
