"""The final networks of the paper for images, as large as they were published."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from darts_pl.genotype import Genotype
from darts_pl.spaces.cnn.classifier import Classifier
from darts_pl.spaces.sizes import count_multiply_adds, count_parameters


@dataclass(frozen=True)
class PaperNetwork:
    """One of the two final networks of the paper, for `size_of`.

    Args:
        init_channels, layers, classes, stem: see `Classifier`.
        side: of the square colour images, in pixels.
    """

    init_channels: int
    layers: int
    classes: int
    stem: str
    side: int


#: Sections A.2.1 and A.2.3.
PAPER_NETWORKS = {
    "cifar": PaperNetwork(init_channels=36, layers=20, classes=10, stem="cifar", side=32),
    "imagenet": PaperNetwork(init_channels=48, layers=14, classes=1000, stem="imagenet", side=224),
}


def size_of(genotype: Genotype, which: str) -> tuple[int, int]:
    """(parameters, multiply-adds) of a genotype's network as large as the paper's.

    Args:
        genotype: of kind "cnn".
        which: one of `PAPER_NETWORKS`.
    """
    paper = PAPER_NETWORKS[which]
    with torch.device("meta"):
        network = Classifier(
            genotype,
            init_channels=paper.init_channels,
            layers=paper.layers,
            classes=paper.classes,
            stem=paper.stem,
        )
    return count_parameters(network), count_multiply_adds(network, 3, paper.side, paper.side)
