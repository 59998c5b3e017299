"""Edges that mix all their candidates: all candidates of all edges that leave one node at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from darts_pl.ops import NONE, EdgeOperation, NodeOutput, Subset, build_edges
from darts_pl.spaces.compiled import Compilable, compiled
from darts_pl.spaces.edges import EDGES, Edges, LeavingEdges, Part
from darts_pl.spaces.mixing import Alive
from darts_pl.spaces.skip import Skip


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


class MixedEdges(Compilable, LeavingEdges):
    """The weighted sum over candidates for each of the K edges that leave one node.

    Args:
        candidates: the candidates of each of the K edges.
        channels: C, in and out.
        stride: of every candidate.
        skip: what happens to skip connections; None = nothing.
    """

    def __init__(
        self, candidates: Sequence[Sequence[str]], channels: int, stride: int, skip: Skip | None = None
    ) -> None:
        super().__init__()
        self.edges = len(candidates)
        self.channels = channels
        self.groups = group_candidates(candidates)
        self.operations = nn.ModuleDict()
        self._subsets: dict[str, Subset] = {}
        skip = skip or Skip()
        for group in self.groups:
            build = partial(_wrapped, skip, group.name, channels, stride)
            self.operations[group.name] = build(len(group.positions))
            self._subsets[group.name] = Subset(build)
        self.extra = skip.extra(channels, stride, self.edges)
        self._scattered = [group for group in self.groups if not self._everywhere(group)]
        self._width = max(map(len, candidates))
        picked, spread = _places(self._scattered, self.edges, self._width)
        self.register_buffer("picked", picked if self._scattered else None, persistent=False)
        self.register_buffer("spread", spread if self._scattered else None, persistent=False)

    def operation(self, group: Group) -> EdgeOperation:
        """The operation of a group, for all its edges."""
        operation = self.operations[group.name]
        assert isinstance(operation, EdgeOperation)
        return operation

    def start_epoch(self, epoch: int, epochs: int) -> None:
        """Set what depends on the epoch in the candidates that run on some edges only; see `Supernet.start_epoch`."""
        for subset in self._subsets.values():
            subset.start_epoch(epoch, epochs)

    def forward(
        self, node: Tensor, weights: Tensor, alive: Alive | None = None, edges: Tensor | None = None
    ) -> list[Part | None]:
        """For each edge the map [B, C, H', W'] that it adds to its target node; None adds nothing."""
        if edges is not None:
            weights = weights * edges.unsqueeze(1)
        if alive is None and self.runs_compiled():
            return _compiled_mixed(self, node, weights, edges)
        return self.mixed(NodeOutput(node), weights, alive, edges)

    def mixed(
        self, node: NodeOutput, weights: Tensor, alive: Alive | None, edges: Tensor | None
    ) -> list[Tensor | None]:
        """As `forward`, with the edge weights in the mixing weights [K, candidates]."""
        columns = weights.unbind(1)
        computed = _computed(self.groups, alive)
        together = [group for group, living in computed if living == group.positions and self._everywhere(group)]
        scales = self._scales(columns, together)
        whole = [group for group, living in computed if living == group.positions and group not in together]
        of_each, of_all = self._scattered_weights(weights) if whole else ({}, {})
        wide: list[Tensor] = []
        maps: list[Tensor] = []
        map_weights: list[Tensor] = []
        parts: list[tuple[int, Tensor]] = []
        for group, living in computed:
            operation = self.operation(group)
            if group in whole and operation.shared:
                maps.append(operation.on_edges(node))
                map_weights.append(of_all[group.name])
            elif group in whole:
                out = operation.on_edges(node, of_each[group.name])
                parts += zip(living, out.chunk(len(living), dim=1), strict=True)
            elif group not in together:
                parts += self._on_some(operation, node, weights, group, living)
            elif operation.shared:
                maps.append(operation.on_edges(node))
                map_weights.append(columns[group.columns[0]])
            else:
                wide.append(operation.on_edges(node, scales[group.name]))
        by_edge: list[Tensor | None] = [None] * self.edges
        if wide or maps:
            by_edge = list(_sum_by_edge(wide, maps, map_weights, self.edges))
        for position, part in [*parts, *self._extra(node, alive, edges)]:
            present = by_edge[position]
            by_edge[position] = part if present is None else present + part
        return by_edge

    def _everywhere(self, group: Group) -> bool:
        """Whether all K edges have the candidate, in one column."""
        return len(group.positions) == self.edges and len(set(group.columns)) == 1

    def _scales(self, columns: tuple[Tensor, ...], together: Sequence[Group]) -> dict[str, Tensor]:
        """For the candidates with one map per edge, their mixing weights over the channels, [K*C]."""
        names = {group.name: columns[group.columns[0]] for group in together if not self.operation(group).shared}
        if not names:
            return {}
        rows = torch.stack(list(names.values())).unsqueeze(2).expand(-1, -1, self.channels).flatten(1)
        return dict(zip(names, rows.unbind(0), strict=True))

    def _scattered_weights(self, weights: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The mixing weights of the candidates that some edges have, or have in different columns.

        For each of them those of its k edges over the channels, [k*C], and those on all edges, 0 where an
        edge lacks it, [K].
        """
        names = [group.name for group in self._scattered]
        flat = weights[:, : self._width].flatten()
        picked = flat.index_select(0, self.get_buffer("picked")).unsqueeze(1).expand(-1, self.channels).flatten()
        each = picked.split([len(group.positions) * self.channels for group in self._scattered])
        spread = torch.cat([flat, flat.new_zeros(1)]).index_select(0, self.get_buffer("spread"))
        return dict(zip(names, each, strict=True)), dict(zip(names, spread.split(self.edges), strict=True))

    def _on_some(
        self, operation: EdgeOperation, node: NodeOutput, weights: Tensor, group: Group, living: tuple[int, ...]
    ) -> list[tuple[int, Tensor]]:
        """A candidate that only some of the edges compute which have it."""
        column = dict(zip(group.positions, group.columns, strict=True))
        # One by one: indices in a list would be copied to the device in every pass.
        picked = torch.stack([weights[position, column[position]] for position in living])
        if operation.shared:
            out = operation.on_edges(node)
            return [(position, out * weight) for position, weight in zip(living, picked, strict=True)]
        scale = picked.repeat_interleave(self.channels)
        places = [group.positions.index(position) for position in living]
        out = self._subsets[group.name](operation, places, node, scale)
        return list(zip(living, out.chunk(len(living), dim=1), strict=True))

    def _extra(self, node: NodeOutput, alive: Alive | None, edges: Tensor | None) -> Iterator[tuple[int, Tensor]]:
        """What `skip` adds to every edge that is there, times the edge's weight."""
        present = [position for position in range(self.edges) if alive is None or any(alive[position])]
        out = self.extra(node.raw) if self.extra is not None and present else None
        if out is None:
            return
        parts = out.chunk(self.edges, dim=1) if out.shape[1] != self.channels else [out] * self.edges
        for position in present:
            yield position, parts[position] if edges is None else parts[position] * edges[position]


