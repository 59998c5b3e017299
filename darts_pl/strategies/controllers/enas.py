"""ENAS: a controller that alternates with the training of shared weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

import torch

from darts_pl.genotype import Genotype
from darts_pl.settings import above, at_least, between, or_null, setting
from darts_pl.strategies.controllers.controller import Controller, Logits
from darts_pl.strategies.controllers.policy_gradient import PolicyGradient
from darts_pl.strategies.encoding import Integers
from darts_pl.strategies.strategy import STRATEGIES, Proposal, Question, Reward, SharingStrategy


@dataclass(frozen=True, kw_only=True)
class EnasSettings:
    """Settings of ENAS's controller."""

    hidden: int = setting("size of the LSTM's state and of the embeddings", at_least(1))
    init: float = setting("weights start uniformly between -init and init", above(0))
    temperature: float = setting("the logits are divided by it", above(0))
    tanh_constant: float | None = setting(
        "then replaced by constant * tanh(logit)", or_null(above(0), "logits without a limit")
    )
    operation_reduce: float = setting("factor by which the constant of operations is smaller", above(0))
    lr: float = setting("learning rate of Adam", above(0))
    beta1: float = setting("decay of Adam's first moment", between(0, 1, with_high=False))
    baseline_decay: float = setting("decay of the moving mean of the rewards", between(0, 1, with_high=False))
    entropy_weight: float = setting("weight of the entropy", at_least(0))
    batch: int = setting("sampled genotypes per step of the optimizer", at_least(1))
    steps: int = setting("steps of the optimizer in each turn of the controller", at_least(1))
    choices: int = setting("genotypes sampled for the final choice", at_least(1))
    perplexity_reward: float = setting("for text the reward is this number / perplexity", above(0))


@STRATEGIES.register("enas")
class Enas(SharingStrategy):
    """Pham et al., "Efficient neural architecture search via parameter sharing", ICML 2018.

    `train` is one turn of the controller, between epochs that train the shared weights on genotypes
    drawn by `path`; afterwards `ask` samples the genotypes of the final choice, and the controller stays as it is.
    Where `train` was never used, it takes a step after every `batch` answers, with scores scaled to 0 ... 1 as
    rewards. `sample` and `choose` are for Python.
    """

    settings_class = EnasSettings
    settings: EnasSettings

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        settings = self.settings
        generator = torch.Generator().manual_seed(self.random("weights", 0).getrandbits(63))
        logits = Logits(True, settings.temperature, settings.tanh_constant, settings.operation_reduce)
        self.policy = PolicyGradient(
            Controller(self.encoding, settings.hidden, logits, settings.init, generator),
            lr=settings.lr,
            beta1=settings.beta1,
            baseline_decay=settings.baseline_decay,
            entropy_weight=settings.entropy_weight,
        )
        self.batch: list[tuple[Integers, float]] = []
        self.drawn = 0
        self.turns = 0

    @property
    def choices(self) -> int:
        return self.settings.choices

    @property
    def rewards(self) -> int:
        return self.turns * self.settings.steps * self.settings.batch

    def path(self, seed: int) -> Genotype:
        generator = torch.Generator().manual_seed(seed)
        return self.encoding.decode(self.policy.controller.sample(1, generator)[0])

    def reward(self, loss: float, accuracy: float | None) -> float:
        if accuracy is not None:
            return accuracy
        return self.settings.perplexity_reward / math.exp(min(loss, 700.0)) if math.isfinite(loss) else 0.0

    def sample(self, count: int) -> list[Genotype]:
        """`count` genotypes drawn from the controller, such as for steps of the shared weights."""
        return [self.encoding.decode(integers) for integers in self._sample(count)]

    def train(self, reward: Reward) -> float:
        """One turn of the controller: `steps` steps with `batch` sampled genotypes each.

        Args:
            reward: the reward of a genotype under the shared weights, which stay as they are.

        Returns:
            the mean reward.
        """
        total = 0.0
        for _ in range(self.settings.steps):
            genotypes = self._sample(self.settings.batch)
            rewards = [float(reward(self.encoding.decode(one))) for one in genotypes]
            self.policy.step(genotypes, rewards)
            total += sum(rewards)
        self.turns += 1
        return total / (self.settings.steps * self.settings.batch)

    def choose(self, reward: Reward) -> Genotype:
        """The genotype with the greatest reward of `choices` sampled ones."""
        return max(self.sample(self.settings.choices), key=reward)

    def _sample(self, count: int) -> list[Integers]:
        generator = torch.Generator().manual_seed(self.random("sample", self.drawn).getrandbits(63))
        self.drawn += 1
        return self.policy.controller.sample(count, generator)

    def propose(self, random: Random) -> Proposal:
        generator = torch.Generator().manual_seed(random.getrandbits(63))
        return Proposal(self.policy.controller.sample(1, generator)[0])

    def learn(self, question: Question, scores: tuple[float, ...]) -> None:
        if self.turns:  # the answers are those of the final choice
            return
        self.batch.append((question.integers, self.scaled(scores[0])))
        if len(self.batch) == self.settings.batch:
            genotypes, rewards = zip(*self.batch, strict=True)
            self.policy.step(genotypes, rewards)
            self.batch = []

    def own_state(self) -> dict[str, Any]:
        return {
            "policy": self.policy.state(),
            "batch": [[list(one), reward] for one, reward in self.batch],
            "drawn": self.drawn,
            "turns": self.turns,
        }

    def load_own_state(self, state: Mapping[str, Any]) -> None:
        self.policy.load(state["policy"])
        self.batch = [(tuple(one), reward) for one, reward in state["batch"]]
        self.drawn, self.turns = state["drawn"], state.get("turns", 0)
