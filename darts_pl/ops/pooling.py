"""Candidates without weights: computed once for all edges that leave a node."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from darts_pl.ops.edges import BatchNorm, EdgeOperation, NodeOutput


class Pool(EdgeOperation):
    """A pooling; in a search followed by BatchNorm without affine part, in a final network bare.

    Args:
        pool: the pooling layer.
        channels: C.
        normalise: whether BatchNorm follows.
        edges: K.
    """

    shared = True

    def __init__(self, pool: nn.Module, channels: int, normalise: bool, edges: int = 1) -> None:
        super().__init__(edges)
        self.pool = pool
        self.bn = BatchNorm(channels, affine=False) if normalise else None

    def on_edges(self, node: NodeOutput, scale: Tensor | None = None) -> Tensor:
        assert scale is None
        pooled = self.pool(node.raw)
        return pooled if self.bn is None else self.bn(pooled)


class Identity(EdgeOperation):
    """The node's output itself."""

    shared = True

    def on_edges(self, node: NodeOutput, scale: Tensor | None = None) -> Tensor:
        assert scale is None
        return node.raw


class SmallMaxPool(nn.Module):
    """Maximum over 2x2 pixels, padded to the right and below only, as TensorFlow's padding "SAME" does.

    Args:
        stride: 1, or 2 for a map of half the size.
    """

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C, ceil(H / stride), ceil(W / stride)]."""
        right, below = (1 if self.stride == 1 else size % 2 for size in (x.shape[3], x.shape[2]))
        padded = nn.functional.pad(x, (0, right, 0, below), value=-torch.inf)
        return nn.functional.max_pool2d(padded, 2, self.stride)


class Zero(EdgeOperation):
    """Zeros: the operation "none" of a published cell.

    Args:
        stride: 1, or 2 for a map of half the size.
    """

    shared = True

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def on_edges(self, node: NodeOutput, scale: Tensor | None = None) -> Tensor:
        assert scale is None
        return node.raw[:, :, :: self.stride, :: self.stride] * 0
