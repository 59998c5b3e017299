"""Where the operations of a genotype are computed in its final network."""

from __future__ import annotations

from typing import NamedTuple

from torch import nn

from darts_pl.genotype import Pair

#: (cell type, operation, whether the source is an input of the cell): pairs of one class cost the same.
PairClass = tuple[str, str, bool]


class ComputedPair(NamedTuple):
    """One operation in one cell of a final network.

    Args:
        cell_type: such as "normal".
        target: number of the node that receives the result.
        pair: operation and source.
        stride: 2 where the operation halves its map, else 1.
        module: what computes it, [B, C, H, W] -> [B, C, ceil(H / stride), ceil(W / stride)].
    """

    cell_type: str
    target: int
    pair: Pair
    stride: int
    module: nn.Module
