"""From a genotype to its final network, by the kind of the genotype."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from darts_pl.errors import UserError
from darts_pl.genotype import Genotype
from darts_pl.registry import Registry
from darts_pl.spaces.cnn.classifier import Classifier
from darts_pl.spaces.cnn.settings import ClassifierTrainSettings
from darts_pl.spaces.rnn.language_model import LanguageModel
from darts_pl.spaces.rnn.settings import LanguageTrainSettings

#: Networks that are trained from scratch, by `train.network`.
NETWORKS: Registry[Callable[..., nn.Module]] = Registry("network")
NETWORKS.add("classifier", Classifier, settings=ClassifierTrainSettings)
NETWORKS.add("language_model", LanguageModel, settings=LanguageTrainSettings)

#: By `Genotype.kind`: what builds its network.
BUILDERS: dict[str, Callable[..., nn.Module]] = {"cnn": Classifier, "rnn": LanguageModel}


def build(genotype: Genotype, **sizes: Any) -> Any:
    """The final network of a genotype, untrained.

    Args:
        genotype: of any kind that `BUILDERS` knows.
        sizes: passed on to the network; for kind "cnn" see `Classifier`, for "rnn" `LanguageModel`.

    Raises:
        UserError: if no network is built from genotypes of this kind, or the network refuses it.
    """
    if genotype.kind not in BUILDERS:
        raise UserError(f"a genotype of kind {genotype.kind!r} builds no network; known: {', '.join(BUILDERS)}")
    return BUILDERS[genotype.kind](genotype, **sizes)
