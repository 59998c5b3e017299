"""What a search on images and the training of a classifier are built from."""

from __future__ import annotations

from functools import partial

import pytorch_lightning as pl

from darts_pl.config import Config
from darts_pl.genotype import Genotype
from darts_pl.modules import (
    ClassificationScores,
    ClassifierModule,
    ClassifierRecipe,
    SearchModule,
)
from darts_pl.spaces import Classifier, CnnSupernet, build_space, least_batch, relaxation, tower_fits
from darts_pl.tasks.image_data import image_shape, load_images, retrain_data, search_data
from darts_pl.tasks.search_module import search_module


def build_image_search(config: Config) -> tuple[SearchModule, pl.LightningDataModule]:
    """Supernet and LightningModule of a convolutional search, and its paired data.

    Raises:
        UserError: if the search space cannot be built or the data do not fit it.
    """
    search, images = config.search, load_images(config)
    supernet = CnnSupernet(
        build_space(search.space, search.candidates, search.nodes),
        init_channels=search.init_channels,
        layers=search.layers,
        classes=images.classes,
        in_channels=images.channels,
        stem=search.stem,
        relaxation=relaxation(config.relaxation.name),
    )
    data = search_data(config, images, least_batch(supernet, *image_shape(config, images)))
    return search_module(config, supernet, partial(ClassificationScores, images.classes)), data


def build_classifier(config: Config, genotype: Genotype) -> tuple[ClassifierModule, pl.LightningDataModule]:
    """The final network of a genotype in its LightningModule, and its data.

    Raises:
        UserError: if the genotype builds no classifier or the data do not fit it.
    """
    train, images = config.train, load_images(config)
    shape = channels, height, width = image_shape(config, images)
    network = Classifier(
        genotype,
        init_channels=train.init_channels,
        layers=train.layers,
        classes=images.classes,
        in_channels=channels,
        auxiliary=train.auxiliary_weight > 0 and tower_fits(train.layers, train.stem, min(height, width)),
        stem=train.stem,
    )
    data = retrain_data(config, images, least_batch(network, *shape))
    return classifier_module(config, network, images.classes), data


def classifier_module(config: Config, network: Classifier, classes: int) -> ClassifierModule:
    """A classifier in its LightningModule, to be trained as `train` says, or tested."""
    train = config.train
    recipe = ClassifierRecipe(
        lr=train.lr,
        lr_min=train.lr_min,
        momentum=train.momentum,
        weight_decay=train.weight_decay,
        epochs=train.epochs,
        drop_path=train.drop_path,
        auxiliary_weight=train.auxiliary_weight,
        schedule=train.schedule,
        lr_decay=train.lr_decay,
        warmup_epochs=train.warmup_epochs,
        label_smoothing=train.label_smoothing,
    )
    return ClassifierModule(network, recipe, classes)
