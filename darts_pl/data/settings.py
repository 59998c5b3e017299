"""Settings of the data, by their kind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from darts_pl.registry import Registry
from darts_pl.settings import Range, above, at_least, between, each, or_null, setting

#: Kinds of data: how they are read and augmented. A component is the settings class itself.
DATA_KINDS: Registry[Any] = Registry("kind of data")

_COUNT = at_least(1)
_CHANNELS = each(above(0), text="one number above 0 for each channel")
_FRACTION = between(0, 1, with_low=False)
_JITTER = Range(
    lambda value: len(value) == 4 and all(0 <= number <= 1 for number in value) and value[3] <= 0.5,
    "four numbers: brightness, contrast, saturation (0 to 1) and hue (0 to 0.5)",
    ([0.4, 0.4, 0.4], [2, 0, 0, 0], [0, 0, 0, 0.6], [0, -1, 0, 0]),
)


@dataclass(frozen=True, kw_only=True)
class DataSettings:
    """What all data have."""

    #: What a space and a network read: "images" or "text".
    holds: ClassVar[str]
    #: Data of this kind, as they are chosen on a command line.
    examples: ClassVar[str]

    name: str = setting("which data are read")
    path: str | None = setting("where they are")
    batch_size: int | None = setting(
        "overrides search.batch_size and train.batch_size", or_null(_COUNT, "what these two say")
    )
    eval_batch_size: int = setting("batch size of validation and test", _COUNT)


@dataclass(frozen=True, kw_only=True)
class ImageDataSettings(DataSettings):
    """Small images in memory, and how they are augmented."""

    holds = "images"
    examples = "data=cifar10"

    stem: str = setting("the stem of networks for these images")
    crop_padding: int = setting("pixels of padding before a random crop", at_least(0))
    flip: bool = setting("whether images are mirrored at random")
    mean: list[float] | None = setting("mean of each channel; null = measured")
    std: list[float] | None = setting(
        "standard deviation of each channel", or_null(_CHANNELS, "measured on the training images")
    )


@dataclass(frozen=True, kw_only=True)
class PhotoDataSettings(DataSettings):
    """Photos in folders, read by worker processes, and how they are augmented."""

    holds = "images"
    examples = "data=imagenet"

    stem: str = setting("the stem of networks for these photos")
    fraction: float = setting("fraction of the training photos of each class that is used", _FRACTION)
    size: int = setting("side of the crop in pixels", at_least(8))
    resize: int = setting("shorter side before the centre crop of an evaluation, in pixels")
    crop_scale: float = setting("smallest fraction of a photo that a random crop covers", _FRACTION)
    flip: bool = setting("whether photos are mirrored at random")
    color_jitter: list[float] = setting("brightness, contrast, saturation, hue", _JITTER)
    mean: list[float] = setting("mean of each channel")
    std: list[float] = setting("standard deviation of each channel", _CHANNELS)
    workers: int | None = setting(
        "processes that read photos; 0 = none", or_null(at_least(0), "one per core, at most 8")
    )

    def conflicts(self) -> Iterator[tuple[str, str]]:
        """A crop lies inside the resized photo."""
        if self.resize < self.size:
            yield "resize", f"must be at least data.size={self.size}, the crop"


@dataclass(frozen=True, kw_only=True)
class TextDataSettings(DataSettings):
    """Text, read as a stream of words."""

    holds = "text"
    examples = "data=ptb, wikitext2, text or pydocs"

    test_batch_size: int = setting("columns that are read side by side in the test", _COUNT)
    fraction: float = setting("fraction of the training text that is used, from its start", _FRACTION)


DATA_KINDS.add("images", ImageDataSettings, settings=ImageDataSettings)
DATA_KINDS.add("photos", PhotoDataSettings, settings=PhotoDataSettings)
DATA_KINDS.add("text", TextDataSettings, settings=TextDataSettings)
