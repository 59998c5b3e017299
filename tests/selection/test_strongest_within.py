"""The exact search within limits, against all combinations."""

import itertools
import random

import pytest

from darts_pl.selection.strongest_within import strongest_within


def by_hand(logs, amounts, room):
    """The largest sum of logarithms of all combinations within the room; None where there is none."""
    best = None
    for chosen in itertools.product(*(range(len(one)) for one in logs)):
        used = [
            sum(row[place][which] for row, place in zip(amounts, chosen, strict=True)) for which in range(len(room))
        ]
        if all(value <= most for value, most in zip(used, room, strict=True)):
            total = sum(row[place] for row, place in zip(logs, chosen, strict=True))
            best = total if best is None else max(best, total)
    return best


@pytest.mark.parametrize("limits", [0, 1, 2, 3])
def test_the_result_is_that_of_trying_all_combinations(limits):
    draw, outcomes = random.Random(limits), set()
    for case in range(150):
        units = [draw.randint(1, 6) for _ in range(draw.randint(1, 5))]
        large = draw.choice([3, 10**3, 10**12])  # few different sums, or as good as real numbers
        lowest = draw.choice([0, -large])  # what an option adds to a reference can be negative
        logs = [[draw.choice([0.0, -1.0, -draw.random() * 20, -744.0]) for _ in range(size)] for size in units]
        amounts = [[tuple(draw.randint(lowest, large) for _ in range(limits)) for _ in range(size)] for size in units]
        somewhere = [draw.choice(row) for row in amounts]
        slack = draw.choice([0, 0, large // 2, -large // 2])
        room = [sum(one[which] for one in somewhere) + slack for which in range(limits)]
        expected, found = by_hand(logs, amounts, room), strongest_within(logs, amounts, room)
        outcomes.add(expected is None)
        if expected is None:
            assert found is None, case
            continue
        assert found is not None, case
        used = [sum(row[place][which] for row, place in zip(amounts, found, strict=True)) for which in range(limits)]
        assert all(value <= most for value, most in zip(used, room, strict=True)), case
        total = sum(row[place] for row, place in zip(logs, found, strict=True))
        assert total == pytest.approx(expected, rel=1e-12, abs=1e-12), case
    assert outcomes == ({False} if limits == 0 else {True, False})


def test_limits_that_are_met_exactly_are_met():
    assert strongest_within([[0.0, -1.0], [0.0, -1.0]], [[(5,), (2,)], [(5,), (2,)]], [7]) in ([0, 1], [1, 0])
    assert strongest_within([[0.0, -1.0]], [[(5,), (2,)]], [4]) == [1]
    assert strongest_within([[0.0, -1.0]], [[(5,), (2,)]], [1]) is None
