"""From a genotype to its final network."""

from __future__ import annotations

from typing import Any

from darts_pl.genotype import Genotype
from darts_pl.spaces.base import space_of


def build(genotype: Genotype, **sizes: Any) -> Any:
    """The final network of a genotype, untrained.

    Args:
        genotype: of a kind that a registered space has.
        sizes: passed on to the network; see `Classifier` for images and `LanguageModel` for text.

    Raises:
        UserError: if no space has genotypes of this kind, or the network refuses it.
    """
    return space_of(genotype.kind).network(genotype, **sizes)
