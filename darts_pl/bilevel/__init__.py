"""The gradient of the alphas: pure functions of (supernet, batches, hyperparameters)."""

from darts_pl.bilevel.gradient import (
    ORDERS,
    AlphaGradient,
    Hypergradient,
    first_order,
    hypergradient,
    second_order,
    second_order_exact,
)
from darts_pl.bilevel.inner import InnerStep, Mean, identity_mean
from darts_pl.bilevel.passes import evaluate, gradients, no_trace

__all__ = [
    "ORDERS",
    "AlphaGradient",
    "Hypergradient",
    "InnerStep",
    "Mean",
    "evaluate",
    "first_order",
    "gradients",
    "hypergradient",
    "identity_mean",
    "no_trace",
    "second_order",
    "second_order_exact",
]