@compiled
def _compiled_mixed(mixed: MixedEdges, node: Tensor, weights: Tensor, edges: Tensor | None) -> list[Tensor | None]:
    """`MixedEdges.mixed` with all candidates."""
    return mixed.mixed(NodeOutput(node), weights, None, edges)


@EDGES.register("plain")
class PlainEdges(Edges):
    """Every edge computes all its candidates on all channels (paper equation 2)."""

    def build(self, candidates: Sequence[Sequence[str]], channels: int, stride: int, skip: Skip) -> MixedEdges:
        return MixedEdges(candidates, channels, stride, skip)


def _wrapped(skip: Skip, name: str, channels: int, stride: int, edges: int) -> EdgeOperation:
    return skip.wrap(name, build_edges(name, channels, stride, edges), stride)


def _places(groups: Sequence[Group], edges: int, width: int) -> tuple[Tensor, Tensor]:
    """Where the mixing weights of some candidates are in a flattened [edges, width].

    For each candidate those of the edges that have it, and those of all edges, `edges * width` where an edge lacks it.
    """
    picked: list[int] = []
    spread: list[int] = []
    for group in groups:
        found = {position: position * width + at for position, at in zip(group.positions, group.columns, strict=True)}
        picked += found.values()
        spread += [found.get(position, edges * width) for position in range(edges)]
    return torch.tensor(picked, dtype=torch.long), torch.tensor(spread, dtype=torch.long)


def _computed(groups: Sequence[Group], alive: Alive | None) -> list[tuple[Group, tuple[int, ...]]]:
    """The candidates that one edge or more computes, with the positions of these edges."""
    places = [(group, _living(group, alive)) for group in groups]
    return [(group, living) for group, living in places if living]


def _living(group: Group, alive: Alive | None) -> tuple[int, ...]:
    """The positions at which the candidate is computed."""
    if alive is None:
        return group.positions
    return tuple(
        position for position, column in zip(group.positions, group.columns, strict=True) if alive[position][column]
    )


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
