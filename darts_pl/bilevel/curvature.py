"""The Hessian of the valid loss in the alphas: its products with vectors, and its largest eigenvalue."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from darts_pl.bilevel.draws import Draws
from darts_pl.bilevel.inner import Mean, identity_mean
from darts_pl.bilevel.passes import device_of, evaluate, gradients, no_trace, nothing_dropped
from darts_pl.bilevel.precision import full_precision
from darts_pl.spaces import Supernet

#: From a vector [n] to a matrix's product with it, [n], both float64 on the CPU.
Product = Callable[[Tensor], Tensor]


def largest_alpha_eigenvalue(
    supernet: Supernet,
    batch: Any,
    *,
    weight_decay: float = 0.0,
    tolerance: float = 1e-6,
    mean: Mean = identity_mean,
    draws: Draws,
) -> float:
    """The largest eigenvalue of the Hessian of the valid loss in all alphas, plus `weight_decay` on its diagonal.

    Zela et al., "Understanding and Robustifying Differentiable Architecture Search", ICLR 2020,
    section 4. The pass uses the expected mixing weights and the statistics of the batch, and drops
    nothing; it leaves no trace. The products with the Hessian are exact (double backward).

    Args:
        supernet: the search network.
        batch: of the valid split.
        weight_decay: of the alphas.
        tolerance: see `largest_eigenvalue`.
        mean: mean over ranks.
        draws: what candidates that draw, such as noise, draw from.
    """
    alphas, device = list(supernet.alphas.values()), device_of(supernet)
    weights = {name: weight.detach() for name, weight in supernet.weights().items()}
    with no_trace(supernet), full_precision(device.type), nothing_dropped(supernet), draws.seeding("eval", device):
        loss = evaluate(supernet, batch, supernet.mixing(), weights).loss
        gradient = torch.cat([part.flatten() for part in gradients(loss, alphas, create_graph=True)])

        def product(vector: Tensor) -> Tensor:
            parts = gradients([gradient], alphas, [vector.to(gradient)], retain_graph=True)
            (found,) = mean([torch.cat([part.flatten() for part in parts])])
            return found.double().cpu() + weight_decay * vector

        return largest_eigenvalue(product, len(gradient), tolerance)


def largest_eigenvalue(product: Product, size: int, tolerance: float) -> float:
    """The largest eigenvalue (not in magnitude) of a symmetric matrix, by the Lanczos method.

    Every new vector is made orthogonal to all before it, so that rounding gives no copies of
    eigenvalues. The iteration ends where the residual of the largest Ritz pair is at most `tolerance`
    times the largest magnitude of a Ritz value, and at the latest after `size` products.

    Args:
        product: of the matrix and a vector; the same on all ranks.
        size: n.
        tolerance: above 0; the eigenvalue's own error is of the order of its square.
    """
    generator = torch.Generator().manual_seed(0)
    vector = torch.randn(size, generator=generator, dtype=torch.float64)
    vector = vector / vector.norm()
    basis = torch.empty(0, size, dtype=torch.float64)
    diagonal: list[Tensor] = []
    beside: list[Tensor] = []
    while True:
        basis = torch.cat([basis, vector.unsqueeze(0)])
        image = product(vector)
        diagonal.append(vector @ image)
        rest = image
        for _ in range(2):  # once is not enough where much cancels
            rest = rest - basis.T @ (basis @ rest)
        length = rest.norm()
        off = torch.stack(beside) if beside else torch.empty(0, dtype=torch.float64)
        ritz, inside = torch.linalg.eigh(torch.diag(torch.stack(diagonal)) + torch.diag(off, 1) + torch.diag(off, -1))
        residual = length * inside[-1, -1].abs()
        if len(basis) == size or residual <= tolerance * ritz.abs().max():
            return float(ritz[-1])
        beside.append(length)
        vector = rest / length
