"""Settings of convolutional searches and of training their final networks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from darts_pl.settings import Range, above, at_least, between, one_of, or_null, setting
from darts_pl.spaces.settings import ImageSearchSettings

_STEMS = one_of("cifar", "imagenet")
_FRACTION = between(0, 1, with_high=False)
_REDUCTIONS = or_null(
    Range(
        lambda values: all(type(one) is int and one >= 0 for one in values) and len({*values}) == len(values),
        "different cell numbers, counted from 0",
        ([-1], [1, 1]),
    ),
    "those at 1/3 and 2/3 of the depth",
)
_REDUCTIONS_HELP = "which cells are reduction cells"
_EXTRA_SKIP_HELP = "whether every edge also adds its input, which is halved where the edge halves it"


def _reductions_within(reductions: list[int] | None, layers: int) -> Iterator[tuple[str, str]]:
    """The reduction cells must be cells of the network."""
    if reductions and max(reductions) >= layers:
        yield "reductions", f"must be cells 0 to {layers - 1} of a network of {layers}"


@dataclass(frozen=True, kw_only=True)
class CnnSearchSettings(ImageSearchSettings):
    """A convolutional search."""

    layers: int = setting("cells of the search network", at_least(1))
    reductions: list[int] | None = setting(_REDUCTIONS_HELP, _REDUCTIONS)
    extra_skip: bool = setting(_EXTRA_SKIP_HELP)
    init_channels: int = setting(
        "channels of the first cells",
        Range(
            lambda value: value >= 2,
            "at least 2: a map is halved by two convolutions, each with half of the channels",
            (1, 0),
        ),
    )
    stem: str = setting("what comes before the first cell", _STEMS)
    pool_norm: bool = setting("whether BatchNorm follows the poolings of the search network")
    last_norm: bool = setting("whether BatchNorm and ReLU come before the global pooling of the search network")
    recompute: bool = setting("whether the maps within a cell are computed again in the backward pass, not kept")

    def conflicts(self) -> Iterator[tuple[str, str]]:
        """A short network has a normal cell only where its reduction cells are named."""
        yield from _reductions_within(self.reductions, self.layers)
        if self.reductions is None and self.layers < 3:
            yield "layers", "must be at least 3, or name search.reductions: fewer layers leave no normal cell"


@dataclass(frozen=True, kw_only=True)
class ImageTrainSettings:
    """Training any network for images from scratch."""

    epochs: int = setting("epochs of the training", at_least(1))
    batch_size: int = setting("batch size per process", at_least(1))
    lr: float = setting("learning rate", above(0))
    lr_min: float = setting("learning rate at the end of the cosine schedule", at_least(0))
    schedule: str = setting("how the learning rate falls", one_of("cosine", "exponential"))
    lr_decay: float = setting("factor per epoch of the exponential schedule", between(0, 1, with_low=False))
    warmup_epochs: int = setting("epochs in which the learning rate rises to lr", at_least(0))
    momentum: float = setting("momentum", _FRACTION)
    nesterov: bool = setting("whether the momentum is Nesterov's")
    weight_decay: float = setting("L2 weight decay", at_least(0))
    grad_clip: float | None = setting("largest norm of the gradient", or_null(above(0), "none"))
    cutout: int = setting("side of the erased square in pixels; 0 = none", at_least(0))
    label_smoothing: float = setting("probability that is spread over all classes", _FRACTION)
    accumulate: int = setting("batches whose gradients are added up for one step", at_least(1))
    ema: float | None = setting(
        "decay of a moving average of the weights, which is then scored",
        or_null(between(0, 1, with_low=False, with_high=False), "none"),
    )
    valid_fraction: float = setting(
        "fraction of each class of the training images that is held out, scored after every epoch, and chooses the "
        "weights that are kept; 0 = none",
        _FRACTION,
    )

    def conflicts(self) -> Iterator[tuple[str, str]]:
        """Schedules fall and end within the training; torch has no Nesterov momentum of 0."""
        if self.lr_min > self.lr:
            yield "lr_min", f"must be 0 to lr={self.lr}"
        if self.warmup_epochs > self.epochs:
            yield "warmup_epochs", f"must be at most train.epochs={self.epochs}"
        if self.nesterov and self.momentum == 0:
            yield "nesterov", "needs a momentum above 0"


@dataclass(frozen=True, kw_only=True)
class ClassifierTrainSettings(ImageTrainSettings):
    """Training a classifier from scratch."""

    layers: int = setting("cells of the network", at_least(1))
    reductions: list[int] | None = setting(_REDUCTIONS_HELP, _REDUCTIONS)
    extra_skip: bool = setting(_EXTRA_SKIP_HELP)
    init_channels: int = setting("channels of the first cells", at_least(1))
    stem: str = setting("what comes before the first cell", _STEMS)
    drop_path: float = setting("probability at the end of the training that a path is dropped", _FRACTION)
    auxiliary_weight: float = setting("weight of the auxiliary tower's loss; 0 = no tower", at_least(0))

    def conflicts(self) -> Iterator[tuple[str, str]]:
        """As of every training; the larger stem halves the channels."""
        yield from super().conflicts()
        yield from _reductions_within(self.reductions, self.layers)
        if self.stem == "imagenet" and self.init_channels < 2:
            yield "init_channels", "must be at least 2 with train.stem=imagenet"
