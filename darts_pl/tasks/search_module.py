"""The search module that a configuration describes, whatever its supernet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from darts_pl.bilevel import hypergradient
from darts_pl.config import Config
from darts_pl.modules import AlphaRecipe, SearchModule, WeightRecipe
from darts_pl.modules.scores import Scores
from darts_pl.selection import rule
from darts_pl.spaces import Supernet


def search_module(config: Config, supernet: Supernet, scores: Callable[[], Scores], **weights: Any) -> SearchModule:
    """A `SearchModule` with the configured order, optimizers and selection rule.

    Args:
        config: typed and validated.
        supernet: the search network.
        scores: makes the metrics of one split.
        weights: fields of the `WeightRecipe` that only some spaces have.
    """
    sgd, adam = config.search.weights, config.search.alphas
    return SearchModule(
        supernet,
        order=hypergradient(config.order.name),
        weights=WeightRecipe(
            lr=sgd.lr,
            lr_min=sgd.lr_min,
            momentum=sgd.momentum,
            weight_decay=sgd.weight_decay,
            grad_clip=sgd.grad_clip,
            epochs=config.search.epochs,
            **weights,
        ),
        alphas=AlphaRecipe(adam.lr, (adam.betas[0], adam.betas[1]), adam.weight_decay),
        radius=getattr(config.order, "radius", 1.0),
        scores=scores,
        select=rule(config.select.name),
    )
