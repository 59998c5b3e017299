"""Where everything in the drawing of a cell goes: boxes for nodes and labels, curves for edges.

The drawing is a row of columns. Node columns and label columns alternate, and an edge owns one slot
in every column between its ends: in one of them it carries its label, in the others only its line.
Slots of a column never overlap, an edge runs level inside its slots and bends only in the gaps
between columns, where there is nothing else. So no label can lie on a label or a node, and no
edge can run through a node or through another edge's label, whatever the genotype.

Lengths are in inches of the unscaled drawing; x grows to the right, y downwards.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from darts_pl.report.graph import CellGraph
from darts_pl.report.ordering import order_columns

NODE_SIZE = 0.30
LABEL_HEIGHT = 0.20
LINE_HEIGHT = 0.05
#: Free space between two slots of a column.
SPACING = 0.07
#: Distance between the ends of two edges on one side of a node.
PORT_SPACING = 0.085
PADDING = 0.07
#: A gap between columns is this wide, and wider where edges climb.
GAP, GAP_PER_CLIMB = 0.24, 0.13
#: A narrow drawing is widened towards `min_width`, but its gaps grow at most by this factor.
MAX_STRETCH = 2.5
#: How much a climb of a long edge costs, against the square of a climb beside a node.
LEVEL_WEIGHT = 1.5
#: ADMM: step size and number of rounds.
STEP, ROUNDS = 2.0, 500


@dataclass(frozen=True)
class Box:
    """A rectangle by its centre and size."""

    x: float
    y: float
    width: float
    height: float

    @property
    def left(self) -> float:
        return self.x - self.width / 2

    @property
    def top(self) -> float:
        return self.y - self.height / 2


@dataclass(frozen=True)
class Curve:
    """The way of one edge.

    Args:
        points: [1 + 3 * segments, 2], a start and then the three control points of each cubic Bézier segment.
        label: the box of the operation's name, on the curve; None where the edge has no operation.
    """

    points: np.ndarray
    label: Box | None


@dataclass(frozen=True)
class CellLayout:
    """Boxes of the graph's nodes and curves of its edges, in the graph's order, inside [0, width] x [0, height]."""

    nodes: tuple[Box, ...]
    curves: tuple[Curve, ...]
    width: float
    height: float


@dataclass
class _Slots:
    """What is in the columns: the nodes of the graph (numbered as there), then one slot per edge and column."""

    columns: list[list[int]]
    chains: list[list[int]]  # per edge the slots from source to target
    labels: list[int | None]  # per edge the slot that carries the label
    width: np.ndarray
    height: np.ndarray


def layout_cell(
    graph: CellGraph,
    label_width: Callable[[str], float],
    name_width: Callable[[str], float],
    min_width: float = 0.0,
    *,
    downwards: bool = False,
) -> CellLayout:
    """The layout of one cell; the same graph always gets the same layout.

    Args:
        graph: the cell.
        label_width: the printed width of an operation's name, in inches.
        name_width: the printed width of a node's name, in inches.
        min_width: narrower drawings get wider gaps, within limits.
        downwards: whether data flow from top to bottom instead of from left to right; columns are then rows.
    """
    slots = _slots(graph, label_width, name_width, downwards)
    links = _links(slots)
    slots.columns = order_columns(slots.columns, links)
    ports = _ports(slots, links)
    y = _heights(slots, links, ports)
    lefts, rights, width = _column_bounds(slots, links, ports, y, min_width)
    y -= (y - slots.height / 2).min()

    column_of = {slot: index for index, column in enumerate(slots.columns) for slot in column}

    def box(slot: int) -> Box:
        index = column_of[slot]
        x = (lefts[index] + rights[index]) / 2
        return Box(float(x), float(y[slot]), float(slots.width[slot]), float(slots.height[slot]))

    nodes = tuple(box(node) for node in range(len(graph.nodes)))
    curves = []
    for chain, label in zip(slots.chains, slots.labels, strict=True):
        ends = nodes[chain[0]], nodes[chain[-1]]
        way = [(ends[0].left + ends[0].width, y[chain[0]] + ports[chain[0], chain[1]])]
        for slot in chain[1:-1]:
            way += [(lefts[column_of[slot]], y[slot]), (rights[column_of[slot]], y[slot])]
        way += [(ends[1].left, y[chain[-1]] + ports[chain[-1], chain[-2]])]
        curves.append(Curve(_bend(np.array(way)), None if label is None else box(label)))
    layout = CellLayout(nodes, tuple(curves), width, float((y + slots.height / 2).max()))
    return _turned(layout) if downwards else layout


def _turned(layout: CellLayout) -> CellLayout:
    """The same with x and y exchanged."""

    def turned(box: Box) -> Box:
        return Box(box.y, box.x, box.height, box.width)

    curves = [Curve(one.points[:, ::-1], None if one.label is None else turned(one.label)) for one in layout.curves]
    return CellLayout(tuple(map(turned, layout.nodes)), tuple(curves), layout.height, layout.width)


def _ranks(graph: CellGraph) -> list[int]:
    """The longest way from an input to each node, in edges; the output comes after all."""
    ranks = [0 if node.role == "input" else 1 for node in graph.nodes]
    for edge in sorted(graph.edges, key=lambda edge: edge.target):
        ranks[edge.target] = max(ranks[edge.target], ranks[edge.source] + 1)
    ranks[-1] = max(ranks[:-1]) + 1
    return ranks


def _slots(
    graph: CellGraph, label_width: Callable[[str], float], name_width: Callable[[str], float], downwards: bool
) -> _Slots:
    """Node columns at even places, label columns at odd ones; a label stands just before its edge's target.

    In a drawing that goes downwards, text runs along a column: the height of a slot is then the width of its text.
    """
    ranks = _ranks(graph)
    degrees = np.zeros((len(graph.nodes), 2), dtype=int)
    for edge in graph.edges:
        degrees[edge.source, 0] += 1
        degrees[edge.target, 1] += 1
    width = [max(NODE_SIZE, name_width(node.name) + 2 * PADDING) for node in graph.nodes]
    height = [max(NODE_SIZE, (degree - 1) * PORT_SPACING + 2 * PADDING) for degree in degrees.max(axis=1).tolist()]
    if downwards:
        height, width = [max(pair) for pair in zip(width, height, strict=True)], [NODE_SIZE] * len(width)
    used = {2 * rank for rank in ranks} | {
        2 * ranks[edge.target] - 1 for edge in graph.edges if edge.operation is not None
    }
    columns: dict[int, list[int]] = {place: [] for place in sorted(used)}
    for node, rank in enumerate(ranks):
        columns[2 * rank].append(node)
    chains: list[list[int]] = []
    labels: list[int | None] = []
    for edge in graph.edges:
        chain, label = [edge.source], None
        for place in (p for p in columns if 2 * ranks[edge.source] < p < 2 * ranks[edge.target]):
            slot = len(width)
            chain.append(slot)
            columns[place].append(slot)
            if edge.operation is not None and place == 2 * ranks[edge.target] - 1:
                label = slot
                sizes = label_width(edge.operation) + 2 * PADDING, LABEL_HEIGHT
                width.append(sizes[downwards])
                height.append(sizes[not downwards])
            else:
                width.append(0.0)
                height.append(LINE_HEIGHT)
        chains.append([*chain, edge.target])
        labels.append(label)
    return _Slots(list(columns.values()), chains, labels, np.array(width), np.array(height))


def _links(slots: _Slots) -> list[np.ndarray]:
    column_of = {slot: index for index, column in enumerate(slots.columns) for slot in column}
    gaps: list[list[tuple[int, int]]] = [[] for _ in slots.columns[1:]]
    for chain in slots.chains:
        for left, right in pairwise(chain):
            gaps[column_of[left]].append((left, right))
    return [np.array(gap, dtype=int).reshape(-1, 2) for gap in gaps]


def _ports(slots: _Slots, links: list[np.ndarray]) -> dict[tuple[int, int], float]:
    """Where a link leaves or enters a slot, from the slot's middle: (slot, neighbour) -> offset."""
    place = {slot: index for column in slots.columns for index, slot in enumerate(column)}
    ports = {}
    for gap in links:
        for ends in (gap, gap[:, ::-1]):
            for slot in np.unique(ends[:, 0]).tolist():
                neighbours = sorted(ends[ends[:, 0] == slot, 1].tolist(), key=place.__getitem__)
                for index, neighbour in enumerate(neighbours):
                    ports[slot, neighbour] = (index - (len(neighbours) - 1) / 2) * PORT_SPACING
    return ports


