"""The search that a configuration describes, whatever its space, its data and its method."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytorch_lightning as pl

from darts_pl.bilevel import ORDERS, STAGES, AlphaRecipe, WeightRecipe
from darts_pl.config import Config
from darts_pl.errors import UserError
from darts_pl.modules import SearchModule, StageRun
from darts_pl.problems.base import Problem, problem_that_gives
from darts_pl.spaces import RELAXATIONS, SPACES, Parts, SearchSpace, Supernet


@dataclass(frozen=True)
class SupernetFactory:
    """Builds supernets as the configuration says, with changes; what stages are given.

    Args:
        config: typed and validated.
        problem: gives the sizes that the data determine.
    """

    config: Config
    problem: Problem

    def __call__(self, *, cells: SearchSpace | None = None, **changes: Any) -> Supernet:
        search = self.config.search
        settings = replace(search, **changes) if changes else search
        return SPACES.get(search.space).supernet(settings, self.problem.facts, self.parts(), cells)

    def parts(self) -> Parts:
        """Relaxation, edges and skip, as the configuration chooses them."""
        return Parts(RELAXATIONS.get(self.config.search.relaxation)())


def build_search(config: Config, problem: Problem) -> tuple[SearchModule, pl.LightningDataModule]:
    """The search in its LightningModule, and its paired data.

    Raises:
        UserError: if the search space cannot be built, or the data or the parts do not fit it.
    """
    check_space_fits(config, problem)
    factory = SupernetFactory(config, problem)
    search = config.search
    stages = StageRun(STAGES.get("single")(), factory, search.epochs, config.seed)
    supernet = stages.first()
    data = problem.search_data(supernet)
    sgd, adam = search.weights, search.alphas
    module = SearchModule(
        supernet,
        order=ORDERS.get(config.order.name),
        weights=WeightRecipe(
            lr=sgd.lr,
            lr_min=sgd.lr_min,
            momentum=sgd.momentum,
            weight_decay=sgd.weight_decay,
            grad_clip=sgd.grad_clip,
            epochs=search.epochs,
            nesterov=sgd.nesterov,
        ),
        alphas=AlphaRecipe(adam.lr, (adam.betas[0], adam.betas[1]), adam.weight_decay),
        radius=config.order.radius,
        scores=problem.scores,
        stages=stages,
        seed=config.seed,
    )
    return module, data


def check_space_fits(config: Config, problem: Problem) -> None:
    """Raise UserError unless the data are what the search space reads."""
    space = SPACES.get(config.search.space)
    if space.data != problem.gives:
        wanted = problem_that_gives(space.data)
        raise UserError(
            f"search.space={space.name} reads {space.data}, but data={config.data.name} holds {problem.gives}\n"
            f"use {wanted.examples}, or {_space_that_reads(problem.gives)}"
        )


def _space_that_reads(data: str) -> str:
    return " or ".join(f"search={name}" for name in SPACES if SPACES.get(name).data == data)
