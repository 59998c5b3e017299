"""Scores of networks at initialization, from one batch and without any training."""

from darts_pl.strategies.zero_cost.activation_codes import kernel_of_codes, naswot
from darts_pl.strategies.zero_cost.jacobian import jacob_cov
from darts_pl.strategies.zero_cost.registry import ZERO_COST, ZeroCostScore
from darts_pl.strategies.zero_cost.saliency import grad_norm, snip, synflow

__all__ = [
    "ZERO_COST",
    "ZeroCostScore",
    "grad_norm",
    "jacob_cov",
    "kernel_of_codes",
    "naswot",
    "snip",
    "synflow",
]
