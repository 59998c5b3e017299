"""Settings of data: one dataclass per kind, and what a task says about its batches.

The dataclass of a kind names the keys of the section `data` of the configuration. Defaults are in
`conf/data/`; a key has one here only where older configurations lack it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from darts_pl.errors import UserError
from darts_pl.registry import Registry
from darts_pl.settings import Range, above, at_least, between, check, one_of, or_null, setting

#: How the training split is cut into the two halves of a search.
STRATIFIED, INDEX = "stratified", "index"
#: How an array of images is laid out.
AUTO, NHWC, NCHW = "auto", "nhwc", "nchw"

_FRACTION = between(0, 1, with_low=False)
_DEVIATIONS = Range(
    lambda values: len(values) >= 1 and all(value > 0 for value in values),
    "one number above 0 per channel",
    ([], [0.0], [1.0, -1.0]),
)
_JITTER = Range(
    lambda values: len(values) == 4 and all(0 <= value <= 1 for value in values) and values[3] <= 0.5,
    "four numbers: brightness, contrast, saturation (0 to 1) and hue (0 to 0.5)",
    ([0.4, 0.4, 0.4], [0.4, 0.4, 0.4, 0.6], [2.0, 0.4, 0.4, 0.2]),
)


@dataclass(frozen=True, kw_only=True)
class DataSettings:
    """What all data have."""

    #: What a space and a network read: "images" or "text".
    holds: ClassVar[str]
    #: Data of this kind, as they are chosen on a command line.
    examples: ClassVar[str]

    name: str = setting("which data set of that kind")
    path: str | None = setting("file or folder of the data; ~ is the home folder")
    batch_size: int | None = setting(
        "samples per training batch and process",
        or_null(at_least(1), "search.batch_size and train.batch_size"),
    )
    eval_batch_size: int = setting("samples per evaluation batch and process; changes no score", at_least(1))


@dataclass(frozen=True, kw_only=True)
class LabelledSettings(DataSettings):
    """What images and photos have in common."""

    stem: str = setting("first layers of the networks")
    flip: bool = setting("mirror every second training image, on average, left to right")
    split: str = setting(
        "how a search cuts its halves: every class in proportion, or the first and the last images",
        one_of(STRATIFIED, INDEX),
    )
    split_seed: int = setting(
        "which images of a class form the train half of a stratified split, or a test split; independent of `seed`",
        between(0, 2**32 - 1),
    )
    test_fraction: float = setting(
        "of a file or folder without a test split: the fraction of each class that becomes one, by `split_seed`",
        between(0, 1, with_low=False, with_high=False),
    )


@dataclass(frozen=True, kw_only=True)
class ImageSettings(LabelledSettings):
    """Small images of one size, which stay on the training device."""

    holds = "images"
    examples = "data=cifar10"

    crop_padding: int = setting("zero pixels on each side before a random crop of the old size", at_least(0))
    mean: list[float] | None = setting("per channel, in units of the full pixel range; null = measured")
    std: list[float] | None = setting(
        "standard deviation per channel, in the same units", or_null(_DEVIATIONS, "the measured one")
    )
    layout: str = setting(
        "of arrays with channels: [N, H, W, C], [N, C, H, W], or the one that the shape allows",
        one_of(AUTO, NHWC, NCHW),
    )


@dataclass(frozen=True, kw_only=True)
class PhotoSettings(LabelledSettings):
    """Photos in folders, which worker processes read."""

    holds = "images"
    examples = "data=imagenet"

    fraction: float = setting("fraction of the training photos of each class that is used", _FRACTION)
    size: int = setting("side in pixels of the crop that the network sees; smaller photos are enlarged", at_least(8))
    resize: int = setting("shorter side in pixels before the centre crop of an evaluation", at_least(8))
    crop_scale: float = setting("smallest fraction of a photo's area that a random crop covers", _FRACTION)
    color_jitter: list[float] = setting("brightness, contrast, saturation, hue", _JITTER)
    mean: list[float] = setting("per channel, in units of the full pixel range")
    std: list[float] = setting("standard deviation per channel, in the same units", _DEVIATIONS)
    workers: int | None = setting(
        "processes that read photos; 0 = none", or_null(at_least(0), "one per core, at most 8")
    )

    def conflicts(self) -> Iterator[tuple[str, str]]:
        """Values that do not fit each other; see `darts_pl.settings.check`."""
        if self.resize < self.size:
            yield "resize", f"must be at least data.size={self.size}, the crop"
        for name in ("mean", "std"):
            if len(getattr(self, name)) != 3:
                yield name, "photos have 3 channels"


@dataclass(frozen=True, kw_only=True)
class TextSettings(DataSettings):
    """A text, read as a stream of words. Batch sizes count the columns that are read side by side."""

    holds = "text"
    examples = "data=ptb, wikitext2, text or pydocs"

    test_batch_size: int = setting("columns in the test", at_least(1))
    fraction: float = setting("fraction of the training text that is used, from its start", _FRACTION)


#: Kinds of data: how they are read and augmented. A component is the settings class itself.
DATA_KINDS: Registry[type[DataSettings]] = Registry("kind of data")
DATA_KINDS.add("images", ImageSettings, settings=ImageSettings)
DATA_KINDS.add("photos", PhotoSettings, settings=PhotoSettings)
DATA_KINDS.add("text", TextSettings, settings=TextSettings)


@dataclass(frozen=True)
class Loading:
    """What a task says about its batches, beside the settings of the data.

    Args:
        batch_size: samples per training batch and process; for text, columns.
        seed: sample order, augmentation and sequence lengths are functions of it.
        batch_size_key: the key that `batch_size` comes from, for messages.
        min_batch_size: fewest images that a training batch may hold per process.
        train_portion: in a search, the fraction of the training split that forms the train half;
            the rest is the valid half.
        cutout: side in pixels of the square that is erased from training images; 0 = none.
        valid_fraction: in a training, the fraction of each class of the training split that is held out to
            validate; 0 = none.
        mixed_scores: whether the valid half of a search is scored in shuffled batches of `batch_size`, each whole
            on one process (`MixedOrder`), instead of in order in batches of `data.eval_batch_size`.

    Raises:
        UserError: if a value is out of its range, or `batch_size` is below `min_batch_size`.
    """

    batch_size: int = setting("samples per training batch and process", at_least(1))
    seed: int = setting("of sample order and augmentation", at_least(0))
    batch_size_key: str = setting("key that the batch size comes from", default="batch_size")
    min_batch_size: int = setting("fewest images per training batch and process", above(0), default=1)
    train_portion: float | None = setting(
        "fraction of the training split that forms the train half; null in a training",
        Range(lambda value: value is None or 0 < value < 1, "above 0, below 1", (0, 1)),
        default=None,
    )
    cutout: int = setting("side in pixels of the square that is erased", at_least(0), default=0)
    valid_fraction: float = setting(
        "fraction of the training split that is held out", between(0, 1, with_high=False), default=0.0
    )
    mixed_scores: bool = setting("whether the valid half is scored in shuffled batches of batch_size", default=False)

    @property
    def portion(self) -> float:
        """`train_portion` of a search."""
        assert self.train_portion is not None, "a search divides the training split"
        return self.train_portion

    def __post_init__(self) -> None:
        check(self, "")
        if self.batch_size < self.min_batch_size:
            raise UserError(
                f"{self.batch_size_key}={self.batch_size}: must be at least {self.min_batch_size} here: "
                "BatchNorm reads maps of 1x1 in this network"
            )
