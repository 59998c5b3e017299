"""What single methods need beside the shared parts: regularisers, perturbations, observers, stages."""

from darts_pl.methods.alignment import GradientAlignment, SkipCount, layer_gradients
from darts_pl.methods.curvature import (
    AdaptiveDecay,
    AdaptiveDecaySettings,
    Curvature,
    CurvatureSettings,
    EarlyStop,
    EarlyStopSettings,
    local_averages,
)
from darts_pl.methods.deepening_stages import DeepeningStages, DeepeningStagesSettings, strongest_candidates
from darts_pl.methods.dirichlet_divergence import DirichletDivergence, DirichletDivergenceSettings
from darts_pl.methods.freezing import Freeze, FreezeSettings, watched_operations
from darts_pl.methods.perturbations import (
    AdversarialPerturbation,
    AdversarialPerturbationSettings,
    MixingPerturbation,
    RandomPerturbation,
    RandomPerturbationSettings,
    as_mixing,
)
from darts_pl.methods.widening import widen
from darts_pl.methods.widening_stages import WideningStages, WideningStagesSettings
from darts_pl.methods.zero_one import ZeroOne, ZeroOneSettings

__all__ = [
    "AdaptiveDecay",
    "AdaptiveDecaySettings",
    "AdversarialPerturbation",
    "AdversarialPerturbationSettings",
    "Curvature",
    "CurvatureSettings",
    "DeepeningStages",
    "DeepeningStagesSettings",
    "DirichletDivergence",
    "DirichletDivergenceSettings",
    "EarlyStop",
    "EarlyStopSettings",
    "Freeze",
    "FreezeSettings",
    "GradientAlignment",
    "MixingPerturbation",
    "RandomPerturbation",
    "RandomPerturbationSettings",
    "SkipCount",
    "WideningStages",
    "WideningStagesSettings",
    "ZeroOne",
    "ZeroOneSettings",
    "as_mixing",
    "layer_gradients",
    "local_averages",
    "strongest_candidates",
    "watched_operations",
    "widen",
]
