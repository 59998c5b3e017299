"""Local search: ask all neighbours of a genotype, move to the best one, restart at a local optimum."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from darts_pl.settings import at_least, setting
from darts_pl.strategies.encoding import Integers
from darts_pl.strategies.strategy import STRATEGIES, Proposal, Question, Strategy, from_plain, to_plain


@dataclass(frozen=True, kw_only=True)
class LocalSearchSettings:
    """Settings of local search."""

    starts: int = setting("random genotypes asked before each descent, which starts at the best of them", at_least(1))
    first_improvement: bool = setting("move to the first better neighbour instead of the best of all neighbours")


@STRATEGIES.register("local_search")
class LocalSearch(Strategy):
    """Steepest ascent over the neighbours by one decision, with random restarts.

    White, Nolen and Savani, "Exploring the loss landscape in neural architecture search", UAI 2021,
    algorithm 1. A neighbour whose score is known is not asked again.
    """

    settings_class = LocalSearchSettings
    settings: LocalSearchSettings

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.scores: dict[Integers, float] = {}
        self.starts: list[Integers] = []  # asked for the coming descent
        self.center: Integers | None = None
        self.queue: list[Integers] = []  # neighbours of the center that are not asked yet
        self.descents = 0

    def propose(self, random: Random) -> Proposal:
        if self.center is not None and self.queue:
            return Proposal(self.queue.pop(0))
        integers = self.encoding.draw(random)
        if self.center is None and len(self.starts) < self.settings.starts:
            self.starts.append(integers)
        return Proposal(integers)

    def learn(self, question: Question, scores: tuple[float, ...]) -> None:
        self.scores[question.integers] = max(scores[0], self.scores.get(question.integers, scores[0]))
        if self.center is None:
            if len(self.starts) == self.settings.starts and all(start in self.scores for start in self.starts):
                self._move(max(self.starts, key=self.scores.__getitem__))
            return
        if self.settings.first_improvement and scores[0] > self.scores[self.center]:
            self._move(question.integers)
        else:
            self._finish_neighbourhood()

    def _finish_neighbourhood(self) -> None:
        """Move on once the scores of all neighbours are known."""
        while self.center is not None and not self.queue:
            neighbours = self.encoding.neighbours(self.center)
            if not all(one in self.scores for one in neighbours):
                return
            best = max(neighbours, key=self.scores.__getitem__, default=self.center)
            if self.scores[best] > self.scores[self.center]:
                self._move(best)
            else:
                self.center, self.starts = None, []

    def _move(self, center: Integers) -> None:
        self.center = center
        self.queue = [one for one in self.encoding.neighbours(center) if one not in self.scores]
        self.random("order", self.descents).shuffle(self.queue)
        self.descents += 1
        self._finish_neighbourhood()

    def own_state(self) -> dict[str, Any]:
        return {
            "scores": [[list(one), to_plain(score)] for one, score in self.scores.items()],
            "starts": [list(one) for one in self.starts],
            "center": self.center and list(self.center),
            "queue": [list(one) for one in self.queue],
            "descents": self.descents,
        }

    def load_own_state(self, state: Mapping[str, Any]) -> None:
        self.scores = {tuple(one): from_plain(score) for one, score in state["scores"]}
        self.starts = [tuple(one) for one in state["starts"]]
        self.center = state["center"] and tuple(state["center"])
        self.queue = [tuple(one) for one in state["queue"]]
        self.descents = state["descents"]
