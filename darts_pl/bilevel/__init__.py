"""The gradient of the architecture parameters, and one step of a search, in plain torch."""

from darts_pl.bilevel.curvature import largest_alpha_eigenvalue, largest_eigenvalue
from darts_pl.bilevel.draws import Draws, seeded
from darts_pl.bilevel.implicit import Neumann, NeumannSettings, Unrolled, UnrolledSettings
from darts_pl.bilevel.inner import InnerStep, Mean, identity_mean
from darts_pl.bilevel.observers import OBSERVERS, Observer, RollBack, Stop
from darts_pl.bilevel.orders import (
    ORDERS,
    AlphaGradient,
    Hypergradient,
    OrderSettings,
    WeightPass,
    first_order,
    order,
)
from darts_pl.bilevel.passes import (
    batch_statistics,
    device_of,
    drawn_pass,
    evaluate,
    evaluation_mode,
    gradients,
    no_trace,
    nothing_dropped,
    scoring_pass,
)
from darts_pl.bilevel.perturbation import PERTURBATIONS, Perturbation
from darts_pl.bilevel.precision import full_precision, reduced_precision, use_full_float32
from darts_pl.bilevel.recipes import AlphaRecipe, WeightRecipe
from darts_pl.bilevel.regulariser import REGULARISERS, Regulariser
from darts_pl.bilevel.stages import STAGES, Factory, Facts, SingleStage, Stage, Stages, endless_warmup, equal_stages
from darts_pl.bilevel.step import SearchStep, StepResult, scaled_lr
from darts_pl.bilevel.virtual_step import SecondOrder, second_order, second_order_exact

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
    "Neumann",
    "NeumannSettings",
    "Observer",
    "OrderSettings",
    "Perturbation",
    "Regulariser",
    "RollBack",
    "SearchStep",
    "SecondOrder",
    "SingleStage",
    "Stage",
    "Stages",
    "StepResult",
    "Stop",
    "Unrolled",
    "UnrolledSettings",
    "WeightPass",
    "WeightRecipe",
    "batch_statistics",
    "device_of",
    "drawn_pass",
    "endless_warmup",
    "equal_stages",
    "evaluate",
    "evaluation_mode",
    "first_order",
    "full_precision",
    "gradients",
    "identity_mean",
    "largest_alpha_eigenvalue",
    "largest_eigenvalue",
    "no_trace",
    "nothing_dropped",
    "order",
    "reduced_precision",
    "scaled_lr",
    "scoring_pass",
    "second_order",
    "second_order_exact",
    "seeded",
    "use_full_float32",
]
