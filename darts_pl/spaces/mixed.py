"""All candidates of all edges that leave one node, mixed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from darts_pl.ops import NONE, EdgeOperation, NodeOutput, build_edges


@dataclass(frozen=True)
class Group:
    """One candidate and the edges that have it.

    Args:
        name: the operation.
        positions: which of the node's leaving edges have it, 0-based.
        columns: at each of them its column in the alphas.
    """

    name: str
    positions: tuple[int, ...]
    columns: tuple[int, ...]


def group_candidates(candidates: Sequence[Sequence[str]]) -> list[Group]:
    """One `Group` per operation but "none", in the order of first appearance.

    Args:
        candidates: the candidates of each of the K edges.
    """
    found: dict[str, list[tuple[int, int]]] = {}
    for position, names in enumerate(candidates):
        for column, name in enumerate(names):
            if name != NONE:
                found.setdefault(name, []).append((position, column))
    return [
        Group(name, tuple(position for position, _ in places), tuple(column for _, column in places))
        for name, places in found.items()
    ]


class MixedEdges(nn.Module):
    """The weighted sum over candidates for each of the K edges that leave one node.

    Args:
        candidates: the candidates of each of the K edges.
        channels: C, in and out.
        stride: of every candidate.
        wrap: what happens around a candidate; given and returning an `EdgeOperation`.
    """

    def __init__(
        self,
        candidates: Sequence[Sequence[str]],
        channels: int,
        stride: int,
        wrap: Callable[[EdgeOperation], EdgeOperation] | None = None,
    ) -> None:
        super().__init__()
        self.edges = len(candidates)
        self.channels = channels
        self.groups = group_candidates(candidates)
        self.operations = nn.ModuleDict()
        for group in self.groups:
            operation = build_edges(group.name, channels, stride, len(group.positions))
            self.operations[group.name] = operation if wrap is None else wrap(operation)
        self._dead: frozenset[str] = frozenset()

    def operation(self, group: Group) -> EdgeOperation:
        """The operation of a group, for all its edges."""
        operation = self.operations[group.name]
        assert isinstance(operation, EdgeOperation)
        return operation

    def skip_dead(self, mask: Tensor | None) -> None:
        """Stop computing the candidates that `mask` [K, candidates] sets to 0 on every edge."""
        self._dead = frozenset(
            group.name
            for group in self.groups
            if mask is not None and bool((mask[list(group.positions), list(group.columns)] == 0).all())
        )

    def forward(self, x: Tensor, weights: Tensor) -> list[Tensor | None]:
        """For each edge the map [B, C, H', W'] that it adds to its target node; None adds nothing.

        Args:
            x: the node's output [B, C, H, W].
            weights: mixing weights [K, candidates].
        """
        node = NodeOutput(x)
        columns = weights.unbind(1)
        scales = self._scales(columns)
        wide: list[Tensor] = []
        maps: list[Tensor] = []
        map_weights: list[Tensor] = []
        parts: list[tuple[int, Tensor]] = []
        for group in self.groups:
            if group.name in self._dead:
                continue
            operation = self.operation(group)
            if not self._everywhere(group):
                parts += self._on_some(operation, node, weights, group)
            elif operation.shared:
                maps.append(operation.on_edges(node))
                map_weights.append(columns[group.columns[0]])
            else:
                wide.append(operation.on_edges(node, scales[group.name]))
        by_edge: list[Tensor | None] = [None] * self.edges
        if wide or maps:
            by_edge = list(_sum_by_edge(wide, maps, map_weights, self.edges))
        for position, part in parts:
            present = by_edge[position]
            by_edge[position] = part if present is None else present + part
        return by_edge

    def _everywhere(self, group: Group) -> bool:
        """Whether all K edges have the candidate, in one column."""
        return len(group.positions) == self.edges and len(set(group.columns)) == 1

    def _scales(self, columns: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """For the candidates with one map per edge, their mixing weights over the channels, [K*C]."""
        names = {
            group.name: columns[group.columns[0]]
            for group in self.groups
            if self._everywhere(group) and not self.operation(group).shared and group.name not in self._dead
        }
        if not names:
            return {}
        rows = torch.stack(list(names.values())).unsqueeze(2).expand(-1, -1, self.channels).flatten(1)
        return dict(zip(names, rows.unbind(0), strict=True))

    def _on_some(
        self, operation: EdgeOperation, node: NodeOutput, weights: Tensor, group: Group
    ) -> list[tuple[int, Tensor]]:
        """A candidate that only some edges have, or have in different columns."""
        # One by one: indices in a list would be copied to the device in every pass.
        picked = torch.stack([weights[place] for place in zip(group.positions, group.columns, strict=True)])
        if operation.shared:
            out = operation.on_edges(node)
            return [(position, out * weight) for position, weight in zip(group.positions, picked, strict=True)]
        out = operation.on_edges(node, picked.repeat_interleave(self.channels))
        return list(zip(group.positions, out.chunk(len(group.positions), dim=1), strict=True))


def _sum_by_edge(wide: list[Tensor], maps: list[Tensor], map_weights: list[Tensor], edges: int) -> list[Tensor]:
    """Sum of all candidates for each of the K edges, K maps [B, C, H, W].

    Args:
        wide: maps of K edges side by side [B, K*C, H, W], mixing weights applied.
        maps: maps that serve every edge [B, C, H, W], mixing weights not applied.
        map_weights: for each of `maps` the mixing weight on each edge [K].
        edges: K.
    """
    total: Tensor | None = None  # [B, H, W, K, C]
    for index, part in enumerate(wide):
        pixels = part.permute(0, 2, 3, 1).unflatten(3, (edges, -1))
        # From the second sum on the left side is our own, so that it may be added to in place.
        total = pixels if total is None else total + pixels if index == 1 else total.add_(pixels)
    if maps:
        stacked = torch.stack([part.permute(0, 2, 3, 1) for part in maps])
        mixed = torch.stack(map_weights, dim=1).to(stacked.dtype) @ stacked.flatten(1)
        pooled = mixed.unflatten(1, stacked.shape[1:]).permute(1, 2, 3, 0, 4)
        total = pooled if total is None else total + pooled if len(wide) < 2 else total.add_(pooled)
    assert total is not None
    return [part.permute(0, 3, 1, 2) for part in total.unbind(3)]
