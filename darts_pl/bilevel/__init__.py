"""The gradient of the architecture parameters, and one step of a search, in plain torch."""

from darts_pl.bilevel.draws import Draws
from darts_pl.bilevel.inner import InnerStep, Mean, identity_mean
from darts_pl.bilevel.observers import OBSERVERS, Observer, RollBack, Stop
from darts_pl.bilevel.orders import (
    ORDERS,
    AlphaGradient,
    Hypergradient,
    OrderSettings,
    first_order,
    order,
    second_order,
    second_order_exact,
)
from darts_pl.bilevel.passes import (
    batch_statistics,
    device_of,
    drawn_pass,
    evaluate,
    gradients,
    no_trace,
    scoring_pass,
)
from darts_pl.bilevel.perturbation import PERTURBATIONS, Perturbation
from darts_pl.bilevel.regulariser import REGULARISERS, Regulariser
from darts_pl.bilevel.stages import STAGES, Factory, Facts, SingleStage, Stage, Stages
from darts_pl.bilevel.step import AlphaRecipe, SearchStep, StepResult, WeightRecipe, scaled_lr

__all__ = [
    "OBSERVERS",
    "ORDERS",
    "PERTURBATIONS",
    "REGULARISERS",
    "STAGES",
    "AlphaGradient",
    "AlphaRecipe",
    "Draws",
    "Factory",
    "Facts",
    "Hypergradient",
    "InnerStep",
    "Mean",
    "Observer",
    "OrderSettings",
    "Perturbation",
    "Regulariser",
    "RollBack",
    "SearchStep",
    "SingleStage",
    "Stage",
    "Stages",
    "StepResult",
    "Stop",
    "WeightRecipe",
    "batch_statistics",
    "device_of",
    "drawn_pass",
    "evaluate",
    "first_order",
    "gradients",
    "identity_mean",
    "no_trace",
    "order",
    "scaled_lr",
    "scoring_pass",
    "second_order",
    "second_order_exact",
]
