"""The stages of a search, each with a supernet of its own: the group `stages`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from darts_pl.errors import UserError
from darts_pl.registry import Registry
from darts_pl.settings import at_least, setting
from darts_pl.spaces import SearchSpace, Supernet

#: What a stage hands to the next one: plain values, which the checkpoint holds.
Facts = Mapping[str, Any]


class Factory(Protocol):
    """Builds the supernet that the configuration describes, with changes."""

    def __call__(
        self, *, cells: SearchSpace | None = None, edges: Mapping[str, Any] | None = None, **changes: Any
    ) -> Supernet:
        """A new supernet.

        Args:
            cells: what is searched; None = as configured.
            edges: settings of the section `edges` that are different, such as ``{"k": 4}``.
            changes: settings of the section `search` that are different, such as ``layers=11``.
        """


@dataclass(frozen=True)
class Stage:
    """Epochs that are searched with one supernet.

    Args:
        epochs: number of epochs.
        warmup_epochs: the first of them, in which only the weights move.
        fresh_lr: whether a schedule of the learning rate starts with this stage; otherwise that of the
            stage before covers this one too. The first stage always starts one.
    """

    epochs: int
    warmup_epochs: int = 0
    fresh_lr: bool = True


def equal_stages(epochs: int, count: int, warmup_epochs: int, fresh_lr: bool = True) -> tuple[Stage, ...]:
    """Stages of equal length.

    Args:
        epochs: of the whole search.
        count: of the stages.
        warmup_epochs, fresh_lr: of each.

    Raises:
        UserError: if the number of epochs is not a multiple of `count`.
    """
    length, rest = divmod(epochs, count)
    if rest:
        raise UserError(f"search.epochs={epochs}: must be a multiple of {count}, the number of stages")
    return (Stage(length, min(warmup_epochs, length), fresh_lr),) * count


def endless_warmup(config: Any, warmup_epochs: int, count: int = 1) -> Iterator[str]:
    """What is said of a search in which only the weights would ever move; nothing of a smoke test.

    Args:
        config: of the command.
        warmup_epochs: of each stage.
        count: of the stages, which have equal length.
    """
    if config.debug or not config.task.runs_search:
        return
    length, rest = divmod(config.search.epochs, count)
    if rest == 0 and 0 < length <= warmup_epochs:
        limit = f"{length}, the epochs of each stage" if count > 1 else f"search.epochs={length}"
        yield f"stages.warmup_epochs={warmup_epochs}: must be below {limit}; the alphas move after the warm-up"


class Stages(ABC):
    """The stages of a search in order. Stage 0 is built as the first thing of a run."""

    @abstractmethod
    def plan(self, epochs: int) -> Sequence[Stage]:
        """All stages.

        Args:
            epochs: of the whole search, as configured.

        Raises:
            UserError: if the stages do not fit into so many epochs.
        """

    def build(self, index: int, facts: Facts | None, factory: Factory) -> Supernet:
        """The supernet of a stage. A resumed run builds it again from the same facts.

        Args:
            index: of the stage, counted from 0.
            facts: what the stage before returned from `end`; None for the first.
            factory: builds supernets.
        """
        return factory()

    def end(self, index: int, supernet: Supernet) -> Facts:
        """What the next stage has to know; plain values.

        Args:
            index: of the stage that ends.
            supernet: its supernet.
        """
        return {}

    def carry(
        self,
        index: int,
        old: Supernet,
        new: Supernet,
        old_optimizers: Sequence[torch.optim.Optimizer],
        new_optimizers: Sequence[torch.optim.Optimizer],
    ) -> None:
        """Take weights and optimizer states over into the new stage; by default it starts fresh.

        What it draws from torch's global generators is the same on all ranks.

        Args:
            index: of the new stage.
            old, new: the supernets.
            old_optimizers, new_optimizers: of weights and of architecture parameters.
        """
        return


#: By name, what makes `Stages`; given its settings where it has some.
STAGES: Registry[Callable[..., Stages]] = Registry("stages")


@dataclass(frozen=True, kw_only=True)
class SingleStageSettings:
    """One supernet for the whole search."""

    warmup_epochs: int = setting("epochs at the beginning in which only the weights move", at_least(0))

    def requires(self, config: Any) -> Iterator[str]:
        """The alphas move in some epoch."""
        yield from endless_warmup(config, self.warmup_epochs)


@STAGES.register("single", settings=SingleStageSettings)
class SingleStage(Stages):
    """The whole search in one stage.

    Args:
        settings: of the section `stages`; None = no warm-up.
    """

    def __init__(self, settings: SingleStageSettings | None = None) -> None:
        self.warmup_epochs = 0 if settings is None else settings.warmup_epochs

    def plan(self, epochs: int) -> Sequence[Stage]:
        return (Stage(epochs, min(self.warmup_epochs, epochs)),)
