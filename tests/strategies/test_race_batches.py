"""Searches whose evaluator answers several questions at once."""

import numpy as np
import pytest

from darts_pl.strategies import Budget, CachedEvaluator, Evaluation, Question, race
from darts_pl.strategies.race import STATE
from tests.strategies.conftest import ENCODINGS, fully_connected, small


def asked_in_batches(evaluate, batch: int, count: int) -> list:
    """(integers, scores) of a search that asks a whole batch, then tells its answers in order."""
    strategy, found = small("evolution", ENCODINGS["cnn"]), []
    while len(found) < count:
        questions = [strategy.ask() for _ in range(min(batch, count - len(found)))]
        for one in questions:
            strategy.tell(one, evaluate(one).scores)
            found.append((list(one.integers), list(evaluate(one).scores)))
    return found


def of_sum(one: Question) -> Evaluation:
    return Evaluation((float(sum(one.integers)),))


def shuffled_in_time(questions):
    """The answers to a batch, found in another order than asked."""
    found = {}
    for number in np.random.default_rng(len(questions)).permutation(len(questions)).tolist():
        found[number] = of_sum(questions[number])
    return [found[number] for number in range(len(questions))]


def test_a_batch_of_questions_is_answered_in_the_order_asked_whoever_is_done_first():
    evaluator = CachedEvaluator(of_sum, several=shuffled_in_time)
    rows = race(
        small("evolution", ENCODINGS["cnn"]),
        evaluator,
        Budget(evaluations=26, simulated_seconds=None, seconds=None),
        batch=4,
    )
    assert [(row["integers"], row["scores"]) for row in rows] == asked_in_batches(of_sum, 4, 26)
    assert [row["number"] for row in rows] == list(range(26))


def test_a_genotype_that_a_batch_asks_twice_is_evaluated_once():
    given = []

    def several(questions):
        given.append([one.integers for one in questions])
        return [of_sum(one) for one in questions]

    evaluator = CachedEvaluator(of_sum, several=several)
    encoding = fully_connected(("none", "skip_connect", "nor_conv_3x3"), nodes=2)
    one, other = (
        Question(encoding.decode(integers), integers, None, number)
        for number, integers in enumerate([(0, 1, 2), (2, 2, 2)])
    )
    found = evaluator.many([one, other, one])
    assert given == [[(0, 1, 2), (2, 2, 2)]]
    assert [(row.scores, row.repeated) for row in found] == [((3.0,), False), ((6.0,), False), ((3.0,), True)]
    assert [row.repeated for row in evaluator.many([other])] == [True]


class StoppedError(Exception):
    """Ends a search in a test."""


@pytest.mark.parametrize("answers", [4, 6, 7])
@pytest.mark.parametrize("state", ["kept", "lost"])
def test_a_search_in_batches_that_stops_within_one_goes_on_with_the_same_questions(tmp_path, answers, state):
    def stopping(row):
        if row["evaluations"] == answers:
            raise StoppedError

    arguments = (Budget(evaluations=14, simulated_seconds=None, seconds=None), tmp_path)
    with pytest.raises(StoppedError):
        race(small("evolution", ENCODINGS["cnn"]), CachedEvaluator(of_sum), *arguments, batch=4, on_row=stopping)
    if state == "lost":
        (tmp_path / STATE).unlink()
    rows = race(small("evolution", ENCODINGS["cnn"]), CachedEvaluator(of_sum), *arguments, batch=4)
    assert [(row["integers"], row["scores"]) for row in rows] == asked_in_batches(of_sum, 4, 14)
