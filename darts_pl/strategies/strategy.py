"""The contract of a search without gradients: ask for a genotype, tell its scores."""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any, ClassVar, NamedTuple

from darts_pl.errors import UserError
from darts_pl.genotype import Genotype
from darts_pl.registry import Registry
from darts_pl.settings import check
from darts_pl.strategies.encoding import Encoding, Integers

#: The score of an evaluation that failed.
FAILED = -math.inf


class Question(NamedTuple):
    """What a strategy wants to know: the scores of one genotype.

    Args:
        genotype: the genotype to evaluate.
        integers: the same as integers of the strategy's encoding.
        epochs: for how many epochs to train it; None = the evaluator's own number.
        number: the question's number, from 0.
    """

    genotype: Genotype
    integers: Integers
    epochs: int | None = None
    number: int = 0


class Proposal(NamedTuple):
    """What `Strategy.propose` returns: a question before it has a number."""

    integers: Integers
    epochs: int | None = None


class Strategy(ABC):
    """A search without gradients, as a pure function of its seed and of the answers it got.

    Several questions may be open at once. The questions depend on which answers have arrived, so a
    caller that evaluates in parallel asks for a whole batch and tells the answers in the order of the
    questions. Scores are maximized; the first one counts unless a strategy says otherwise.

    Args:
        encoding: the decisions of the search space.
        settings: an instance of `settings_class`.
        seed: seeds every random number that the strategy draws.

    Subclasses define `propose` and `learn`, and what of their state is to be saved.
    """

    settings_class: ClassVar[type]
    #: Whether its questions say for how many epochs to train.
    chooses_epochs: ClassVar[bool] = False

    def __init__(self, encoding: Encoding, settings: Any, seed: int) -> None:
        self.encoding = encoding
        self.settings = settings
        self.seed = seed
        self.asked = 0
        self.told = 0
        self.open: dict[int, Proposal] = {}
        self.low: float | None = None
        self.high: float | None = None

    @property
    def objectives(self) -> int | None:
        """How many scores every answer must have; None = any number, of which the first counts."""
        return None

    @abstractmethod
    def propose(self, random: Random) -> Proposal:
        """The next question; `random` belongs to this question alone."""

    @abstractmethod
    def learn(self, question: Question, scores: tuple[float, ...]) -> None:
        """Take in the scores of a question; those of a failure are `(FAILED,)`."""

    @abstractmethod
    def own_state(self) -> dict[str, Any]:
        """What the subclass has to save, as values that JSON holds."""

    @abstractmethod
    def load_own_state(self, state: Mapping[str, Any]) -> None:
        """Restore what `own_state` returned, after JSON turned its tuples into lists."""

    def ask(self) -> Question:
        """The next question."""
        proposal = self.propose(self.random("ask", self.asked))
        question = Question(self.encoding.decode(proposal.integers), *proposal, number=self.asked)
        self.open[self.asked] = proposal
        self.asked += 1
        return question

    def tell(self, question: Question, scores: Sequence[float] | None) -> None:
        """Answer an open question.

        Args:
            question: what `ask` returned.
            scores: greater is better; None, or any value that is not finite, = the evaluation failed,
                which counts as the worst of all scores.

        Raises:
            ValueError: if the question is not open.
        """
        if self.open.get(question.number) != Proposal(question.integers, question.epochs):
            raise ValueError(f"question {question.number} {list(question.integers)} is not open")
        del self.open[question.number]
        finite = scores is not None and len(scores) > 0 and all(math.isfinite(score) for score in scores)
        values = tuple(float(score) for score in scores) if finite and scores is not None else (FAILED,)
        if finite:
            self.low = values[0] if self.low is None else min(self.low, values[0])
            self.high = values[0] if self.high is None else max(self.high, values[0])
        self.learn(question, values)
        self.told += 1

    def open_questions(self) -> list[Question]:
        """The questions that were asked and not answered, such as after a restart, in the order asked."""
        return [
            Question(self.encoding.decode(one.integers), *one, number=number)
            for number, one in sorted(self.open.items())
        ]

    def random(self, purpose: str, number: int) -> Random:
        """Random numbers that depend on the seed, a purpose and a number alone."""
        return Random(f"{self.seed}/{purpose}/{number}")

    def scaled(self, score: float) -> float:
        """A score on a scale from 0 (the worst so far, or a failure) to 1 (the best so far)."""
        if self.low is None or self.high is None or score == FAILED:
            return 0.0
        return (score - self.low) / (self.high - self.low) if self.high > self.low else 0.5

    def state_dict(self) -> dict[str, Any]:
        """Everything that the coming questions depend on, as values that JSON holds."""
        return {
            "seed": self.seed,
            "asked": self.asked,
            "told": self.told,
            "open": [[number, list(one.integers), one.epochs] for number, one in sorted(self.open.items())],
            "range": [self.low, self.high],
            "own": self.own_state(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a state of `state_dict` of a strategy with the same encoding and settings.

        Raises:
            ValueError: if the state is that of another seed.
        """
        if state["seed"] != self.seed:
            raise ValueError(f"the state is that of seed {state['seed']}; this strategy has seed {self.seed}")
        self.asked, self.told = state["asked"], state["told"]
        self.open = {number: Proposal(tuple(integers), epochs) for number, integers, epochs in state["open"]}
        self.low, self.high = state["range"]
        self.load_own_state(state["own"])


#: The reward of a genotype under shared weights, on one batch of the valid split.
Reward = Callable[[Genotype], float]


class SharingStrategy(Strategy):
    """A strategy that draws the paths on which shared weights are trained, and learns from them between the epochs.

    Its state of `state_dict` covers what it learned there. Afterwards `ask` gives the genotypes of the final choice,
    as many as `choices`.
    """

    @property
    @abstractmethod
    def choices(self) -> int:
        """How many genotypes are compared in the final choice."""

    @property
    @abstractmethod
    def rewards(self) -> int:
        """How many rewards `train` has asked for so far."""

    @abstractmethod
    def path(self, seed: int) -> Genotype:
        """A genotype for one step of the shared weights, drawn as the strategy draws now.

        Args:
            seed: of the draw; the same seed gives the same genotype until the strategy learns again.
        """

    @abstractmethod
    def reward(self, loss: float, accuracy: float | None) -> float:
        """What the strategy maximises, from the scores of a genotype on one batch.

        Args:
            loss: mean over the batch, in nats.
            accuracy: fraction that is right; None for text.
        """

    @abstractmethod
    def train(self, reward: Reward) -> float:
        """One turn between two epochs of the shared weights, which stay as they are; returns the mean reward."""


class Strategies(Registry[type[Strategy]]):
    """Strategies by name; the settings of each are its `settings_class`."""

    def add(self, name: str, item: type[Strategy], *, settings: type | None = None, origin: Any = None) -> None:
        """Register a strategy under `name`; see `Registry.register`."""
        super().add(name, item, settings=item.settings_class, origin=origin)


STRATEGIES = Strategies("strategy")


def build_strategy(name: str, encoding: Encoding, settings: Any, seed: int) -> Strategy:
    """The strategy `name`.

    Args:
        name: a name of `STRATEGIES`.
        encoding: the decisions of the search space.
        settings: an instance of the strategy's settings class, or a mapping with the same fields.
        seed: seeds every random number that the strategy draws.

    Raises:
        UserError: if the name or a field is unknown, a field is missing, or a value is out of range.
    """
    strategy = STRATEGIES.get(name)
    if isinstance(settings, Mapping):
        settings = read_settings(strategy.settings_class, settings)
    check(settings, "strategy")
    return strategy(encoding, settings, seed)


def read_settings(settings_class: type, values: Mapping[str, Any]) -> Any:
    """Settings from a mapping such as the content of a YAML file; its `name` is ignored.

    Raises:
        UserError: if a field is missing or unknown.
    """
    given = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items() if key != "name"}
    known = {field.name for field in dataclasses.fields(settings_class)}
    for key in given.keys() - known:
        raise UserError(f"strategy.{key}: unknown setting; known: {', '.join(sorted(known)) or 'none'}")
    for key in sorted(known - given.keys()):
        raise UserError(f"strategy.{key} is missing")
    return settings_class(**given)


def to_plain(score: float) -> float | None:
    """A score as JSON holds it: null for a failure."""
    return None if score == FAILED else score


def from_plain(score: float | None) -> float:
    """The score that `to_plain` made a value for JSON of."""
    return FAILED if score is None else score
