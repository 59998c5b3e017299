"""What every task is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from darts_pl.config import Config
from darts_pl.data import ImageArrays, ImageSettings, load
from darts_pl.runs import RunFolder


@dataclass(frozen=True)
class Context:
    """A task's configuration and where it writes.

    Args:
        config: typed and validated.
        resolved: the same as plain values, for loggers.
        folder: of the run.
        images: the data set, read once.
    """

    config: Config
    resolved: Mapping[str, Any]
    folder: RunFolder
    images: ImageArrays

    def inside(self, name: str) -> Context:
        """The same with a subfolder of the run's folder."""
        return Context(self.config, self.resolved, self.folder.sub(name), self.images)


def load_images(config: Config) -> ImageArrays:
    """The data set that `data` names.

    Raises:
        UserError: if it is unknown, missing or malformed.
    """
    return load(config.data.name, config.data.path)


def image_settings(config: Config, batch_size: int, cutout: int) -> ImageSettings:
    """How the data module cuts, shuffles and augments."""
    data = config.data
    return ImageSettings(
        batch_size=batch_size,
        eval_batch_size=data.eval_batch_size,
        seed=config.seed,
        train_portion=config.search.train_portion,
        crop_padding=data.crop_padding,
        flip=data.flip,
        cutout=cutout,
        mean=None if data.mean is None else tuple(data.mean),
        std=None if data.std is None else tuple(data.std),
    )
