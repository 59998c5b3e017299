"""What single methods need beside the shared parts: regularisers, stages, and what goes with them."""

from darts_pl.methods.dirichlet_divergence import DirichletDivergence, DirichletDivergenceSettings
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

__all__ = [
    "AdversarialPerturbation",
    "AdversarialPerturbationSettings",
    "DirichletDivergence",
    "DirichletDivergenceSettings",
    "MixingPerturbation",
    "RandomPerturbation",
    "RandomPerturbationSettings",
    "WideningStages",
    "WideningStagesSettings",
    "as_mixing",
    "widen",
]
