"""Search spaces: as data, and as supernets with their alphas."""

from darts_pl.spaces.cnn import CellPlan, CnnSupernet, plan_cells, preprocess, reductions
from darts_pl.spaces.relaxation import RELAXATIONS, Relaxation, relaxation, softmax
from darts_pl.spaces.space import CellSpace, SearchSpace, build_space, search_space
from darts_pl.spaces.supernet import Outcome, Supernet

__all__ = [
    "RELAXATIONS",
    "CellPlan",
    "CellSpace",
    "CnnSupernet",
    "Outcome",
    "Relaxation",
    "SearchSpace",
    "Supernet",
    "build_space",
    "plan_cells",
    "preprocess",
    "reductions",
    "relaxation",
    "search_space",
    "softmax",
]
