"""Settings that every search has, whatever its space."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from darts_pl.settings import Range, above, at_least, between, each, one_of, or_null, setting

#: What BatchNorm uses in a search's validation: the statistics of each batch, or the running ones.
BATCH, STORED = "batch", "stored"

_CANDIDATES = Range(
    lambda values: (
        len(values) >= 1 and (all(isinstance(one, str) for one in values) or all(_are_names(one) for one in values))
    ),
    "a list of names, or one such list for each edge of a cell, or of all its cells one after the other",
    ([], [1], ["none", ["none"]], [[]]),
)


def _are_names(values: Any) -> bool:
    return isinstance(values, (list, tuple)) and len(values) >= 1 and all(isinstance(one, str) for one in values)


@dataclass(frozen=True, kw_only=True)
class WeightsSettings:
    """The optimizer of a search's weights: SGD with a cosine schedule per epoch."""

    lr: float = setting("learning rate", above(0))
    lr_min: float = setting("learning rate at the end of the cosine schedule", at_least(0))
    warmup_epochs: int = setting("epochs in which the learning rate rises to the cosine schedule", at_least(0))
    momentum: float = setting("momentum", between(0, 1, with_high=False))
    nesterov: bool = setting("whether the momentum is Nesterov's")
    weight_decay: float = setting("L2 weight decay", at_least(0))
    grad_clip: float | None = setting("largest norm of the gradient", or_null(above(0), "none"))

    def conflicts(self) -> Iterator[tuple[str, str]]:
        """A schedule falls; torch has no Nesterov momentum of 0."""
        if self.lr_min > self.lr:
            yield "lr_min", f"must be 0 to lr={self.lr}"
        if self.nesterov and self.momentum == 0:
            yield "nesterov", "needs a momentum above 0"


@dataclass(frozen=True, kw_only=True)
class AlphasSettings:
    """The optimizer of the architecture parameters: Adam with L2 weight decay."""

    lr: float = setting("learning rate", above(0))
    betas: list[float] = setting(
        "decay rates of the two moments",
        each(between(0, 1, with_high=False), 2, "two numbers of 0 or more, below 1"),
    )
    weight_decay: float = setting("L2 weight decay", at_least(0))
    grad_clip: float | None = setting("largest norm of the gradient", or_null(above(0), "none"))
    scale: float = setting("standard deviation of the initial values", at_least(0))


@dataclass(frozen=True, kw_only=True)
class SearchSettings:
    """What every search has."""

    candidates: list[Any] = setting("candidates of every edge, in the order of the alphas", _CANDIDATES)
    nodes: int = setting("intermediate nodes of a cell", at_least(1))
    epochs: int = setting("epochs of the search", at_least(1))
    batch_size: int = setting("batch size of each of the two splits, per process", at_least(1))
    weights: WeightsSettings = setting("optimizer of the weights")
    alphas: AlphasSettings = setting("optimizer of the architecture parameters")


@dataclass(frozen=True, kw_only=True)
class ImageSearchSettings(SearchSettings):
    """What every search on images has."""

    train_portion: float = setting(
        "fraction of the training images that trains the weights",
        between(0, 1, with_low=False, with_high=False),
    )
    valid_statistics: str = setting(
        "what BatchNorm normalises by when the valid split is scored: the statistics of each batch, in shuffled "
        "batches of batch_size, or the running ones, in order",
        one_of(BATCH, STORED),
    )


def scores_batches(search: SearchSettings) -> bool:
    """Whether the validation of a search uses the statistics of each batch; not in spaces that have no such setting."""
    return bool(getattr(search, "valid_statistics", STORED) == BATCH)
