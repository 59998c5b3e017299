"""From a trained supernet to a genotype."""

from darts_pl.selection.criterion import criterion_of
from darts_pl.selection.magnitude import magnitude, preview_magnitude, preview_of, strengths, strongest
from darts_pl.selection.magnitude_within import MagnitudeWithin, MagnitudeWithinSettings
from darts_pl.selection.one_path import one_path
from darts_pl.selection.pairs import pairs, strongest_pairs
from darts_pl.selection.perturbation import Order, Perturbation, PerturbationSettings, random_order
from darts_pl.selection.random import random_genotype, random_genotypes
from darts_pl.selection.rules import PREVIEWS, RULES, Selection, selection_rule
from darts_pl.selection.score import Score, Size, Trained
from darts_pl.selection.shared_weights import SharedWeights, SharedWeightsSettings
from darts_pl.selection.skip_limit import SkipLimit, SkipLimitSettings, limit_skips
from darts_pl.selection.softmax_magnitude import softmax_magnitude
from darts_pl.selection.threshold import Threshold, ThresholdSettings, pairs_above, without_missing_nodes
from darts_pl.selection.trials import Dealt, Progress, Trials
from darts_pl.selection.tuner import Start, Tuner, TuningSettings

__all__ = [
    "PREVIEWS",
    "RULES",
    "Dealt",
    "MagnitudeWithin",
    "MagnitudeWithinSettings",
    "Order",
    "Perturbation",
    "PerturbationSettings",
    "Progress",
    "Score",
    "Selection",
    "SharedWeights",
    "SharedWeightsSettings",
    "Size",
    "SkipLimit",
    "SkipLimitSettings",
    "Start",
    "Threshold",
    "ThresholdSettings",
    "Trained",
    "Trials",
    "Tuner",
    "TuningSettings",
    "criterion_of",
    "limit_skips",
    "magnitude",
    "one_path",
    "pairs",
    "pairs_above",
    "preview_magnitude",
    "preview_of",
    "random_genotype",
    "random_genotypes",
    "random_order",
    "selection_rule",
    "softmax_magnitude",
    "strengths",
    "strongest",
    "strongest_pairs",
    "without_missing_nodes",
]
