"""Which stage a search is in, and the supernets of the stages."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch

from darts_pl.bilevel import Draws, Factory, Facts, SingleStage, Stage, Stages
from darts_pl.bilevel.draws import Split
from darts_pl.errors import UserError
from darts_pl.spaces import Supernet


class Place(NamedTuple):
    """Where an epoch is: number of the stage, epoch within it (both from 0), and the stage."""

    number: int
    epoch: int
    stage: Stage


class StageRun:
    """Builds the supernet of every stage, each from what the stage before left.

    Args:
        stages: the stages.
        factory: builds supernets.
        epochs: of the whole search.
        seed: of the run; a stage after the first is built under a seed of its own, so that all ranks
            and a resumed run build the same.
    """

    def __init__(self, stages: Stages, factory: Factory, epochs: int, seed: int) -> None:
        self.stages = stages
        self.factory = factory
        self.seed = seed
        self.plan = tuple(stages.plan(epochs))
        if sum(stage.epochs for stage in self.plan) != epochs:
            raise UserError(
                f"the stages have {' + '.join(str(stage.epochs) for stage in self.plan)} epochs, "
                f"but search.epochs={epochs}; set search.epochs to their sum"
            )
        self.index = 0
        self.facts: Facts | None = None

    @classmethod
    def single(cls, supernet: Supernet, epochs: int) -> StageRun:
        """One stage with a supernet that is there already."""
        return cls(SingleStage(), _Given(supernet), epochs, 0)

    def first(self) -> Supernet:
        """The supernet of the first stage; it draws from the global generators."""
        supernet = self.stages.build(0, None, self.factory)
        supernet.enter_stage(0)
        return supernet

    def place(self, epoch: int) -> Place:
        """Where an epoch of the search is; behind the last one, the last stage."""
        for index, stage in enumerate(self.plan):
            if epoch < stage.epochs or index == len(self.plan) - 1:
                return Place(index, epoch, stage)
            epoch -= stage.epochs
        raise AssertionError("a search has a stage")

    @property
    def total(self) -> int:
        """Epochs of all stages."""
        return sum(stage.epochs for stage in self.plan)

    @property
    def schedule_epochs(self) -> int:
        """Epochs that the present schedule of the learning rate covers."""
        starts = [index for index, stage in enumerate(self.plan) if index == 0 or stage.fresh_lr]
        first = max(index for index in starts if index <= self.index)
        behind = min((index for index in starts if index > self.index), default=len(self.plan))
        return sum(stage.epochs for stage in self.plan[first:behind])

    def advance(self, supernet: Supernet) -> Supernet:
        """End the present stage and build the next one.

        Args:
            supernet: of the present stage.
        """
        facts = json.loads(json.dumps(self.stages.end(self.index, supernet)))  # as a checkpoint will give them
        return self.enter(self.index + 1, facts)

    def enter(self, index: int, facts: Facts | None) -> Supernet:
        """Build the supernet of a stage.

        Args:
            index: of the stage.
            facts: what the stage before left.
        """
        self.index, self.facts = index, facts
        with self._drawing("build"):
            supernet = self.stages.build(index, facts, self.factory)
        supernet.enter_stage(index)
        return supernet

    def carry(
        self,
        old: Supernet,
        new: Supernet,
        old_optimizers: Sequence[torch.optim.Optimizer],
        new_optimizers: Sequence[torch.optim.Optimizer],
    ) -> None:
        """Take over into the present stage what goes on; see `Stages.carry`."""
        with self._drawing("carry"):
            self.stages.carry(self.index, old, new, old_optimizers, new_optimizers)

    @contextmanager
    def _drawing(self, split: Split) -> Iterator[None]:
        """Within it the global generators draw what the stage prescribes, the same on all ranks."""
        with torch.random.fork_rng(devices=list(range(torch.cuda.device_count()))):
            torch.manual_seed(Draws(self.seed, self.index).seed(split))
            yield

    def state_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"index": self.index, "facts": self.facts}

    def differs(self, state: Mapping[str, Any]) -> bool:
        """Whether a state belongs to another supernet than the present one."""
        return bool(state["index"] != self.index or state["facts"] != self.facts)


class _Given:
    """A factory of one supernet."""

    def __init__(self, supernet: Supernet) -> None:
        self.supernet = supernet

    def __call__(self, **changes: Any) -> Supernet:
        return self.supernet
