"""The search that a configuration describes, whatever its space, its data and its method."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Protocol

import pytorch_lightning as pl

from darts_pl.bilevel import (
    OBSERVERS,
    ORDERS,
    PERTURBATIONS,
    REGULARISERS,
    STAGES,
    AlphaRecipe,
    Regulariser,
    WeightRecipe,
)
from darts_pl.config import Config
from darts_pl.errors import UserError
from darts_pl.modules import SearchModule, StageRun
from darts_pl.problems.base import Problem
from darts_pl.selection import preview_of
from darts_pl.spaces import EDGES, RELAXATIONS, SKIPS, SPACES, Parts, SearchSpace, Supernet, scores_batches


class GivesFacts(Protocol):
    """What knows the sizes that the data determine, such as a `Problem`."""

    @property
    def facts(self) -> Mapping[str, int]:
        """By name, such as the number of classes."""


@dataclass(frozen=True)
class SupernetFactory:
    """Builds supernets as the configuration says, with changes; what stages are given.

    Args:
        config: typed and validated.
        problem: gives the sizes that the data determine.
    """

    config: Config
    problem: GivesFacts

    def __call__(
        self, *, cells: SearchSpace | None = None, edges: Mapping[str, Any] | None = None, **changes: Any
    ) -> Supernet:
        search = self.config.search
        settings = replace(search, **changes) if changes else search
        return SPACES.get(search.space).supernet(settings, self.problem.facts, self.parts(edges or {}), cells)

    def parts(self, edges: Mapping[str, Any] = MappingProxyType({})) -> Parts:
        """Relaxation, edges and skip, as the configuration chooses them.

        Args:
            edges: settings of the section `edges` that are different.
        """
        config = self.config
        return Parts(
            RELAXATIONS.build(config.relaxation),
            EDGES.build(replace(config.edges, **edges) if edges else config.edges),
            SKIPS.build(config.skip),
        )


def checked_parts(config: Config, factory: SupernetFactory) -> tuple[Regulariser, StageRun]:
    """The regulariser and the stages that a configuration chooses.

    Raises:
        UserError: if they do not fit the other parts.
    """
    regulariser: Regulariser = REGULARISERS.build(config.regulariser)
    for reason in regulariser.requires(factory.parts()):
        raise UserError(reason)
    stages = StageRun(STAGES.build(config.stages), factory, config.search.epochs, config.seed)
    for reason in factory.parts().skip.requires(len(stages.plan)):
        raise UserError(reason)
    return regulariser, stages


def build_search(
    config: Config, problem: Problem, kind: type[SearchModule] = SearchModule
) -> tuple[SearchModule, pl.LightningDataModule]:
    """The search in its LightningModule, and its paired data.

    Args:
        config: typed and validated.
        problem: what is searched for.
        kind: of the LightningModule.

    Raises:
        UserError: if the search space cannot be built, or the data or the parts do not fit it.
    """
    factory = SupernetFactory(config, problem)
    search = config.search
    regulariser, stages = checked_parts(config, factory)
    supernet = stages.first()
    data = problem.search_data(supernet)
    sgd, adam = search.weights, search.alphas
    module = kind(
        supernet,
        order=ORDERS.build(config.order),
        weights=WeightRecipe(
            lr=sgd.lr,
            lr_min=sgd.lr_min,
            momentum=sgd.momentum,
            weight_decay=sgd.weight_decay,
            grad_clip=sgd.grad_clip,
            epochs=search.epochs,
            nesterov=sgd.nesterov,
            warmup_epochs=sgd.warmup_epochs,
        ),
        alphas=AlphaRecipe(adam.lr, (adam.betas[0], adam.betas[1]), adam.weight_decay, adam.grad_clip),
        radius=getattr(config.order, "radius", None),
        scores=problem.scores,
        preview=preview_of(config.select),
        regulariser=regulariser,
        perturbation=PERTURBATIONS.build(config.perturbation),
        observers=[OBSERVERS.build(settings) for settings in config.observers.values()],
        stages=stages,
        seed=config.seed,
        batch_scores=scores_batches(search),
    )
    return module, data
