"""Node 0 of a gated cell, which both kinds of cells have, and what the products of a sequence share."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

_aten = torch.ops.aten


class Products:
    """Matrix products in the precision that autocast asks for; their results are as precise as the states.

    Args:
        low: dtype of the products' factors; None = that of the states.
    """

    def __init__(self, low: torch.dtype | None) -> None:
        self.low = low

    def factor(self, x: Tensor) -> Tensor:
        """x as a factor."""
        return x if self.low is None else x.to(self.low)

    def into(self, out: Tensor, left: Tensor, right: Tensor) -> None:
        """Write left @ right to `out`; `right` is a factor already."""
        if self.low is None:
            torch.mm(left, right, out=out)
        else:
            out.copy_(left.to(self.low) @ right)

    def product(self, left: Tensor, right: Tensor) -> Tensor:
        """left @ right; `right` is a factor already."""
        return left @ right if self.low is None else (left.to(self.low) @ right).to(left.dtype)

    def over_steps(self, states: Tensor, mask: Tensor | None, gradients: Tensor) -> Tensor:
        """The gradient of a matrix [H, X] that every step multiplied its masked state by.

        Args:
            states: [T, B, H].
            mask: [B, H] or None.
            gradients: of the products [T, B, X].
        """
        read = (states if mask is None else states * mask).flatten(0, 1)
        return self.product(read.t(), self.factor(gradients.flatten(0, 1)))


def products() -> Products:
    """For the autocast of the CPU or of CUDA that is active now."""
    for device in ("cuda", "cpu"):
        if torch.is_autocast_enabled(device):
            return Products(torch.get_autocast_dtype(device))
    return Products(None)


def masked(x: Tensor, mask: Tensor | None) -> Tensor:
    """x times the mask."""
    return x if mask is None else x * mask


def first_node(
    part: Tensor, hidden: Tensor, mask: Tensor | None, matrix: Tensor, products: Products, both: Tensor, out: Tensor
) -> None:
    """Write node 0 of one step to `out` [B, H], and its pre-activations to `both` [B, 2H].

    Args:
        part: what the inputs add to the pre-activations [B, 2H].
        hidden: state before the step [B, H].
        mask: of the hidden state [B, H] or None.
        matrix: [H, 2H], a factor.
        products: how it is multiplied.
    """
    if products.low is None:
        torch.addmm(part, masked(hidden, mask), matrix, out=both)
    else:
        torch.add(part, products.product(masked(hidden, mask), matrix), out=both)
    gate, candidate = both.chunk(2, dim=1)
    torch.lerp(hidden, candidate.tanh(), gate.sigmoid(), out=out)


def first_node_backward(
    gradient: Tensor,
    both: Tensor,
    hidden: Tensor,
    start: Tensor,
    mask: Tensor | None,
    transposed: Tensor,
    products: Products,
    of_both: Tensor,
) -> Tensor:
    """The gradient of the hidden state; that of the pre-activations is written to `of_both` [B, 2H].

    Args:
        gradient: of node 0 [B, H].
        both: pre-activations [B, 2H].
        hidden, start: state before the step and node 0 [B, H].
        mask, products: as for `first_node`.
        transposed: the matrix as a factor, transposed [2H, H].
    """
    gate, candidate = both.chunk(2, dim=1)
    of_gate, of_candidate = of_both.chunk(2, dim=1)
    through = gradient * gate.sigmoid()
    kept = gradient - through
    torch.mul(start - hidden, kept, out=of_gate)  # c (t - h) times g (1 - c)
    _aten.tanh_backward(through, candidate.tanh(), grad_input=of_candidate)
    of_product = products.product(of_both, transposed)
    return kept.add_(of_product) if mask is None else kept.addcmul_(of_product, mask)


def differentiated_again(
    plain: Callable[..., Tensor], inputs: Sequence[Tensor | None], wanted: Sequence[bool], gradient: Tensor
) -> list[Tensor | None]:
    """The gradients of `inputs` through the step-by-step form, which can be differentiated once more.

    Args:
        plain: the step-by-step form, a function of `inputs`.
        inputs: as the function was given them.
        wanted: which of them need a gradient.
        gradient: of what `plain` returns.
    """
    asked = [one for one, want in zip(inputs, wanted, strict=True) if want and one is not None]
    found = iter(torch.autograd.grad(plain(*inputs), asked, gradient, create_graph=True, allow_unused=True))
    return [next(found) if want and one is not None else None for one, want in zip(inputs, wanted, strict=True)]
