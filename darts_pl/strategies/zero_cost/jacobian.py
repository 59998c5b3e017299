"""jacob_cov: how little the Jacobians of different images correlate."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from darts_pl.strategies.zero_cost.registry import ZERO_COST, logits_of

#: Added to the eigenvalues, as in the authors' code.
EPSILON = 1e-5


@ZERO_COST.register("jacob_cov")
def jacob_cov(network: nn.Module, x: Tensor, labels: Tensor) -> float:
    """- sum of log(v + k) + 1 / (v + k) over the eigenvalues v of the correlation matrix of the Jacobians, k = 1e-5
    (Mellor, Turner, Storkey and Crowley, "Neural architecture search without training", arXiv 2006.04647v1, section
    4). The Jacobian of an image is the gradient of the sum of its logits for its pixels.

    It is nan where the output does not depend on the images.

    Args:
        network: a classifier.
        x: inputs [B, ...].
        labels: not read.
    """
    x = x.detach().requires_grad_()
    (jacobians,) = torch.autograd.grad(logits_of(network, x).sum(), [x])
    correlation = torch.corrcoef(jacobians.flatten(1).double())
    if not bool(correlation.isfinite().all()):
        return float("nan")
    eigenvalues = torch.linalg.eigvalsh(correlation.cpu()) + EPSILON
    return -float((eigenvalues.log() + 1 / eigenvalues).sum())
