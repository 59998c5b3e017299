"""REINFORCE with a recurrent controller, as in the first neural architecture search."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

import torch

from darts_pl.settings import above, at_least, between, setting
from darts_pl.strategies.controllers.controller import Controller, Logits
from darts_pl.strategies.controllers.policy_gradient import PolicyGradient
from darts_pl.strategies.encoding import Integers
from darts_pl.strategies.strategy import STRATEGIES, Proposal, Question, Strategy


@dataclass(frozen=True, kw_only=True)
class ReinforceSettings:
    """Settings of REINFORCE."""

    hidden: int = setting("size of the LSTM's state and of the embeddings", at_least(1))
    init: float = setting("weights start uniformly between -init and init", above(0))
    lr: float = setting("learning rate of Adam", above(0))
    beta1: float = setting("decay of Adam's first moment", between(0, 1, with_high=False))
    baseline_decay: float = setting("decay of the moving mean of the rewards", between(0, 1, with_high=False))
    entropy_weight: float = setting("weight of the entropy, for scores scaled to 0 ... 1", at_least(0))
    batch: int = setting("answers per step of the optimizer", at_least(1))


@STRATEGIES.register("reinforce")
class Reinforce(Strategy):
    """An LSTM takes the decisions one by one; the score, scaled to 0 ... 1, is the reward.

    Zoph and Le, "Neural architecture search with reinforcement learning", ICLR 2017; Zoph et al.,
    "Learning transferable architectures for scalable image recognition" (NASNet), CVPR 2018, whose
    numbers are in `reinforce_nasnet.yaml`. NASNet trains with proximal policy optimization, this with REINFORCE.
    """

    settings_class = ReinforceSettings
    settings: ReinforceSettings

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        generator = torch.Generator().manual_seed(self.random("weights", 0).getrandbits(63))
        controller = Controller(
            self.encoding, self.settings.hidden, Logits(attention=False), self.settings.init, generator
        )
        self.policy = PolicyGradient(
            controller,
            lr=self.settings.lr,
            beta1=self.settings.beta1,
            baseline_decay=self.settings.baseline_decay,
            entropy_weight=self.settings.entropy_weight,
        )
        self.batch: list[tuple[Integers, float]] = []

    def propose(self, random: Random) -> Proposal:
        generator = torch.Generator().manual_seed(random.getrandbits(63))
        return Proposal(self.policy.controller.sample(1, generator)[0])

    def learn(self, question: Question, scores: tuple[float, ...]) -> None:
        self.batch.append((question.integers, self.scaled(scores[0])))
        if len(self.batch) == self.settings.batch:
            genotypes, rewards = zip(*self.batch, strict=True)
            self.policy.step(genotypes, rewards)
            self.batch = []

    def own_state(self) -> dict[str, Any]:
        return {"policy": self.policy.state(), "batch": [[list(one), reward] for one, reward in self.batch]}

    def load_own_state(self, state: Mapping[str, Any]) -> None:
        self.policy.load(state["policy"])
        self.batch = [(tuple(one), reward) for one, reward in state["batch"]]
