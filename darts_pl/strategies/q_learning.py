"""Tabular Q-learning over the decisions of a genotype, with experience replay."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from darts_pl.settings import Range, above, at_least, between, setting
from darts_pl.strategies.encoding import Integers
from darts_pl.strategies.strategy import STRATEGIES, Proposal, Question, Strategy, from_plain, to_plain

FRACTIONS = Range(lambda values: len(values) > 0 and all(0 <= one <= 1 for one in values), "values from 0 to 1", ((),))
COUNTS = Range(lambda values: len(values) > 0 and all(one >= 1 for one in values), "whole numbers from 1 on", ((),))


@dataclass(frozen=True, kw_only=True)
class QLearningSettings:
    """Settings of Q-learning."""

    epsilon: tuple[float, ...] = setting("probability of a random choice, stage by stage", FRACTIONS)
    questions: tuple[int, ...] = setting("questions of each stage; the last one goes on", COUNTS)
    speed: float = setting("how many times shorter than `questions` the stages are", above(0))
    rate: float = setting("learning rate of the Q-values", between(0, 1, with_low=False))
    discount: float = setting("discount of later rewards", between(0, 1))
    initial: float = setting("Q-value of a choice that was never taken, for scores scaled to 0 ... 1", between(0, 1))
    replays: int = setting("genotypes learned from again after each answer", at_least(0))

    def conflicts(self) -> Iterator[tuple[str, str]]:
        if len(self.questions) != len(self.epsilon):
            yield "questions", f"must have {len(self.epsilon)} values, one per value of strategy.epsilon"


@STRATEGIES.register("q_learning")
class QLearning(Strategy):
    """MetaQNN: Baker, Gupta, Naik and Raskar, "Designing neural network architectures using RL", ICLR 2017.

    A state is a decision together with the choice taken just before it. The score, scaled from the
    worst to the best so far, is the reward of the last decision; the others have none. A genotype
    is learned from backwards: Q(s, a) <- (1 - rate) Q(s, a) + rate (reward + discount max Q(s', .)).
    """

    settings_class = QLearningSettings
    settings: QLearningSettings

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.values: dict[tuple[int, int, int], float] = {}  # (decision, choice before it, choice) -> Q
        self.memory: dict[Integers, float] = {}

    def epsilon(self, number: int) -> float:
        """The probability of a random choice in question `number`."""
        end = 0.0
        for epsilon, questions in zip(self.settings.epsilon, self.settings.questions, strict=True):
            end += questions / self.settings.speed
            if number < end:
                return epsilon
        return self.settings.epsilon[-1]

    def propose(self, random: Random) -> Proposal:
        epsilon = self.epsilon(self.asked)
        values: list[int] = []
        for index in range(len(self.encoding)):
            choices = self.encoding.allowed(values)
            if random.random() >= epsilon:
                found = [self._value(index, values[-1] if values else 0, choice) for choice in choices]
                choices = tuple(one for one, value in zip(choices, found, strict=True) if value == max(found))
            values.append(random.choice(choices))
        return Proposal(tuple(values))

    def learn(self, question: Question, scores: tuple[float, ...]) -> None:
        self.memory[question.integers] = scores[0]
        random = self.random("replay", question.number)
        genotypes = list(self.memory)
        for integers in [question.integers, *random.choices(genotypes, k=self.settings.replays)]:
            self._update(integers, self.scaled(self.memory[integers]))

    def _value(self, index: int, before: int, choice: int) -> float:
        return self.values.get((index, before, choice), self.settings.initial)

    def _update(self, integers: Integers, reward: float) -> None:
        rate = self.settings.rate
        for index in reversed(range(len(integers))):
            before = integers[index - 1] if index else 0
            if index < len(integers) - 1:
                choices = self.encoding.allowed(integers[: index + 1])
                best = max(self._value(index + 1, integers[index], choice) for choice in choices)
                target = self.settings.discount * best
            else:
                target = reward
            key = (index, before, integers[index])
            self.values[key] = (1 - rate) * self._value(*key) + rate * target

    def own_state(self) -> dict[str, Any]:
        return {
            "values": [[*key, value] for key, value in self.values.items()],
            "memory": [[list(integers), to_plain(score)] for integers, score in self.memory.items()],
        }

    def load_own_state(self, state: Mapping[str, Any]) -> None:
        self.values = {(index, before, choice): value for index, before, choice, value in state["values"]}
        self.memory = {tuple(integers): from_plain(score) for integers, score in state["memory"]}