def _heights(slots: _Slots, links: list[np.ndarray], ports: dict[tuple[int, int], float]) -> np.ndarray:
    """The y of every slot, with the order and the spacing within columns kept.

    Minimised are the squares of the climbs beside nodes, which centres nodes between their
    neighbours, and the absolute climbs along long edges, which makes those run level with few
    bends. Solved by ADMM (Boyd et al., 2011): unknowns are split into the climbs and the distances
    within columns, which are linear in y.
    """
    nodes = {slot for chain in slots.chains for slot in (chain[0], chain[-1])}
    pairs = [pair for gap in links for pair in gap.tolist()]
    stacked = [pair for column in slots.columns for pair in pairwise(column)]
    linear = np.zeros((len(pairs) + len(stacked), len(slots.height)))
    for row, (first, second) in enumerate([*pairs, *stacked]):
        linear[row, [first, second]] = -1.0, 1.0
    climb = np.array([ports[right, left] - ports[left, right] for left, right in pairs])
    level = np.array([not nodes & {left, right} for left, right in pairs])
    distance = np.array([(slots.height[a] + slots.height[b]) / 2 + SPACING for a, b in stacked])

    def nearest(values: np.ndarray) -> np.ndarray:
        """The proximal map of the objective: shrink squares, threshold absolute values, hold distances."""
        climbs = values[: len(pairs)] + climb
        absolute = np.sign(climbs) * np.maximum(np.abs(climbs) - LEVEL_WEIGHT / STEP, 0.0)
        climbs = np.where(level, absolute, climbs * STEP / (STEP + 1.0))
        return np.concatenate([climbs - climb, np.maximum(values[len(pairs) :], distance)])

    # The tiny diagonal stands for the freedom to shift everything up or down.
    inverse = np.linalg.solve(linear.T @ linear + 1e-7 * np.eye(len(slots.height)), linear.T)
    y = np.zeros(len(slots.height))
    split, dual = np.zeros(len(linear)), np.zeros(len(linear))
    for _ in range(ROUNDS):
        y = inverse @ (split - dual)
        values = linear @ y
        split = nearest(values + dual)
        dual += values - split
    for column in slots.columns:  # what is left of the error must not cost spacing
        middle = slots.height[column] / 2
        offset = np.concatenate([[0.0], np.cumsum(middle[:-1] + middle[1:] + SPACING)])
        y[column] = _isotonic(y[column] - offset) + offset
    return y


