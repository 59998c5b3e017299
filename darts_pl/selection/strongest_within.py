"""The combination of options with the largest sum of logarithms within limits on sums of amounts, found exactly.

This is a multiple-choice knapsack problem with one to three limits. It is solved by dynamic programming over the units:
after every unit the partial combinations are kept that no other one beats in all amounts and in the sum of logarithms.
A Lagrangian bound (Fisher, "The Lagrangian relaxation method for solving integer programming problems", Management
Science, 1981) drops those that cannot end better than a combination that is known already.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

#: States that are compared with each other at once.
_BLOCK = 256
#: Fraction of a bound that rounding may change; a state is dropped only where it is worse by more.
_ROUNDING = 1e-9
_BISECTIONS, _ROUNDS = 30, 4


def strongest_within(
    logs: Sequence[Sequence[float]], amounts: Sequence[Sequence[tuple[int, ...]]], room: Sequence[int]
) -> list[int] | None:
    """The option of each unit, such that the sum of the logarithms is the largest within the room.

    Args:
        logs: for every unit the logarithm of each option.
        amounts: for every unit the amounts of each option, all with as many entries as `room`; any sign.
        room: the largest sum of each amount.

    Returns:
        One number per unit, or None where no combination is within the room.
    """
    units = [(np.asarray(one, float), np.asarray(many, np.int64)) for one, many in zip(logs, amounts, strict=True)]
    if not room:
        return [int(values.argmax()) for values, _ in units]
    least = [added.min(0) for _, added in units]
    left = np.asarray(room, np.int64) - sum(least)
    if (left < 0).any():
        return None
    kept = [_useful(values, added - low, left) for (values, added), low in zip(units, least, strict=True)]
    if any(not len(places) for places in kept):
        return None
    values = [one[0][places] for one, places in zip(units, kept, strict=True)]
    added = [one[1][places] - low for one, low, places in zip(units, least, kept, strict=True)]
    found = _search(values, added, left)
    return None if found is None else [int(places[option]) for places, option in zip(kept, found, strict=True)]


def _search(values: Sequence[np.ndarray], added: Sequence[np.ndarray], left: np.ndarray) -> list[int] | None:
    """As `strongest_within`, for amounts of which none is negative.

    Args:
        values: per unit [options].
        added: per unit [options, amounts].
        left: [amounts].
    """
    prices, known = _prices(values, added, left)
    bounds = [_after(values, added, some) for some in (np.zeros(len(left)), prices)]
    logs, used = np.zeros(1), np.zeros((1, len(left)), np.int64)
    steps: list[tuple[np.ndarray, np.ndarray]] = []
    for unit, (own, more) in enumerate(zip(values, added, strict=True)):
        grown = (logs[:, None] + own[None, :]).reshape(-1)
        sums = (used[:, None, :] + more[None, :, :]).reshape(-1, len(left))
        good = (sums <= left).all(1)
        for some, rest in zip((np.zeros(len(left)), prices), bounds, strict=True):
            bound = grown + rest[unit + 1] + (left - sums) @ some
            good &= bound >= known - _ROUNDING * max(1.0, abs(known)) if np.isfinite(known) else True
        places = np.flatnonzero(good)
        places = places[_undominated(grown[places], sums[places])]
        if not len(places):
            return None
        steps.append((places // len(own), places % len(own)))
        logs, used = grown[places], sums[places]
    state, chosen = int(logs.argmax()), []
    for before, options in reversed(steps):
        chosen.append(int(options[state]))
        state = int(before[state])
    return chosen[::-1]


def _useful(values: np.ndarray, added: np.ndarray, left: np.ndarray) -> np.ndarray:
    """Numbers of the options that fit and that no other one beats, in their order."""
    places = np.flatnonzero((added <= left).all(1))
    return np.sort(places[_undominated(values[places], added[places])])


def _undominated(values: np.ndarray, amounts: np.ndarray) -> np.ndarray:
    """Numbers of the states that no other one beats: with a value as large, and amounts that are all as small.

    Of equal ones the first is kept.

    Args:
        values: [states].
        amounts: [states, amounts].
    """
    order = np.lexsort((np.arange(len(values)), *amounts.T[::-1], -values))
    kept = np.empty(0, np.int64)
    for start in range(0, len(order), _BLOCK):
        block = order[start : start + _BLOCK]
        block = block[~_beaten(amounts[block], amounts[kept]).any(1)]
        among = np.tril(_beaten(amounts[block], amounts[block]), -1)  # an earlier state has a value as large
        kept = np.concatenate([kept, block[~among.any(1)]])
    return kept


def _beaten(amounts: np.ndarray, others: np.ndarray) -> np.ndarray:
    """[states, others]: whether all amounts of the other one are as small."""
    found = np.ones((len(amounts), len(others)), bool)
    for which in range(amounts.shape[1]):
        found &= others[None, :, which] <= amounts[:, None, which]
    return found


def _after(values: Sequence[np.ndarray], added: Sequence[np.ndarray], prices: np.ndarray) -> list[float]:
    """For every unit, what it and those after it can add at most where an amount costs its price; 0 after the last."""
    best = [float((own - more @ prices).max()) for own, more in zip(values, added, strict=True)]
    return [sum(best[unit:]) for unit in range(len(best) + 1)]


def _prices(values: Sequence[np.ndarray], added: Sequence[np.ndarray], left: np.ndarray) -> tuple[np.ndarray, float]:
    """Prices of the amounts at which the bound is low, and the largest sum of logarithms that was met within the room.

    Any prices from 0 on give a valid bound. Each is found by bisection in turn: at the price where the best options
    change from needing more than the room to needing less.
    """
    scale = np.maximum(left, 1).astype(float)
    ratios, known = np.zeros(len(left)), -np.inf

    def need(prices: np.ndarray) -> np.ndarray:
        nonlocal known
        picks = [int((own - more @ prices).argmax()) for own, more in zip(values, added, strict=True)]
        total = sum(more[pick] for more, pick in zip(added, picks, strict=True))
        if (total <= left).all():
            known = max(known, sum(float(own[pick]) for own, pick in zip(values, picks, strict=True)))
        return np.asarray(total)

    top = sum(float(own.max() - own.min()) for own in values) + 1.0
    for _ in range(_ROUNDS if len(left) > 1 else 1):
        for which in range(len(left)):
            low, high = 0.0, top * 1e3
            ratios[which] = 0.0
            if need(ratios / scale)[which] <= left[which]:
                continue
            for _ in range(_BISECTIONS):
                middle = (low * high) ** 0.5 if low > 0 else high / 1e3
                ratios[which] = middle
                if need(ratios / scale)[which] <= left[which]:
                    high = middle
                else:
                    low = middle
                if low == 0 and high < 1e-9:
                    break
            ratios[which] = high
    need(ratios / scale)
    return ratios / scale, known
