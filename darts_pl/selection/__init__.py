"""From a trained supernet to a genotype."""

from darts_pl.selection.magnitude import magnitude
from darts_pl.selection.random import random_genotype
from darts_pl.selection.rules import SelectionRule, rule, rules, selection_rule

__all__ = ["SelectionRule", "magnitude", "random_genotype", "rule", "rules", "selection_rule"]
