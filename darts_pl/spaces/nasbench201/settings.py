"""Settings of searches in the NAS-Bench-201 space, and of training its final network."""

from __future__ import annotations

from dataclasses import dataclass

from darts_pl.settings import at_least, setting
from darts_pl.spaces.cnn.settings import ImageTrainSettings
from darts_pl.spaces.settings import ImageSearchSettings


@dataclass(frozen=True, kw_only=True)
class NasBench201SearchSettings(ImageSearchSettings):
    """A search in the NAS-Bench-201 space."""

    cells: int = setting("cells of each of the three stages", at_least(1))
    init_channels: int = setting("channels of the first stage; each residual block doubles them", at_least(1))
    track_statistics: bool = setting(
        "whether BatchNorm in the cells keeps running statistics; false = it always uses those of the batch"
    )


@dataclass(frozen=True, kw_only=True)
class NasBench201TrainSettings(ImageTrainSettings):
    """Training the network of a cell from scratch."""

    cells: int = setting("cells of each of the three stages", at_least(1))
    init_channels: int = setting("channels of the first stage; each residual block doubles them", at_least(1))
