"""Candidates without weights: computed once for all edges that leave a node."""

from __future__ import annotations

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
