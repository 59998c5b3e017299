"""A candidate on some of the K edges that have it, with the weights that it has for all K."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

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
    one edge. The same operation, built for k edges, therefore runs with the rows of k edges. What
    depends on the epoch in an operation must be set by a method `start_epoch` of one of its modules.

    Args:
        build: makes the operation for a number of edges; called once per number, on the meta device.
    """

    def __init__(self, build: Callable[[int], EdgeOperation]) -> None:
        self.build = build
        self._templates: dict[int, _OnEdges] = {}
        self._epoch: tuple[int, int] | None = None

    def start_epoch(self, epoch: int, epochs: int) -> None:
        """Set in the operations for some edges what depends on the epoch, as in the one for all edges.

        Args:
            epoch: of the stage, counted from 0.
            epochs: number of epochs of the stage.
        """
        self._epoch = epoch, epochs
        for template in self._templates.values():
            _start_epoch(template, epoch, epochs)

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
        template = self._template(len(positions), operation)
        rows = _Rows(operation, positions)
        parameters, buffers = rows.of_all(operation.named_parameters()), rows.of_all(operation.named_buffers())
        tensors = {f"operation.{name}": tensor for name, tensor in {**parameters, **buffers}.items()}
        found = functional_call(template, tensors, (node, scale), tie_weights=False)
        if operation.training:
            rows.write_back(operation.named_buffers(), buffers)
        return found

    def _template(self, edges: int, operation: EdgeOperation) -> _OnEdges:
        if edges not in self._templates:
            with torch.device("meta"):
                self._templates[edges] = _OnEdges(self.build(edges))
            if self._epoch is not None:
                _start_epoch(self._templates[edges], *self._epoch)
        template = self._templates[edges].train(operation.training)
        if any(module.training != operation.training for module in operation.modules()):
            modes = {name: module.training for name, module in operation.named_modules()}
            for name, module in template.operation.named_modules():
                module.training = modes.get(name, operation.training)
        return template


def _start_epoch(operation: nn.Module, epoch: int, epochs: int) -> None:
    for module in operation.modules():
        start = getattr(module, "start_epoch", None)
        if callable(start):
            start(epoch, epochs)


class _Rows:
    """Some edges' parts of the tensors of an operation for K edges.

    An operation may hold an `EdgeByEdge`, as one that `Skip.wrap` made of it does; in that the edges
    have tensors of their own, which are passed on as they are.
    """

    def __init__(self, operation: EdgeOperation, positions: Sequence[int]) -> None:
        self.edges = operation.edges
        self.positions = list(positions)
        self._each = tuple(
            f"{name}.each." for name, module in operation.named_modules() if isinstance(module, EdgeByEdge)
        )

    def of_all(self, tensors: Iterable[tuple[str, Tensor]]) -> dict[str, Tensor]:
        """By their names in the operation for some edges."""
        found = {}
        for name, tensor in tensors:
            start = self._start_of_each(name)
            if start is None:
                found[name] = self.of(tensor)
                continue
            number, inner = name.removeprefix(start).split(".", 1)
            if int(number) in self.positions:
                found[f"{start}{self.positions.index(int(number))}.{inner}"] = tensor
        return found

    def of(self, tensor: Tensor) -> Tensor:
        """The rows of a tensor whose first dimension is that of all K edges."""
        if tensor.dim() == 0:  # a count of batches
            return tensor.clone()
        by_edge = tensor.unflatten(0, (self.edges, -1))
        return torch.cat([by_edge[position] for position in self.positions])

    def _start_of_each(self, name: str) -> str | None:
        return next((start for start in self._each if name.startswith(start)), None)

    def write_back(self, all_edges: Iterable[tuple[str, Tensor]], some: Mapping[str, Tensor]) -> None:
        """Copy running statistics of some edges to where they belong."""
        with torch.no_grad():
            for name, buffer in all_edges:
                if self._start_of_each(name) is not None:
                    continue
                if buffer.dim() == 0:
                    buffer.copy_(some[name])
                    continue
                by_edge = buffer.unflatten(0, (self.edges, -1))
                for position, rows in zip(self.positions, some[name].chunk(len(self.positions)), strict=True):
                    by_edge[position].copy_(rows)
