"""Successive halving: many random genotypes for few epochs, the best of them for more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from darts_pl.settings import at_least, setting
from darts_pl.strategies.encoding import Integers
from darts_pl.strategies.strategy import STRATEGIES, Proposal, Question, Strategy, from_plain, to_plain


@dataclass(frozen=True, kw_only=True)
class SuccessiveHalvingSettings:
    """Settings of successive halving."""

    eta: int = setting("one in `eta` genotypes goes on, for `eta` times as many epochs", at_least(2))
    min_epochs: int = setting("epochs of the first rung", at_least(1))
    max_epochs: int = setting("epochs of the last rung", at_least(1))

    def conflicts(self) -> Iterator[tuple[str, str]]:
        if self.max_epochs < self.min_epochs:
            yield "max_epochs", f"must be at least strategy.min_epochs={self.min_epochs}"


@dataclass
class _Rung:
    """Genotypes that are trained for the same number of epochs: which are to be asked, which are answered."""

    epochs: int
    members: list[Integers]
    asked: int = 0
    scores: dict[int, float] = field(default_factory=dict)


@STRATEGIES.register("successive_halving")
class SuccessiveHalving(Strategy):
    """Synchronous successive halving over epochs, one bracket after another.

    Jamieson and Talwalkar, "Non-stochastic best arm identification and hyperparameter optimization",
    AISTATS 2016. A bracket starts with eta^(rungs - 1) random genotypes. With several open questions a
    new bracket is started while the answers of a rung are missing.
    """

    settings_class = SuccessiveHalvingSettings
    chooses_epochs = True
    settings: SuccessiveHalvingSettings

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.rungs: list[_Rung] = []  # the current rung of every bracket that is not finished
        self.places: dict[int, tuple[int, int]] = {}  # question -> (bracket, member)
        self.first_bracket = 0

    def epochs(self) -> list[int]:
        """The epochs of every rung; the last rung has `max_epochs`."""
        found = [self.settings.max_epochs]
        while found[0] // self.settings.eta >= self.settings.min_epochs:
            found.insert(0, found[0] // self.settings.eta)
        return found

    def propose(self, random: Random) -> Proposal:
        waiting = [index for index, rung in enumerate(self.rungs) if rung.asked < len(rung.members)]
        if not waiting:
            epochs = self.epochs()
            members = [self.encoding.draw(random) for _ in range(self.settings.eta ** (len(epochs) - 1))]
            self.rungs.append(_Rung(epochs[0], members))
            waiting = [len(self.rungs) - 1]
        index, rung = waiting[0], self.rungs[waiting[0]]
        self.places[self.asked] = (self.first_bracket + index, rung.asked)
        rung.asked += 1
        return Proposal(rung.members[rung.asked - 1], rung.epochs)

    def learn(self, question: Question, scores: tuple[float, ...]) -> None:
        bracket, member = self.places.pop(question.number)
        rung = self.rungs[bracket - self.first_bracket]
        rung.scores[member] = scores[0]
        if len(rung.scores) == len(rung.members):
            ranking = sorted(range(len(rung.members)), key=lambda index: (-rung.scores[index], index))
            kept = [rung.members[index] for index in ranking[: len(ranking) // self.settings.eta]]
            longer = [epochs for epochs in self.epochs() if epochs > rung.epochs]
            following = _Rung(longer[0], kept) if longer and kept else _Rung(rung.epochs, [])
            self.rungs[bracket - self.first_bracket] = following
        while self.rungs and not self.rungs[0].members:
            del self.rungs[0]
            self.first_bracket += 1

    def own_state(self) -> dict[str, Any]:
        return {
            "rungs": [
                {
                    "epochs": rung.epochs,
                    "members": [list(one) for one in rung.members],
                    "asked": rung.asked,
                    "scores": [[member, to_plain(score)] for member, score in rung.scores.items()],
                }
                for rung in self.rungs
            ],
            "places": [[number, *place] for number, place in self.places.items()],
            "first_bracket": self.first_bracket,
        }

    def load_own_state(self, state: Mapping[str, Any]) -> None:
        self.rungs = [
            _Rung(
                rung["epochs"],
                [tuple(one) for one in rung["members"]],
                rung["asked"],
                {member: from_plain(score) for member, score in rung["scores"]},
            )
            for rung in state["rungs"]
        ]
        self.places = {number: (bracket, member) for number, bracket, member in state["places"]}
        self.first_bracket = state["first_bracket"]
