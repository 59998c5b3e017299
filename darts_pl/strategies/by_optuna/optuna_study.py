"""Optuna's ask-and-tell over the decisions of an encoding."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator, Mapping
from random import Random
from typing import Any

from darts_pl.errors import UserError
from darts_pl.strategies.encoding import Encoding, Integers

#: A sampler of Optuna from a seed.
BuildSampler = Callable[[int], Any]


class Study:
    """A study in memory whose sampler is built again for every question.

    Optuna's samplers keep nothing but their random numbers between questions; a new one from a seed per
    question makes the questions a function of the seed and of the trials. The operations of a node have
    one parameter per edge, which a trial has where the genotype keeps the edge.

    Args:
        encoding: the decisions of the space.
        objectives: number of scores, all maximized.
        sampler: builds the sampler from a seed.

    Raises:
        UserError: if Optuna is not installed.
    """

    def __init__(self, encoding: Encoding, objectives: int, sampler: BuildSampler) -> None:
        self.encoding, self.objectives, self.sampler = encoding, objectives, sampler
        self.study = self._new()

    def _new(self) -> Any:
        optuna = load_optuna()
        with quiet():
            return optuna.create_study(directions=["maximize"] * self.objectives, sampler=self.sampler(0))

    def ask(self, random: Random) -> Integers:
        """The integers of a new trial."""
        with quiet():
            self.study.sampler = self.sampler(random.getrandbits(32))
            trial = self.study.ask()
            values: list[int] = []
            for index in range(len(self.encoding)):
                choices = self.encoding.allowed(values)
                values.append(int(trial.suggest_categorical(self._parameter(index, values), list(choices))))
        return tuple(values)

    def _parameter(self, index: int, values: list[int]) -> str:
        """The name of decision `index` in a trial: of an operation, that of the edge it is on."""
        decision, node = self.encoding.decisions[index], self.encoding.node_of(index)
        if decision.is_inputs:
            return decision.name
        source = node.inputs[node.chosen(values)][index - node.first_operation]
        return f"{node.cell}/node{node.target}/from{source}"

    def tell(self, number: int, scores: tuple[float, ...] | None) -> None:
        """Answer trial `number`; None = it failed."""
        optuna = load_optuna()
        with quiet():
            if scores is None:
                self.study.tell(number, state=optuna.trial.TrialState.FAIL)
            else:
                self.study.tell(number, list(scores))

    def state(self) -> dict[str, Any]:
        """All trials as values that JSON holds."""
        trials = [
            {
                "state": trial.state.name,
                "values": trial.values,
                "parameters": trial.params,
                "choices": {name: list(one.choices) for name, one in trial.distributions.items()},
                "attributes": trial.system_attrs,
            }
            for trial in self.study.get_trials(deepcopy=False)
        ]
        return {"trials": trials, "attributes": self.study.system_attrs}

    def load(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state` returned."""
        optuna = load_optuna()
        self.study = self._new()
        with quiet():
            for key, value in state["attributes"].items():
                self.study.set_system_attr(key, value)
            for one in state["trials"]:
                choices = one["choices"].items()
                trial = optuna.trial.create_trial(
                    state=optuna.trial.TrialState[one["state"]],
                    values=one["values"],
                    params=one["parameters"],
                    distributions={
                        name: optuna.distributions.CategoricalDistribution(values) for name, values in choices
                    },
                    system_attrs=one["attributes"],
                )
                self.study.add_trial(trial)


def load_optuna() -> Any:
    """The module `optuna`.

    Raises:
        UserError: if it is not installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import optuna
    except ImportError:
        raise UserError("this strategy needs Optuna: pip install 'darts-pl[strategy]'") from None
    return optuna


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Inside, Optuna neither logs each trial nor warns that a part of it is experimental."""
    logging = load_optuna().logging
    before = logging.get_verbosity()
    logging.set_verbosity(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", category=load_optuna().exceptions.ExperimentalWarning)
            yield
    finally:
        logging.set_verbosity(before)
