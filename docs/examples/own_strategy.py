"""A strategy of one's own: change the best genotype so far in one place, or draw a new one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from darts_pl.settings import between, setting
from darts_pl.strategies import STRATEGIES, Integers, Proposal, Question, Strategy


@dataclass(frozen=True, kw_only=True)
class ClimbSettings:
    """Settings of the climb."""

    explore: float = setting("fraction of the questions that are drawn uniformly", between(0, 1))


@STRATEGIES.register("climb")
class Climb(Strategy):
    """Asks for a mutation of the best genotype so far."""

    settings_class = ClimbSettings
    settings: ClimbSettings

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.best: Integers | None = None
        self.score = float("-inf")

    def propose(self, random: Random) -> Proposal:
        if self.best is None or random.random() < self.settings.explore:
            return Proposal(self.encoding.draw(random))
        return Proposal(self.encoding.mutate(self.best, random))

    def learn(self, question: Question, scores: tuple[float, ...]) -> None:
        if scores[0] > self.score:  # a failed evaluation has the score -inf
            self.best, self.score = question.integers, scores[0]

    def own_state(self) -> dict[str, Any]:
        return {"best": self.best and list(self.best), "score": None if self.best is None else self.score}

    def load_own_state(self, state: Mapping[str, Any]) -> None:
        if state["best"] is not None:
            self.best, self.score = tuple(state["best"]), state["score"]
