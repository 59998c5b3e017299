"""From a trained supernet to a genotype."""

from darts_pl.selection.magnitude import magnitude, preview_magnitude, strengths, strongest
from darts_pl.selection.one_path import one_path
from darts_pl.selection.random import random_genotype
from darts_pl.selection.rules import RULES, Selection, selection_rule
from darts_pl.selection.trials import Score, Trials

__all__ = [
    "RULES",
    "Score",
    "Selection",
    "Trials",
    "magnitude",
    "one_path",
    "preview_magnitude",
    "random_genotype",
    "selection_rule",
    "strengths",
    "strongest",
]
