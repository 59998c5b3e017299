"""The search module that a configuration describes, whatever its supernet."""

from __future__ import annotations

from collections.abc import Callable

from darts_pl.bilevel import ORDERS, AlphaRecipe, WeightRecipe
from darts_pl.config import Config
from darts_pl.modules import SearchModule
from darts_pl.modules.scores import Scores
from darts_pl.spaces import Supernet


def search_module(config: Config, supernet: Supernet, scores: Callable[[], Scores]) -> SearchModule:
    """A `SearchModule` with the configured order, optimizers and selection rule.

    Args:
        config: typed and validated.
        supernet: the search network.
        scores: makes the metrics of one split.
    """
    sgd, adam = config.search.weights, config.search.alphas
    return SearchModule(
        supernet,
        order=ORDERS.get(config.order.name),
        weights=WeightRecipe(
            lr=sgd.lr,
            lr_min=sgd.lr_min,
            momentum=sgd.momentum,
            weight_decay=sgd.weight_decay,
            grad_clip=sgd.grad_clip,
            epochs=config.search.epochs,
        ),
        alphas=AlphaRecipe(adam.lr, (adam.betas[0], adam.betas[1]), adam.weight_decay),
        radius=config.order.radius,
        scores=scores,
        seed=config.seed,
    )
