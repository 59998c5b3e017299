"""How strongly every candidate of every edge contributes to one pass through a supernet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

#: For every edge and candidate whether it is computed at all; known on the host, without a device wait.
Alive = tuple[tuple[bool, ...], ...]


class Mixing(NamedTuple):
    """The mixing weights of one cell type. Whatever decides about a pass enters the supernet this way.

    Args:
        weights: [edges, candidates], the factor of each candidate's output.
        edges: [edges], the factor of each edge's output; None = 1 for all.
        alive: which candidates are computed; None = all. A candidate that is not alive contributes
            nothing and receives no gradient, whatever its weight is.
    """

    weights: Tensor
    edges: Tensor | None = None
    alive: Alive | None = None


#: (edge, candidate) -> mixing weight.
FixedWeights = Mapping[tuple[int, int], float]


def fix_weights(mixing: Mixing, values: FixedWeights) -> Mixing:
    """The mixing with some weights replaced; the others are not renormalised.

    Args:
        mixing: of one cell type.
        values: by (edge, candidate) the new mixing weight; a candidate of weight 0 is not computed.
    """
    if not values:
        return mixing
    where, replaced = fixed_tensors(values, tuple(mixing.weights.shape), mixing.weights)
    return Mixing(
        torch.where(where, replaced, mixing.weights),
        mixing.edges,
        without(mixing.alive, values, tuple(mixing.weights.shape)),
    )


def fixed_tensors(values: FixedWeights, shape: tuple[int, ...], like: Tensor) -> tuple[Tensor, Tensor]:
    """`values` as a boolean and a value for every entry, both of `shape`.

    Args:
        values: by (edge, candidate) the mixing weight.
        shape: [edges, candidates].
        like: gives device and dtype of the values.
    """
    edges, candidates = shape
    where = [[(edge, column) in values for column in range(candidates)] for edge in range(edges)]
    numbers = [[values.get((edge, column), 0.0) for column in range(candidates)] for edge in range(edges)]
    return torch.tensor(where, device=like.device), torch.tensor(numbers, dtype=like.dtype, device=like.device)


def without(alive: Alive | None, values: FixedWeights, shape: tuple[int, ...]) -> Alive | None:
    """`alive` without the candidates that `values` sets to 0; one that it sets to another value is alive."""
    if all(value != 0 for value in values.values()) and alive is None:
        return None
    edges, candidates = shape
    return tuple(
        tuple(
            values[edge, column] != 0 if (edge, column) in values else alive is None or alive[edge][column]
            for column in range(candidates)
        )
        for edge in range(edges)
    )


def both_alive(first: Alive | None, second: Alive | None) -> Alive | None:
    """The candidates that are alive in both tables."""
    if first is None or second is None:
        return first if second is None else second
    return tuple(
        tuple(one and other for one, other in zip(row, others, strict=True))
        for row, others in zip(first, second, strict=True)
    )


def rows(alive: Alive | None, edges: Sequence[int]) -> Alive | None:
    """The rows of some edges."""
    return None if alive is None else tuple(alive[edge] for edge in edges)
