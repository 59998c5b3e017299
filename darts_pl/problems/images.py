"""Images, small ones in memory or photos in folders: searches and classifiers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from darts_pl.callbacks import BestWeights, weight_average
from darts_pl.config import Config
from darts_pl.data import PhotoFolders, ValidatedImages, ValidatedPhotos, describe
from darts_pl.data.identity import Identity
from darts_pl.data.loaders import LoaderPair
from darts_pl.genotype import Genotype
from darts_pl.inference import load_classifier
from darts_pl.latency import FinalNetworks
from darts_pl.modules import ClassificationScores, ClassifierModule, ClassifierRecipe, ValidatedClassifierModule
from darts_pl.problems.base import PROBLEMS, Problem, Testing, Training
from darts_pl.problems.image_data import (
    half_data,
    image_shape,
    load_images,
    retrain_data,
    search_data,
    test_data,
)
from darts_pl.problems.torchvision_networks import build_torchvision_network
from darts_pl.records import ImageInput, NetworkDescription
from darts_pl.records.folder import Summary
from darts_pl.runs.hardware import device_of_hardware
from darts_pl.selection import Size
from darts_pl.spaces import (
    SPACES,
    ImageNetwork,
    Outcome,
    Supernet,
    build,
    count_multiply_adds,
    count_parameters,
    min_batch_size,
    space_of,
)


class ImageProblem(Problem):
    """Images with one label each."""

    gives = "images"
    samples = "images"
    examples = "images such as data=cifar10"

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.images = load_images(config)
        self.shape = image_shape(config, self.images)

    @property
    def facts(self) -> Mapping[str, int]:
        channels, height, width = self.shape
        return {"classes": self.images.classes, "channels": channels, "height": height, "width": width}

    def identity(self) -> Identity:
        return describe(self.images)

    def scores(self) -> ClassificationScores:
        return ClassificationScores(self.images.classes)

    def count(self, outcome: Outcome, batch: Any) -> tuple[int, Tensor | None]:
        labels = batch[1]
        return len(labels), (outcome.outputs.argmax(1) == labels).sum()

    def search_data(self, supernet: Supernet) -> pl.LightningDataModule:
        smallest = min_batch_size(supernet, *self.shape, supernet.mixing())
        return search_data(self.config, self.images, smallest)

    def training(self, genotype: Genotype, *, halves: bool = False) -> Training:
        train = self.config.train
        network = build(genotype, **space_of(genotype.kind).network_sizes(train, self.facts))
        multiply_adds = count_multiply_adds(network, *self.shape)  # what fails here fails at once
        return self._training(network, multiply_adds, genotype, halves=halves)

    def known_network(self, name: str) -> Training:
        return self._training(*build_torchvision_network(name, self.shape, self.images.classes), None)

    def _training(
        self, network: ImageNetwork, multiply_adds: int, genotype: Genotype | None, *, halves: bool = False
    ) -> Training:
        train = self.config.train
        channels, height, width = self.shape
        smallest = min_batch_size(network, *self.shape)
        sizes: Summary = {
            "parameters": count_parameters(network),
            "multiply_adds": multiply_adds,
            "channels": channels,
            "height": height,
            "width": width,
        }
        parts: dict[str, Any] = {
            "callbacks": weight_average(train.ema),
            "grad_clip": train.grad_clip,
            "accumulate": train.accumulate,
        }
        if halves:
            data = half_data(self.config, self.images, smallest)
            return Training(
                self._module(network, ValidatedClassifierModule),
                data,
                sizes | {"valid_samples": data.valid_size},
                validate_at_end=True,
                score=lambda metrics: float(metrics["retrain/valid_accuracy"]),
                **parts,
            )
        whole = retrain_data(self.config, self.images, smallest)
        description = None if genotype is None else self.describe(genotype, whole)
        if isinstance(whole, ValidatedImages | ValidatedPhotos):
            module = self._module(network, ValidatedClassifierModule)
            sizes["valid_samples"] = whole.valid_size
            return _validated(Training(module, whole, sizes, description=description, **parts))
        return Training(self._module(network), whole, sizes, tests_checkpoint=True, description=description, **parts)

    def size(self, genotype: Genotype) -> Size:
        self.check_genotype(genotype)
        with torch.device("meta"):
            network = build(genotype, **space_of(genotype.kind).network_sizes(self.config.train, self.facts))
        return Size(count_parameters(network), count_multiply_adds(network, *self.shape))

    def final_networks(self) -> FinalNetworks:
        config, space = self.config, SPACES.get(self.config.search.space)
        sizes = space.network_sizes(config.train, self.facts)

        def build_checked(genotype: Genotype) -> ImageNetwork:
            self.check_genotype(genotype)
            network = build(genotype, **sizes)
            assert isinstance(network, ImageNetwork)
            return network

        return FinalNetworks(
            space,
            space.cells(config.search.candidates, config.search.nodes),
            build_checked,
            sizes,
            self.shape,
            device_of_hardware(config.hardware),
            config.hardware.precision,
        )

    def testing(self, network: ImageNetwork, checkpoint: Path) -> Testing:
        self.refuse_other(checkpoint, "classes", network.classifier.out_features, self.images.classes)
        self.refuse_other(checkpoint, "channels", network.in_channels, self.shape[0])
        return Testing(
            self._module(network),
            test_data(self.config, self.images),
            {"multiply_adds": count_multiply_adds(network, *self.shape)},
        )

    def _module(self, network: ImageNetwork, kind: type[ClassifierModule] = ClassifierModule) -> ClassifierModule:
        """A classifier in its LightningModule, to be trained as `train` says, or tested."""
        train = self.config.train
        recipe = ClassifierRecipe(
            lr=train.lr,
            lr_min=train.lr_min,
            momentum=train.momentum,
            weight_decay=train.weight_decay,
            epochs=train.epochs,
            drop_path=getattr(train, "drop_path", 0.0),  # only some networks have paths to drop, or a tower
            auxiliary_weight=getattr(train, "auxiliary_weight", 0.0),
            schedule=train.schedule,
            lr_decay=train.lr_decay,
            warmup_epochs=train.warmup_epochs,
            nesterov=train.nesterov,
            label_smoothing=train.label_smoothing,
        )
        return kind(network, recipe, self.images.classes)

    def describe(self, genotype: Genotype, data: Any = None) -> NetworkDescription | None:
        images = self.images
        if isinstance(images, LoaderPair):
            return None  # whoever made the dataloaders has normalised the images
        photos = isinstance(images, PhotoFolders)
        channels, height, width = self.shape
        data = test_data(self.config, self.images) if data is None else data
        named = isinstance(images, PhotoFolders) or images.named
        read_as = ImageInput(
            channels=channels,
            height=height,
            width=width,
            mean=tuple(map(float, data.settings.mean if photos else data.mean)),
            std=tuple(map(float, data.settings.std if photos else data.std)),
            photos=photos,
            resize=self.config.data.resize if photos else None,
            layout=getattr(self.config.data, "layout", "auto"),
        )
        return NetworkDescription(
            genotype=genotype,
            input=read_as,
            data=self.config.data.name,
            class_names=tuple(images.class_names) if named else None,
            why_numbers=None if named else f"{images.origin} has no class_names",
        )

    @classmethod
    def load_network(cls, checkpoint: Path, genotype: Genotype, dtype: torch.dtype) -> ImageNetwork:
        return load_classifier(checkpoint, genotype, dtype)


PROBLEMS.add("images", ImageProblem)
PROBLEMS.add("photos", ImageProblem)
PROBLEMS.add("loaders", ImageProblem)


def _validated(training: Training) -> Training:
    """The same training with the weights of its best epoch kept, by the part of the data that validates."""
    best = BestWeights()

    def after() -> Summary:
        return {
            "retrain/best_epoch": None if best.epoch is None else best.epoch + 1,
            "retrain/best_valid_accuracy": best.accuracy,
            "retrain/best_valid_loss": best.loss,
        }

    callbacks = [*training.callbacks, best]
    return replace(training, callbacks=callbacks, after=after, tests_checkpoint=True)
