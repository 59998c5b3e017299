"""A candidate on some of the K edges that have it, with the weights that it has for all K."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call

from darts_pl.ops.edges import EdgeByEdge, EdgeOperation, NodeOutput


class _OnEdges(nn.Module):
    """`EdgeOperation.on_edges` as a forward pass, so that `functional_call` can swap its tensors."""

    def __init__(self, operation: EdgeOperation) -> None:
        super().__init__()
        self.operation = operation

    def forward(self, node: NodeOutput, scale: Tensor | None) -> Tensor:
        return self.operation.on_edges(node, scale)


class Subset:
    """Runs an operation for some of its edges. What the others own is not read and gets no gradient.

    The first dimension of every parameter and buffer of an operation for K edges is K times that of
    one edge. The same operation, built for k edges, therefore runs with the rows of k edges.

    Args:
        build: makes the operation for a number of edges; called once per number, on the meta device.
    """

    def __init__(self, build: Callable[[int], EdgeOperation]) -> None:
        self.build = build
        self._templates: dict[int, _OnEdges] = {}

    def __call__(
        self, operation: EdgeOperation, positions: Sequence[int], node: NodeOutput, scale: Tensor | None
    ) -> Tensor:
        """The maps of k edges [B, k*C, H', W'].

        Args:
            operation: for K edges, not `shared`.
            positions: which k of them, 0-based.
            node: the output of the node that the edges leave.
            scale: [k*C], the mixing weights over the channels.
        """
        if isinstance(operation, EdgeByEdge):
            maps = torch.cat([operation.each[position](node.raw) for position in positions], dim=1)
            return maps if scale is None else maps * scale.view(1, -1, 1, 1)
        template = self._template(len(positions), operation.training)
        rows = _Rows(operation.edges, positions)
        tensors = {f"operation.{name}": rows.of(tensor) for name, tensor in operation.named_parameters()}
        buffers = {name: rows.of(buffer) for name, buffer in operation.named_buffers()}
        tensors |= {f"operation.{name}": buffer for name, buffer in buffers.items()}
        found = functional_call(template, tensors, (node, scale), tie_weights=False)
        if operation.training:
            rows.write_back(dict(operation.named_buffers()), buffers)
        return found

    def _template(self, edges: int, training: bool) -> _OnEdges:
        if edges not in self._templates:
            with torch.device("meta"):
                self._templates[edges] = _OnEdges(self.build(edges))
        return self._templates[edges].train(training)


class _Rows:
    """Some edges' rows of tensors whose first dimension is that of all K edges."""

    def __init__(self, edges: int, positions: Sequence[int]) -> None:
        self.edges = edges
        self.positions = list(positions)

    def of(self, tensor: Tensor) -> Tensor:
        if tensor.dim() == 0:  # a count of batches
            return tensor.clone()
        by_edge = tensor.unflatten(0, (self.edges, -1))
        return torch.cat([by_edge[position] for position in self.positions])

    def write_back(self, all_edges: Mapping[str, Tensor], some: Mapping[str, Tensor]) -> None:
        """Copy running statistics of some edges to where they belong."""
        with torch.no_grad():
            for name, buffer in all_edges.items():
                if buffer.dim() == 0:
                    buffer.copy_(some[name])
                    continue
                by_edge = buffer.unflatten(0, (self.edges, -1))
                for position, rows in zip(self.positions, some[name].chunk(len(self.positions)), strict=True):
                    by_edge[position].copy_(rows)
