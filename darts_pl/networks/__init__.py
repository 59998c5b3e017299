"""What a genotype builds."""

from darts_pl.networks.auxiliary import AuxiliaryTower, tower_fits
from darts_pl.networks.classifier import Classifier, FinalCell
from darts_pl.networks.language_model import DerivedCell, LanguageModel
from darts_pl.networks.registry import build
from darts_pl.networks.sizes import PAPER_NETWORKS, count_multiply_adds, count_parameters, least_batch, size_of

__all__ = [
    "PAPER_NETWORKS",
    "AuxiliaryTower",
    "Classifier",
    "DerivedCell",
    "FinalCell",
    "LanguageModel",
    "build",
    "count_multiply_adds",
    "count_parameters",
    "least_batch",
    "size_of",
    "tower_fits",
]
