"""What single methods need beside the shared parts: regularisers, stages, and what goes with them."""

from darts_pl.methods.deepening_stages import DeepeningStages, DeepeningStagesSettings, strongest_candidates
from darts_pl.methods.dirichlet_divergence import DirichletDivergence, DirichletDivergenceSettings
from darts_pl.methods.widening import widen
from darts_pl.methods.widening_stages import WideningStages, WideningStagesSettings
from darts_pl.methods.zero_one import ZeroOne, ZeroOneSettings

__all__ = [
    "DeepeningStages",
    "DeepeningStagesSettings",
    "DirichletDivergence",
    "DirichletDivergenceSettings",
    "WideningStages",
    "WideningStagesSettings",
    "ZeroOne",
    "ZeroOneSettings",
    "strongest_candidates",
    "widen",
]
