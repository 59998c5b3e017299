"""Monte Carlo tree search over the decisions of a genotype."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from darts_pl.settings import at_least, setting
from darts_pl.strategies.encoding import Integers
from darts_pl.strategies.strategy import FAILED, STRATEGIES, Proposal, Question, Strategy

#: A node of the tree: the moves that lead to it.
Path = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class MctsSettings:
    """Settings of the tree search."""

    exploration: float = setting("c of the upper confidence bound, for scores scaled to 0 ... 1", at_least(0))
    bisection: bool = setting("choose among the choices of a decision by halving them, instead of one by one")


@dataclass
class _Statistics:
    """The answers about the genotypes below a node of the tree."""

    visits: int = 0
    failures: int = 0
    total: float = 0.0  # sum of the scores of those that did not fail


@STRATEGIES.register("mcts")
class Mcts(Strategy):
    """UCT with uniform rollouts.

    Negrinho and Gordon, "DeepArchitect: automatically designing and training deep architectures", 2017,
    sections 5.2 and 5.3. A child with mean score x, n visits and a parent with N visits has the bound
    x + 2 c sqrt(2 log N / n); a child without visits comes first. Means are of scores on a scale from the
    worst to the best so far. With `bisection` a decision among k choices is a binary tree of depth
    ceil(log2 k), so that neighbouring choices share what is learned.
    """

    settings_class = MctsSettings
    settings: MctsSettings

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.tree: dict[Path, _Statistics] = {(): _Statistics()}

    def propose(self, random: Random) -> Proposal:
        values: list[int] = []
        path: Path = ()
        inside = True  # whether the path is in the tree
        for _ in self.encoding.decisions:
            choices = self.encoding.allowed(values)
            while len(choices) > 1:
                options = self._options(choices)
                if inside:
                    move = self._select(path, len(options), random)
                    path = (*path, move)
                    inside = path in self.tree
                else:  # the rollout: uniform over what remains
                    options = tuple((choice,) for choice in choices)
                    move = random.randrange(len(options))
                choices = options[move]
            values.append(choices[0])
        return Proposal(tuple(values))

    def learn(self, question: Question, scores: tuple[float, ...]) -> None:
        self._record(self.tree[()], scores[0])
        for path in self._paths(question.integers):
            new = path not in self.tree
            self._record(self.tree.setdefault(path, _Statistics()), scores[0])
            if new:  # one node is added per answer
                return

    @staticmethod
    def _record(node: _Statistics, score: float) -> None:
        node.visits += 1
        if score == FAILED:
            node.failures += 1
        else:
            node.total += score

    def _options(self, choices: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
        if not self.settings.bisection:
            return tuple((choice,) for choice in choices)
        half = (len(choices) + 1) // 2
        return choices[:half], choices[half:]

    def _select(self, path: Path, options: int, random: Random) -> int:
        unvisited = [move for move in range(options) if (*path, move) not in self.tree]
        if unvisited:
            return random.choice(unvisited)
        log_visits = 2 * math.log(self.tree[path].visits)

        def bound(move: int) -> float:
            child = self.tree[(*path, move)]
            return self._mean(child) + 2 * self.settings.exploration * math.sqrt(log_visits / child.visits)

        bounds = [bound(move) for move in range(options)]
        return random.choice([move for move in range(options) if bounds[move] == max(bounds)])

    def _mean(self, node: _Statistics) -> float:
        finished = node.visits - node.failures
        return finished * self.scaled(node.total / finished) / node.visits if finished else 0.0

    def _paths(self, integers: Integers) -> Iterator[Path]:
        """The nodes of the tree on the way to a genotype, from the top."""
        path: Path = ()
        for index, value in enumerate(integers):
            choices = self.encoding.allowed(integers[:index])
            while len(choices) > 1:
                options = self._options(choices)
                move = next(move for move, option in enumerate(options) if value in option)
                choices, path = options[move], (*path, move)
                yield path

    def own_state(self) -> dict[str, Any]:
        return {"tree": [[list(path), one.visits, one.failures, one.total] for path, one in self.tree.items()]}

    def load_own_state(self, state: Mapping[str, Any]) -> None:
        self.tree = {tuple(path): _Statistics(*values) for path, *values in state["tree"]}
