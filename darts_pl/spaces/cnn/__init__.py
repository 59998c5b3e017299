"""The convolutional space: supernet, final network, and what both are made of."""

from darts_pl.spaces.cnn.auxiliary import AuxiliaryTower, tower_fits
from darts_pl.spaces.cnn.classifier import Classifier, FinalCell
from darts_pl.spaces.cnn.plan import CellPlan, plan_cells, preprocess, reductions
from darts_pl.spaces.cnn.space import cnn
from darts_pl.spaces.cnn.stems import STEM_MULTIPLIER, STEMS, Stem, build_stem
from darts_pl.spaces.cnn.supernet import CnnSupernet

__all__ = [
    "STEMS",
    "STEM_MULTIPLIER",
    "AuxiliaryTower",
    "CellPlan",
    "Classifier",
    "CnnSupernet",
    "FinalCell",
    "Stem",
    "build_stem",
    "cnn",
    "plan_cells",
    "preprocess",
    "reductions",
    "tower_fits",
]