def _isotonic(wanted: np.ndarray) -> np.ndarray:
    """The nondecreasing values nearest to `wanted` in least squares (pool adjacent violators)."""
    pools: list[tuple[float, int]] = []  # mean, members
    for mean in wanted.tolist():
        members = 1
        while pools and pools[-1][0] > mean:
            other_mean, other_members = pools.pop()
            mean = (mean * members + other_mean * other_members) / (members + other_members)
            members += other_members
        pools.append((mean, members))
    return np.repeat([pool[0] for pool in pools], [pool[1] for pool in pools])


def _column_bounds(
    slots: _Slots, links: list[np.ndarray], ports: dict[tuple[int, int], float], y: np.ndarray, min_width: float
) -> tuple[np.ndarray, np.ndarray, float]:
    """Left and right x of every column, and the width of all."""
    widths = np.array([slots.width[column].max() for column in slots.columns])
    climbs = [
        max((abs(y[a] + ports[a, b] - y[b] - ports[b, a]) for a, b in gap.tolist()), default=0.0) for gap in links
    ]
    gaps = GAP + GAP_PER_CLIMB * np.array(climbs)
    gaps *= np.clip((min_width - widths.sum()) / gaps.sum(), 1.0, MAX_STRETCH)
    lefts = np.concatenate([[0.0], np.cumsum(widths[:-1] + gaps)])
    return lefts, lefts + widths, float(lefts[-1] + widths[-1])


def _bend(way: np.ndarray) -> np.ndarray:
    """Cubic Bézier segments through `way`, level at every point of it."""
    starts, stops = way[:-1], way[1:]
    middle = (starts[:, 0] + stops[:, 0]) / 2
    first, second = np.stack([middle, starts[:, 1]], axis=1), np.stack([middle, stops[:, 1]], axis=1)
    return np.concatenate([way[:1], np.stack([first, second, stops], axis=1).reshape(-1, 2)])
