"""The order of items within the columns of a layered drawing, with few crossings.

The classic method (Sugiyama et al., 1981; Gansner et al., 1993): sweep over the columns, sort each
by the mean position of its neighbours, exchange adjacent items while that helps, keep the best.
Several seeded starts make a good order likely, and the result is always the same.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Columns = list[list[int]]
Links = Sequence[np.ndarray]
#: By item, what it is linked with in the column before and in the column after its own.
Neighbours = list[tuple[list[int], list[int]]]

#: Starts, alternately from the given order, shuffled after the first, and from the best order with this fraction of its
#: columns shuffled.
STARTS, SHUFFLED = 40, 0.4
#: Starts after which an order without crossings is good enough.
MIN_STARTS = 8
SWEEPS = 6


def order_columns(columns: Columns, links: Links) -> Columns:
    """The columns, each reordered so that few links cross.

    Args:
        columns: item numbers per column, from left to right; the first start keeps this order.
        links: per pair of neighbouring columns the linked items, shape [links, 2] (left, right).
    """
    items = sum(len(column) for column in columns)
    rng = np.random.default_rng(0)
    neighbours = _neighbours(links, items)
    best, best_cost = columns, _cost(columns, links, items)
    for start in range(STARTS):
        if best_cost[0] == 0 and start >= MIN_STARTS:
            break
        current = [list(column) for column in (best if start % 2 else columns)]
        for column in current if start else []:
            if start % 2 == 0 or rng.random() < SHUFFLED:
                rng.shuffle(column)
        costs: list[tuple[int, float]] = []
        for sweep in range(SWEEPS):
            _sort_by_neighbours(current, links, items, forward=sweep % 2 == 0)
            _exchange(current, neighbours, items)
            cost = _cost(current, links, items)
            if cost < best_cost:
                best, best_cost = [list(column) for column in current], cost
            if cost in costs:  # it stands still, or goes in circles
                break
            costs.append(cost)
    if best[0] and best[0][0] > best[0][-1]:  # a mirrored drawing is as good: keep the first input on top
        best = [column[::-1] for column in best]
    return best


def crossings(columns: Columns, links: Links) -> int:
    """How many pairs of links cross when the columns are drawn in this order."""
    return _cost(columns, links, sum(len(column) for column in columns))[0]


def _positions(columns: Columns, items: int) -> np.ndarray:
    positions = np.zeros(items)
    for column in columns:
        positions[column] = np.arange(len(column)) - (len(column) - 1) / 2
    return positions


def _gap_crossings(positions: np.ndarray, links: np.ndarray) -> int:
    left, right = positions[links[:, 0]], positions[links[:, 1]]
    opposed = (left[:, None] - left) * (right[:, None] - right) < 0
    return int(opposed.sum()) // 2


def _cost(columns: Columns, links: Links, items: int) -> tuple[int, float]:
    """Crossings first; between equals, the order whose links run straighter."""
    positions = _positions(columns, items)
    slope = sum(float(np.square(positions[gap[:, 0]] - positions[gap[:, 1]]).sum()) for gap in links)
    return sum(_gap_crossings(positions, gap) for gap in links), slope


def _sort_by_neighbours(columns: Columns, links: Links, items: int, *, forward: bool) -> None:
    positions = _positions(columns, items)
    indices = range(1, len(columns)) if forward else range(len(columns) - 2, -1, -1)
    for index in indices:
        gap = links[index - 1][:, ::-1] if forward else links[index]
        total, count = np.zeros(items), np.zeros(items)
        np.add.at(total, gap[:, 0], positions[gap[:, 1]])
        np.add.at(count, gap[:, 0], 1)
        mean = np.where(count > 0, total / np.maximum(count, 1), positions)
        columns[index].sort(key=mean.__getitem__)
        positions[columns[index]] = np.arange(len(columns[index])) - (len(columns[index]) - 1) / 2


def _neighbours(links: Links, items: int) -> Neighbours:
    found: Neighbours = [([], []) for _ in range(items)]
    for gap in links:
        for left, right in gap.tolist():
            found[left][1].append(right)
            found[right][0].append(left)
    return found


def _exchange(columns: Columns, neighbours: Neighbours, items: int) -> None:
    """Swap neighbours within a column while a swap removes a crossing: only links of the two can cross more or less."""
    positions = _positions(columns, items).tolist()
    for column in columns:
        for upper in range(len(column) - 1):
            first, second = column[upper], column[upper + 1]
            now = swapped = 0
            for of_first, of_second in zip(neighbours[first], neighbours[second], strict=True):
                for one in of_first:
                    for other in of_second:
                        now += positions[one] > positions[other]
                        swapped += positions[one] < positions[other]
            if swapped < now:
                column[upper : upper + 2] = second, first
                positions[first], positions[second] = positions[second], positions[first]
