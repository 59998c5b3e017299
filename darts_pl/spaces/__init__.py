"""Search spaces: as data, and as supernets with their alphas."""

from darts_pl.spaces.cnn import CellPlan, CnnSupernet, plan_cells, preprocess, reductions
from darts_pl.spaces.relaxation import RELAXATIONS, Relaxation, relaxation, softmax
from darts_pl.spaces.rnn import RnnSupernet
from darts_pl.spaces.sequence import Dropouts, GatedCell, SequenceNetwork, SequenceOutput, slowness, word_loss
from darts_pl.spaces.space import CellSpace, SearchSpace, build_space, search_space
from darts_pl.spaces.stems import STEMS, Stem, build_stem
from darts_pl.spaces.supernet import Outcome, Supernet

__all__ = [
    "RELAXATIONS",
    "STEMS",
    "CellPlan",
    "CellSpace",
    "CnnSupernet",
    "Dropouts",
    "GatedCell",
    "Outcome",
    "Relaxation",
    "RnnSupernet",
    "SearchSpace",
    "SequenceNetwork",
    "SequenceOutput",
    "Stem",
    "Supernet",
    "build_space",
    "build_stem",
    "plan_cells",
    "preprocess",
    "reductions",
    "relaxation",
    "search_space",
    "slowness",
    "softmax",
    "word_loss",
]
