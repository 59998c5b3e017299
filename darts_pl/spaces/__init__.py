"""Search spaces: as data, as supernets, and as the final networks that genotypes build."""

from darts_pl.spaces.cnn import (
    STEMS,
    AuxiliaryTower,
    CellPlan,
    Classifier,
    CnnSupernet,
    FinalCell,
    Stem,
    build_stem,
    plan_cells,
    preprocess,
    reductions,
    tower_fits,
)
from darts_pl.spaces.networks import build
from darts_pl.spaces.relaxation import RELAXATIONS, Relaxation, relaxation, softmax
from darts_pl.spaces.rnn import (
    DerivedCell,
    Dropouts,
    GatedCell,
    LanguageModel,
    RnnSupernet,
    SequenceNetwork,
    SequenceOutput,
    slowness,
    word_loss,
)
from darts_pl.spaces.sizes import PAPER_NETWORKS, count_multiply_adds, count_parameters, least_batch, size_of
from darts_pl.spaces.space import CellSpace, SearchSpace, build_space, search_space
from darts_pl.spaces.supernet import Outcome, Supernet

__all__ = [
    "PAPER_NETWORKS",
    "RELAXATIONS",
    "STEMS",
    "AuxiliaryTower",
    "CellPlan",
    "CellSpace",
    "Classifier",
    "CnnSupernet",
    "DerivedCell",
    "Dropouts",
    "FinalCell",
    "GatedCell",
    "LanguageModel",
    "Outcome",
    "Relaxation",
    "RnnSupernet",
    "SearchSpace",
    "SequenceNetwork",
    "SequenceOutput",
    "Stem",
    "Supernet",
    "build",
    "build_space",
    "build_stem",
    "count_multiply_adds",
    "count_parameters",
    "least_batch",
    "plan_cells",
    "preprocess",
    "reductions",
    "relaxation",
    "search_space",
    "size_of",
    "slowness",
    "softmax",
    "tower_fits",
    "word_loss",
]
