"""Data for searches and trainings: paired, stateless loaders that can be continued at any batch.

From the inside out: `sample_order` says which samples are in batch i of an epoch, `augment` changes
the pixels of a whole batch, `batches` says what a function of (epoch, index) is and pairs two of
them, `loader` iterates such a function for Lightning, `module` holds what all LightningDataModules
share. `splits` cuts the training split into the halves of a search, `identity` says which data a run
was given, `settings` names the keys of the section `data`. Each kind of data has a folder:

- `images`: small images in memory, from registered sources or the user's own .npz file;
- `photos`: photos in folders, read ahead by worker processes;
- `text`: numbered words, cut into sequences.
"""

from darts_pl.data.augment import Augmentation, channel_statistics
from darts_pl.data.batches import Batches, PairedBatches
from darts_pl.data.identity import describe, difference, misfit, other_test
from darts_pl.data.images.arrays import ImageArrays
from darts_pl.data.images.batches import AugmentedBatches, OrderedBatches, ResidentImages
from darts_pl.data.images.module import HalfImages, RetrainImages, SearchImages, ValidatedImages
from darts_pl.data.images.npz import npz
from darts_pl.data.images.sources import IMAGE_SOURCES, list_sources, load, register_source
from darts_pl.data.loader import BatchLoader
from darts_pl.data.module import DataModule, SearchHalves
from darts_pl.data.photos.batches import PhotoBatches, PhotoDataset
from darts_pl.data.photos.folders import PhotoFolders, PhotoList, photo_folders
from darts_pl.data.photos.module import HalfPhotos, RetrainPhotos, SearchPhotos, ValidatedPhotos
from darts_pl.data.sample_order import EvaluationOrder, IndexOrder, MixedOrder, SequentialOrder, derive_seed
from darts_pl.data.settings import DataSettings, ImageSettings, Loading, PhotoSettings, TextSettings
from darts_pl.data.text.batches import EvaluationSequences, Lengths, PairedSequences, TrainSequences
from darts_pl.data.text.corpus import CORPORA, Corpus, load_corpus, unigram_perplexity
from darts_pl.data.text.module import HalfText, RetrainText, SearchText

#: The name of `register_source` in earlier versions.
source = register_source

__all__ = [
    "CORPORA",
    "IMAGE_SOURCES",
    "Augmentation",
    "AugmentedBatches",
    "BatchLoader",
    "Batches",
    "Corpus",
    "DataModule",
    "DataSettings",
    "EvaluationOrder",
    "EvaluationSequences",
    "HalfImages",
    "HalfPhotos",
    "HalfText",
    "ImageArrays",
    "ImageSettings",
    "IndexOrder",
    "Lengths",
    "Loading",
    "MixedOrder",
    "OrderedBatches",
    "PairedBatches",
    "PairedSequences",
    "PhotoBatches",
    "PhotoDataset",
    "PhotoFolders",
    "PhotoList",
    "PhotoSettings",
    "ResidentImages",
    "RetrainImages",
    "RetrainPhotos",
    "RetrainText",
    "SearchHalves",
    "SearchImages",
    "SearchPhotos",
    "SearchText",
    "SequentialOrder",
    "TextSettings",
    "TrainSequences",
    "ValidatedImages",
    "ValidatedPhotos",
    "channel_statistics",
    "derive_seed",
    "describe",
    "difference",
    "list_sources",
    "load",
    "load_corpus",
    "misfit",
    "npz",
    "other_test",
    "photo_folders",
    "register_source",
    "source",
    "unigram_perplexity",
]
