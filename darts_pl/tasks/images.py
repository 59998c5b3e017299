"""What a search on images and the training of a classifier are built from."""

from __future__ import annotations

from functools import lru_cache

import pytorch_lightning as pl

from darts_pl.bilevel import hypergradient
from darts_pl.config import Config
from darts_pl.data import ImageArrays, ImageSettings, RetrainImages, SearchImages, load
from darts_pl.errors import UserError
from darts_pl.genotype import Genotype
from darts_pl.modules import AlphaRecipe, ClassifierModule, ClassifierRecipe, SearchModule, WeightRecipe
from darts_pl.networks import Classifier
from darts_pl.selection import rule
from darts_pl.spaces import CnnSupernet, build_space, relaxation

#: Smaller images vanish in the cells that halve them.
SMALLEST_IMAGE = 8


@lru_cache(maxsize=1)
def _read(name: str, path: str | None) -> ImageArrays:
    """The data set, read once for the tasks of one command."""
    return load(name, path)


def load_images(config: Config) -> ImageArrays:
    """The data set that `data` names.

    Raises:
        UserError: if it is unknown, missing, malformed, or its images are too small.
    """
    images = _read(config.data.name, config.data.path)
    if min(images.height, images.width) < SMALLEST_IMAGE:
        raise UserError(
            f"data: images of {images.height}x{images.width} pixels are too small; "
            f"the networks need {SMALLEST_IMAGE}x{SMALLEST_IMAGE} or more"
        )
    return images


def _settings(config: Config, batch_size: int, cutout: int) -> ImageSettings:
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


def build_image_search(config: Config) -> tuple[SearchModule, pl.LightningDataModule]:
    """Supernet and LightningModule of a convolutional search, and its paired data.

    Raises:
        UserError: if the search space cannot be built or the data do not fit it.
    """
    search, images = config.search, load_images(config)
    data = SearchImages(images, _settings(config, config.search_batch_size, cutout=0))
    supernet = CnnSupernet(
        build_space(search.space, search.candidates, search.nodes),
        init_channels=search.init_channels,
        layers=search.layers,
        classes=images.classes,
        in_channels=images.channels,
        relaxation=relaxation(search.relaxation),
    )
    weights, alphas = search.weights, search.alphas
    module = SearchModule(
        supernet,
        order=hypergradient(config.order.name),
        weights=WeightRecipe(
            lr=weights.lr,
            lr_min=weights.lr_min,
            momentum=weights.momentum,
            weight_decay=weights.weight_decay,
            grad_clip=weights.grad_clip,
            epochs=search.epochs,
        ),
        alphas=AlphaRecipe(alphas.lr, (alphas.betas[0], alphas.betas[1]), alphas.weight_decay),
        radius=config.order.radius,
        classes=images.classes,
        select=rule(config.select.name),
    )
    return module, data


def build_classifier(config: Config, genotype: Genotype) -> tuple[ClassifierModule, pl.LightningDataModule]:
    """The final network of a genotype in its LightningModule, and its data.

    Raises:
        UserError: if the genotype builds no classifier or the data do not fit it.
    """
    train, images = config.train, load_images(config)
    data = RetrainImages(images, _settings(config, config.train_batch_size, train.cutout))
    network = Classifier(
        genotype,
        init_channels=train.init_channels,
        layers=train.layers,
        classes=images.classes,
        in_channels=images.channels,
        auxiliary=train.auxiliary_weight > 0,
    )
    recipe = ClassifierRecipe(
        lr=train.lr,
        lr_min=train.lr_min,
        momentum=train.momentum,
        weight_decay=train.weight_decay,
        epochs=train.epochs,
        drop_path=train.drop_path,
        auxiliary_weight=train.auxiliary_weight,
    )
    return ClassifierModule(network, recipe, images.classes), data
