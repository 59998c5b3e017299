"""The convolutional space: supernet, final network, and what both are made of."""

from darts_pl.spaces.cnn.auxiliary import AuxiliaryTower, tower_fits
from darts_pl.spaces.cnn.classifier import EXTRA_SKIP, Classifier, FinalCell
from darts_pl.spaces.cnn.fixed_space import FixedReductionSpace
from darts_pl.spaces.cnn.plan import CellPlan, plan_cells, preprocess, reductions
from darts_pl.spaces.cnn.published import PAPER_NETWORKS, size_of
from darts_pl.spaces.cnn.settings import ClassifierTrainSettings, CnnSearchSettings, ImageTrainSettings
from darts_pl.spaces.cnn.space import CnnSpace
from darts_pl.spaces.cnn.stems import STEM_MULTIPLIER, STEMS, Stem, build_stem
from darts_pl.spaces.cnn.supernet import CnnSupernet

__all__ = [
    "EXTRA_SKIP",
    "PAPER_NETWORKS",
    "STEMS",
    "STEM_MULTIPLIER",
    "AuxiliaryTower",
    "CellPlan",
    "Classifier",
    "ClassifierTrainSettings",
    "CnnSearchSettings",
    "CnnSpace",
    "CnnSupernet",
    "FinalCell",
    "FixedReductionSpace",
    "ImageTrainSettings",
    "Stem",
    "build_stem",
    "plan_cells",
    "preprocess",
    "reductions",
    "size_of",
    "tower_fits",
]
