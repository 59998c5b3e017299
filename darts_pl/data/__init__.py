"""Data for searches and retrainings: paired, stateless loaders that can be continued at any batch.

From the inside out: `order` says which samples stand in batch i of a round, `augment` changes the
pixels of a whole batch, `batches` puts both together as a pure function of (round, position),
`loader` iterates such a function for Lightning, `module` holds the LightningDataModules. `images` holds
the registry of sources, one decorated function each; `npz` reads the user's own arrays. Photos too many
or too large for the memory are found by `photos`, read ahead by workers in `photo_batches`, and served
by `photo_module`. Text is numbered by `text`, cut into sequences by `text_batches`, and served by
`text_module`.
"""

from darts_pl.data.augment import Augmentation, channel_statistics
from darts_pl.data.batches import AugmentedBatches, Batches, OrderedBatches, PairedBatches, ResidentImages
from darts_pl.data.images import ImageArrays, load, source, sources
from darts_pl.data.loader import BatchLoader
from darts_pl.data.module import ImageDataModule, ImageSettings, RetrainImages, SearchImages
from darts_pl.data.npz import npz
from darts_pl.data.order import IndexOrder, SequentialOrder, derive_seed
from darts_pl.data.photo_batches import PhotoBatches, PhotoDataset
from darts_pl.data.photo_module import PhotoDataModule, PhotoSettings, RetrainPhotos, SearchPhotos
from darts_pl.data.photos import PhotoFolders, PhotoList, photo_folders
from darts_pl.data.text import CORPORA, Corpus, load_corpus, unigram_perplexity
from darts_pl.data.text_batches import EvaluationSequences, Lengths, PairedSequences, TrainSequences
from darts_pl.data.text_module import RetrainText, SearchText, TextDataModule, TextSettings

__all__ = [
    "CORPORA",
    "Augmentation",
    "AugmentedBatches",
    "BatchLoader",
    "Batches",
    "Corpus",
    "EvaluationSequences",
    "ImageArrays",
    "ImageDataModule",
    "ImageSettings",
    "IndexOrder",
    "Lengths",
    "OrderedBatches",
    "PairedBatches",
    "PairedSequences",
    "PhotoBatches",
    "PhotoDataModule",
    "PhotoDataset",
    "PhotoFolders",
    "PhotoList",
    "PhotoSettings",
    "ResidentImages",
    "RetrainImages",
    "RetrainPhotos",
    "RetrainText",
    "SearchImages",
    "SearchPhotos",
    "SearchText",
    "SequentialOrder",
    "TextDataModule",
    "TextSettings",
    "TrainSequences",
    "channel_statistics",
    "derive_seed",
    "load",
    "load_corpus",
    "npz",
    "photo_folders",
    "source",
    "sources",
    "unigram_perplexity",
]
