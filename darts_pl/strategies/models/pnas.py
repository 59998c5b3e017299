"""Progressive search: cells are decided node by node, with a predictor of their scores."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np

from darts_pl.settings import above, at_least, setting
from darts_pl.strategies.encoding import Integers, Node
from darts_pl.strategies.models.features import Features
from darts_pl.strategies.models.gaussian_process import normal_scores
from darts_pl.strategies.models.predictor import Ensemble
from darts_pl.strategies.strategy import STRATEGIES, Proposal, Question, Strategy, from_plain, to_plain


@dataclass(frozen=True, kw_only=True)
class PnasSettings:
    """Settings of progressive search."""

    beam: int = setting("genotypes that are asked per node and extended at the next one", at_least(1))
    completions: int = setting(
        "random completions of a partial cell, the best predicted of which is asked", at_least(1)
    )
    members: int = setting("networks of the predictor", at_least(1))
    hidden: int = setting("hidden units of each network", at_least(1))
    lr: float = setting("learning rate of the predictor", above(0))
    steps: int = setting("training steps of the predictor, after each node", at_least(1))
    weight_decay: float = setting("weight decay of the predictor", at_least(0))


@STRATEGIES.register("pnas")
class Pnas(Strategy):
    """Liu et al., "Progressive neural architecture search", ECCV 2018, algorithm 1, on complete cells.

    The nodes of all cell types are decided one after the other. At each, the predictor ranks every
    extension of the genotypes of the beam, with the mean of all choices in place of the nodes that are
    not decided, and the best `beam` of them become the next beam. PNAS trains these smaller cells; here
    each is completed, since an evaluator scores complete cells. After the last node the search starts
    again with an empty cell and the predictor of all answers.
    """

    settings_class = PnasSettings
    settings: PnasSettings

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.features = Features(self.encoding)
        self.scores: dict[Integers, float] = {}
        self.decided = 0  # nodes that are decided in the genotypes of the beam
        self.beam: list[Integers] = []
        self.queue: list[Integers] = []
        self.fits = 0

    def propose(self, random: Random) -> Proposal:
        if self.asked < self.settings.beam:  # the first predictor needs some scores
            return Proposal(self.encoding.draw(random))
        if not self.queue and not self.open and self.scores:
            self._extend(random)
        return Proposal(self.queue.pop(0) if self.queue else self.encoding.draw(random))

    def learn(self, question: Question, scores: tuple[float, ...]) -> None:
        self.scores[question.integers] = scores[0]

    def _extend(self, random: Random) -> None:
        """Decide one more node: fill the beam and the queue."""
        if self.decided == len(self.encoding.nodes) or not self.beam:
            self.decided, self.beam = 0, [self.encoding.draw(random)]
        predictor = self._fit()
        node = self.encoding.nodes[self.decided]
        self.decided += 1
        extensions: dict[Integers, Integers] = {}  # decided part -> one genotype with it
        for parent in self.beam:
            for choices in _choices(node):
                extended = (*parent[: node.first], *choices, *parent[node.stop :])
                extensions.setdefault(extended[: node.stop], extended)
        found = list(extensions.values())
        ranking = np.argsort(-predictor.predict(self.features.matrix(found, self.decided)), kind="stable")
        self.beam = [found[index] for index in ranking[: self.settings.beam]]
        for integers in self.beam:
            completed = self._complete(integers[: node.stop], predictor, random)
            if completed not in self.scores and completed not in self.queue:
                self.queue.append(completed)

    def _fit(self) -> Ensemble:
        settings = self.settings
        predictor = Ensemble(
            self.features.size,
            members=settings.members,
            hidden=settings.hidden,
            lr=settings.lr,
            steps=settings.steps,
            weight_decay=settings.weight_decay,
            seed=self.random("predictor", self.fits).getrandbits(32),
        )
        self.fits += 1
        predictor.fit(self.features.matrix(list(self.scores)), normal_scores(np.array(list(self.scores.values()))))
        return predictor

    def _complete(self, prefix: Integers, predictor: Ensemble, random: Random) -> Integers:
        """The best predicted of some random completions, one that was not asked if there is one."""
        drawn = []
        for _ in range(self.settings.completions):
            values = list(prefix)
            while len(values) < len(self.encoding):
                values.append(random.choice(self.encoding.allowed(values)))
            drawn.append(tuple(values))
        drawn = [one for one in drawn if one not in self.scores and one not in self.queue] or drawn
        return drawn[int(np.argmax(predictor.predict(self.features.matrix(drawn))))]

    def own_state(self) -> dict[str, Any]:
        return {
            "scores": [[list(integers), to_plain(score)] for integers, score in self.scores.items()],
            "decided": self.decided,
            "beam": [list(one) for one in self.beam],
            "queue": [list(one) for one in self.queue],
            "fits": self.fits,
        }

    def load_own_state(self, state: Mapping[str, Any]) -> None:
        self.scores = {tuple(integers): from_plain(score) for integers, score in state["scores"]}
        self.decided, self.fits = state["decided"], state["fits"]
        self.beam = [tuple(one) for one in state["beam"]]
        self.queue = [tuple(one) for one in state["queue"]]


def _choices(node: Node) -> Iterator[Integers]:
    """All integers of one node."""
    for chosen, allowed in enumerate(node.allowed):
        for operations in itertools.product(*allowed):
            yield (chosen, *operations) if node.decides_inputs else operations
