"""The final networks: how they are trained, by name, and what a genotype builds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from darts_pl.genotype import Genotype
from darts_pl.registry import Registry
from darts_pl.spaces.base import space_of
from darts_pl.spaces.cnn.classifier import Classifier
from darts_pl.spaces.cnn.settings import ClassifierTrainSettings
from darts_pl.spaces.nasbench201.network import NasBench201Network
from darts_pl.spaces.nasbench201.settings import NasBench201TrainSettings
from darts_pl.spaces.rnn.language_model import LanguageModel
from darts_pl.spaces.rnn.settings import LanguageTrainSettings

#: Networks that are trained from scratch, by `train.network`.
NETWORKS: Registry[Callable[..., nn.Module]] = Registry("network")
NETWORKS.add("classifier", Classifier, settings=ClassifierTrainSettings)
NETWORKS.add("nasbench201", NasBench201Network, settings=NasBench201TrainSettings)
NETWORKS.add("language_model", LanguageModel, settings=LanguageTrainSettings)


def build(genotype: Genotype, **sizes: Any) -> Any:
    """The final network of a genotype, untrained.

    Args:
        genotype: of a kind that a registered space has.
        sizes: passed on to the network; see `Classifier` for images and `LanguageModel` for text.

    Raises:
        UserError: if no space has genotypes of this kind, or the network refuses it.
    """
    return space_of(genotype.kind).network(genotype, **sizes)
