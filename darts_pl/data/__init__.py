"""Data for searches and retrainings: paired, stateless loaders that can be continued at any batch.

From the inside out: `order` says which samples stand in batch i of a round, `augment` changes the
pixels of a whole batch, `batches` puts both together as a pure function of (round, position),
`loader` iterates such a function for Lightning, `module` holds the LightningDataModules. `images` holds
the registry of sources, one decorated function each; `npz` reads the user's own arrays.
"""

from darts_pl.data.augment import Augmentation, channel_statistics
from darts_pl.data.batches import AugmentedBatches, Batches, OrderedBatches, PairedBatches, ResidentImages
from darts_pl.data.images import ImageArrays, load, source, sources
from darts_pl.data.loader import BatchLoader
from darts_pl.data.module import ImageDataModule, ImageSettings, RetrainImages, SearchImages
from darts_pl.data.npz import npz
from darts_pl.data.order import IndexOrder, SequentialOrder, derive_seed

__all__ = [
    "Augmentation",
    "AugmentedBatches",
    "BatchLoader",
    "Batches",
    "ImageArrays",
    "ImageDataModule",
    "ImageSettings",
    "IndexOrder",
    "OrderedBatches",
    "PairedBatches",
    "ResidentImages",
    "RetrainImages",
    "SearchImages",
    "SequentialOrder",
    "channel_statistics",
    "derive_seed",
    "load",
    "npz",
    "source",
    "sources",
]
